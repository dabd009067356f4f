"""Optimisers, clipping and what else a recipe may ask of a step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.training import fit, prepare
from ptychopinn.training.module import TrainingModule, clip_adaptively

MakeRecipe = Callable[..., Recipe]


def optimizer_of(scan: Scan, recipe: Recipe) -> torch.optim.Optimizer:
    start = prepare(scan, recipe.with_overrides(["training.scheduler=plateau"]))
    configured = TrainingModule(start.model, start.recipe.training, 1.0, {}).configure_optimizers()
    return configured["optimizer"]  # type: ignore[index, call-overload, return-value]


def test_each_optimizer_gets_its_settings(scan: Scan, make_recipe: MakeRecipe) -> None:
    adam = optimizer_of(scan, make_recipe("training.optimizer=adam", "training.betas=[0.5, 0.6]"))
    sgd = optimizer_of(scan, make_recipe("training.optimizer=sgd", "training.momentum=0.3"))
    assert type(adam) is torch.optim.Adam
    assert adam.defaults["betas"] == (0.5, 0.6)
    assert type(sgd) is torch.optim.SGD
    assert sgd.defaults["momentum"] == 0.3
    assert type(optimizer_of(scan, make_recipe())) is torch.optim.AdamW


def test_the_plateau_schedule_gets_its_settings(scan: Scan, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(
        "training.scheduler=plateau",
        "training.plateau_factor=0.25",
        "training.plateau_patience=1",
        "training.plateau_min_lr=0.001",
        "training.plateau_threshold=0.5",
    )
    start = prepare(scan, recipe)
    configured = TrainingModule(start.model, start.recipe.training, 1.0, {}).configure_optimizers()
    schedule = configured["lr_scheduler"]["scheduler"]  # type: ignore[index, call-overload]
    assert (schedule.factor, schedule.patience, schedule.threshold) == (0.25, 1, 0.5)
    assert schedule.min_lrs == [0.001] * len(schedule.min_lrs)


def test_adaptive_clipping_limits_each_unit_by_its_own_weights() -> None:
    weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.5]]))
    weight.grad = torch.tensor([[30.0, 40.0], [0.0, 0.01]])
    clip_adaptively(weight, 0.1)
    torch.testing.assert_close(weight.grad, torch.tensor([[0.3, 0.4], [0.0, 0.01]]))


@pytest.mark.parametrize("algorithm", ["norm", "value", "agc"])
def test_clipping_keeps_a_large_gradient_from_moving_the_weights(
    scan: Scan, make_recipe: MakeRecipe, algorithm: str
) -> None:
    """SGD with a tiny limit barely moves; without a limit it moves more."""
    settings = ["training.optimizer=sgd", "training.learning_rate=0.1", "training.weight_decay=0", "training.epochs=1"]

    def moved(*more: str) -> float:
        recipe = make_recipe(*settings, *more)
        before = torch.cat([p.detach().flatten().clone() for p in prepare(scan, recipe).model.generator.parameters()])
        after = torch.cat([p.detach().flatten() for p in fit(scan, recipe).model.generator.parameters()])
        return float((after - before).norm())

    limited = moved(f"training.gradient_clip_algorithm={algorithm}", "training.gradient_clip=1e-6")
    assert limited < 1e-3 * moved("training.gradient_clip=null")


def test_accumulated_batches_make_fewer_steps(scan: Scan, make_recipe: MakeRecipe) -> None:
    one = fit(scan, make_recipe("training.patterns_per_step=4"))
    two = fit(scan, make_recipe("training.patterns_per_step=4", "training.accumulate_steps=4"))
    weights = [torch.cat([p.flatten() for p in result.model.generator.parameters()]) for result in (one, two)]
    assert not torch.equal(*weights)


def test_no_history_is_written_without_a_logger(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    result = fit(scan, make_recipe("training.logger=none"), tmp_path)
    assert not (tmp_path / "history.csv").exists()
    assert len(result.history["epoch"]) == 2


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("amplitude_total_variation_weight", "train_amplitude_total_variation"),
        ("phase_total_variation_weight", "train_phase_total_variation"),
        ("amplitude_mean_deviation_weight", "train_amplitude_mean_deviation"),
        ("phase_mean_deviation_weight", "train_phase_mean_deviation"),
    ],
)
def test_penalties_of_amplitude_and_phase_are_terms_of_the_loss(
    scan: Scan, make_recipe: MakeRecipe, setting: str, name: str
) -> None:
    weak, strong = (fit(scan, make_recipe(f"model.loss.{setting}={weight}")).history for weight in (1e-6, 10))
    assert strong[name][-1] / 10 < weak[name][-1] / 1e-6, "a heavier penalty calms the object more"
