"""Training in stages, and fine-tuning layer by layer."""

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ptychopinn.api.open_settings import with_open_settings
from ptychopinn.config import Recipe, TrainingConfig
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.generators import build_generator, register, weights_of_parts
from ptychopinn.training import Fit, fit, fit_prepared, prepare
from ptychopinn.training.own_trainer import OwnTrainerModule
from ptychopinn.training.stages import StageProgress, rising_weight

MakeRecipe = Callable[..., Recipe]

STAGES = (
    "training.epochs=null",
    "training.stages.data_epochs=2",
    "training.stages.transition_epochs=3",
    "training.stages.physics_epochs=2",
)
TUNED = (
    "training.epochs=1",
    "training.fine_tune.staged=true",
    "training.fine_tune.patience=null",
    "training.fine_tune.decoder.epochs=1",
    "training.fine_tune.encoder_top.epochs=1",
    "training.fine_tune.whole.epochs=1",
)


def progress(**settings: Any) -> StageProgress:
    """Of a training, by settings of its section."""
    return StageProgress(TrainingConfig.model_validate(settings))


def epochs_of(one: StageProgress, number: int, part: str = "network") -> list[tuple[str, float, float]]:
    """Name of the stage, weight of the physics and factor on the rate in every epoch, with a falling loss."""
    rows = []
    for epoch in range(number):
        rows.append((one.stage.name, one.physics_weight(epoch), one.rate_factor(part, epoch, 1.0)))
        one.end_epoch(epoch, -float(epoch))
    return rows


@pytest.mark.parametrize("kind", ["linear", "cosine", "exponential"])
def test_the_weight_of_the_physics_rises_from_0_to_1(kind: str) -> None:
    values = [rising_weight(kind, t) for t in np.linspace(0, 1, 11)]
    assert (values[0], values[-1]) == pytest.approx((0, 1))
    assert (np.diff(values) > 0).all()
    stages = {"data_epochs": 2, "transition_epochs": 3, "physics_epochs": 2, "physics_weight": kind}
    weights = [weight for _, weight, _ in epochs_of(progress(stages=stages), 7)]
    assert weights == pytest.approx([0, 0, *(rising_weight(kind, t) for t in (0.25, 0.5, 0.75)), 1, 1])


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("multi_stage", [1, 1, 0.8682, 0.55, 0.2318, 0.1, 0.1]),
        ("adaptive", [1, 1, 0.775, 0.55, 0.325, 0.1, 0.1]),
        ("constant", [1, 1, 0.5, 0.5, 0.5, 0.1, 0.1]),
    ],
)
def test_the_learning_rate_follows_the_stages(scheduler: str, expected: list[float]) -> None:
    stages = {"data_epochs": 2, "transition_epochs": 3, "physics_epochs": 2, "physics_weight": "linear"}
    stages |= {"transition_learning_rate": 0.5, "physics_learning_rate": 0.1}
    rates = [rate for *_, rate in epochs_of(progress(stages=stages, scheduler=scheduler), 7)]
    assert rates == pytest.approx(expected, abs=1e-4)


def test_fine_tuning_takes_constant_rates_and_keeps_parts() -> None:
    tune = {"epochs": 1, "staged": True, "decoder": {"epochs": 1}, "encoder_top": {"epochs": 1}, "whole": {"epochs": 1}}
    rows = {
        part: [rate for *_, rate in epochs_of(progress(epochs=1, fine_tune=tune), 5, part)]
        for part in ("decoder", "head", "encoder_top", "encoder_bottom", "beam")
    }
    assert rows["decoder"] == [1, 0.1, 0.1, 0.05, 0.02]
    assert rows["head"] == [1, 0.1, 0.1, 0.1, 0.05]
    assert rows["encoder_top"] == [1, 0.1, 0, 0.01, 0.01]
    assert rows["encoder_bottom"] == [1, 0.1, 0, 0, 0.005]
    assert rows["beam"] == [1, 0.1, 0, 0, 0]


@pytest.mark.parametrize("data_loss", ["labels", "amplitude"])
def test_the_history_has_the_losses_of_every_stage(scan: Scan, make_recipe: MakeRecipe, data_loss: str) -> None:
    recipe = make_recipe(*STAGES, f"training.stages.data_loss={data_loss}", "training.scheduler=multi_stage")
    made = fit(scan, recipe)
    history = {name: np.array(values) for name, values in made.history.items()}
    assert made.recipe.training.epochs == 7
    np.testing.assert_array_equal(history["stage"], [1, 1, 2, 2, 2, 3, 3])
    weight = history["physics_weight"]
    np.testing.assert_allclose(
        weight, [0, 0, *(rising_weight("cosine", t) for t in (0.25, 0.5, 0.75)), 1, 1], rtol=1e-5
    )
    for kind in ("train", "val"):
        parts = (1 - weight) * history[f"{kind}_data"] + weight * history[f"{kind}_physics"]
        np.testing.assert_allclose(history[f"{kind}_loss"], parts, rtol=1e-4)
    assert history["train_data"][1] < history["train_data"][0], "the first stage learns from data"
    assert history["train_physics"][-1] < history["train_physics"][1], "the last stage learns from physics"
    np.testing.assert_allclose(history["learning_rate"][[0, -1]], [0.01, 0.001], rtol=1e-6)


def test_physics_and_labels_are_minimised_together(scan: Scan, make_recipe: MakeRecipe) -> None:
    """A heavier weight of the labels brings the patches nearer to them."""

    def last_difference(weight: float) -> float:
        settings = (f"model.loss.realspace_mae_weight={weight}", "model.loss.realspace_weight=1", "training.epochs=6")
        history = {name: np.array(values) for name, values in fit(scan, make_recipe(*settings)).history.items()}
        for kind in ("train", "val"):
            total = history[f"{kind}_poisson"] + history[f"{kind}_realspace_mae"]
            np.testing.assert_allclose(total, history[f"{kind}_loss"], rtol=1e-5)
        return float(history["train_realspace_mae"][-1]) / weight

    assert last_difference(10) < last_difference(1e-6)
    both = ("model.loss.realspace_mae_weight=1", "model.loss.realspace_weight=1")
    with pytest.raises(ScanError, match=r"model\.loss\.realspace_weight=0"):
        prepare(replace(scan, object_guess=None), make_recipe(*both))


def test_the_data_loss_is_that_of_labels_where_there_are_any(scan: Scan, make_recipe: MakeRecipe) -> None:
    flat = replace(scan, object_guess=np.ones_like(scan.object_guess))
    for one, expected in ((scan, "labels"), (flat, "amplitude"), (replace(scan, object_guess=None), "amplitude")):
        assert prepare(one, make_recipe(*STAGES)).recipe.training.stages.data_loss == expected
    with pytest.raises(ScanError, match="training with labels"):
        prepare(flat, make_recipe(*STAGES, "training.stages.data_loss=labels"))


def test_a_recipe_that_leaves_the_data_loss_open_fits_its_model(scan: Scan, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(*STAGES)
    trained = prepare(scan, recipe).recipe
    assert with_open_settings(trained, recipe, []).training.stages.data_loss == "labels"
    with pytest.raises(ConfigError, match=r"training\.stages\.data_loss is 'amplitude' here but 'labels'"):
        with_open_settings(trained, recipe.with_overrides(["training.stages.data_loss=amplitude"]), [])


def test_stages_work_with_a_fitted_probe_and_an_unrolled_network(scan: Scan, make_recipe: MakeRecipe) -> None:
    fitted = fit(scan, make_recipe(*STAGES, "model.probe.trainable=true", "model.intensity_scale=trainable"))
    assert np.isfinite(fitted.history["train_loss"]).all()
    unrolled = fit(scan, make_recipe(*STAGES, *TUNED[1:], "model.generator.architecture=unrolled"))
    assert unrolled.history["stage"] == [1, 1, 2, 2, 2, 3, 3, 4, 5, 6]


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {
        name: torch.cat([value.detach().flatten().clone() for value in parameters])
        for name, parameters in weights_of_parts(model.generator).items()
    }


def test_each_stage_of_fine_tuning_trains_its_parts(scan: Scan, make_recipe: MakeRecipe) -> None:
    common = ("training.weight_decay=0.1", "training.scheduler=constant", "model.probe.trainable=true")
    start = prepare(scan, make_recipe(*TUNED, *common))
    kept: list[dict[str, torch.Tensor]] = []

    def keep(*_: Any) -> None:
        kept.append({**weights(start.model), "probe": start.model.probe_parts.detach().clone()})

    history = fit_prepared(start, on_epoch=keep).history
    assert history["stage"] == [1, 2, 3, 4]
    changed = [
        {name for name, value in after.items() if not torch.equal(before[name], value)}
        for before, after in pairwise(kept)
    ]
    decoder = {"decoder", "head"}
    assert changed == [decoder, decoder | {"encoder_top"}, decoder | {"encoder_top", "encoder_bottom"}]
    assert history["learning_rate_encoder_top"][1] == 0
    assert history["learning_rate_decoder"][1] == pytest.approx(0.001)


def test_a_stage_of_fine_tuning_ends_early(
    scan: Scan, make_recipe: MakeRecipe, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """With a learning rate of nearly 0 the loss does not fall."""
    settings = (
        *TUNED,
        "training.learning_rate=1e-30",
        "training.weight_decay=0",
        "training.fine_tune.patience=2",
        "training.fine_tune.decoder.epochs=9",
        "training.fine_tune.encoder_top.epochs=9",
        "training.fine_tune.whole.epochs=0",
    )
    with caplog.at_level(logging.INFO):
        ended = fit(scan, make_recipe(*settings), tmp_path)
    assert ended.history["stage"] == [1, 2, 2, 2, 3, 3, 3]
    assert "stage decoder ends: no lower loss in 2 epochs" in caplog.text
    again = fit(scan, make_recipe(*settings), tmp_path, resume=True)
    assert again.history["stage"] == ended.history["stage"], "a training that ended early is over"


def test_the_best_epoch_is_one_of_the_last_loss(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """The losses of the stages are different quantities; only those of the physics are compared."""
    settings = (*STAGES, "training.early_stop_patience=5", "training.fine_tune.epochs=1")
    made = fit(scan, make_recipe(*settings), tmp_path)
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] >= 5
    assert best["epoch"] == 5 + np.argmin(made.history["val_loss"][5:])
    for name, value in made.model.state_dict().items():
        assert torch.equal(best["state_dict"][f"model.{name}"], value), name


class Stop(Exception):
    """What ends a run early."""


@pytest.mark.parametrize("after", [2, 4, 6, 9])
def test_a_run_that_was_stopped_in_any_stage_is_resumed_to_the_same_result(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, after: int
) -> None:
    recipe = make_recipe(*STAGES, *TUNED[1:], "training.scheduler=adaptive", "training.fine_tune.epochs=1")
    whole = whole_run(scan, recipe)

    def stop(done: int, of: int, row: dict[str, float]) -> None:
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        fit(scan, recipe, tmp_path, on_epoch=stop)
    resumed = fit(scan, recipe, tmp_path, resume=True)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for column in set(whole.history) - {"seconds"}:
        np.testing.assert_array_equal(whole.history[column], resumed.history[column], column)


_WHOLE: dict[str, Fit] = {}


def whole_run(scan: Scan, recipe: Recipe) -> Fit:
    """The run without a stop, made once."""
    if "run" not in _WHOLE:
        _WHOLE["run"] = fit(scan, recipe)
    return _WHOLE["run"]


def test_a_seed_gives_the_same_result_again(scan: Scan, make_recipe: MakeRecipe) -> None:
    first, second = (fit(scan, make_recipe(*STAGES, "training.stages.physics_epochs=0")) for _ in range(2))
    assert first.history["train_loss"] == second.history["train_loss"]


@pytest.mark.slow
def test_two_processes_take_the_stages_of_one(scan: Scan, make_recipe: MakeRecipe) -> None:
    settings = ("model.probe.trainable=true", "training.fine_tune.patience=1", "training.stages.data_loss=amplitude")
    recipe = make_recipe(*STAGES, *TUNED[1:], *settings)
    alone, both = fit(scan, recipe), fit(scan, recipe.with_overrides(["training.devices=2"]))
    for column in ("stage", "physics_weight", "train_loss", "val_loss", "train_data", "learning_rate_encoder_top"):
        np.testing.assert_allclose(both.history[column], alone.history[column], rtol=1e-3, err_msg=column)


class Plain(nn.Conv2d):
    """A network without encoder and decoder."""

    def __init__(self, channels_in: int, channels_out: int, config: Any) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)


register("plain_for_stages", Plain)


def test_a_network_without_parts_is_refused(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="belong to neither"):
        fit(scan, make_recipe(*TUNED, "model.generator.architecture=plain_for_stages"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trainer_of_ones_own_refuses_stages(make_recipe: MakeRecipe) -> None:
    module = OwnTrainerModule(make_recipe(*STAGES), 16, lambda batch: [batch])
    with pytest.raises(ConfigError, match="not by a trainer of your own"):
        module.configure_optimizers()


@pytest.mark.parametrize(
    "settings",
    [
        *({"architecture": name} for name in ("cnn", "fno", "fno_vanilla", "ffno", "hybrid", "hybrid_resnet")),
        {"architecture": "neuralop_uno"},
        {"architecture": "unrolled", "stages": 2},
        {"architecture": "legacy_cnn_pytorch", "input": "relative_amplitude", "output": "polar", "width": 8},
    ],
    ids=lambda settings: settings["architecture"],
)
def test_the_parts_of_every_architecture_are_its_weights(make_recipe: MakeRecipe, settings: dict[str, Any]) -> None:
    common = {"width": 4, "levels": 2, "blocks": 2}
    config = make_recipe().model.generator.changed(**{**common, **settings})
    generator = build_generator(config, 4)
    found = weights_of_parts(generator)
    counts = {name: sum(value.numel() for value in parameters) for name, parameters in found.items()}
    assert sum(counts.values()) == sum(value.numel() for value in generator.parameters())
    without = {name for name, count in counts.items() if not count}
    assert without == ({"decoder"} if settings["architecture"] == "fno_vanilla" else set())
