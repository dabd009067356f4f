"""The learning rate over a run, and when a run stops early."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from ptychopinn.config import Recipe, TrainingConfig
from ptychopinn.data import Scan
from ptychopinn.training import Fit, fit, split_groups
from ptychopinn.training.callbacks import BestWeights
from ptychopinn.training.loader import GroupLoader
from ptychopinn.training.module import make_schedule

MakeRecipe = Callable[..., Recipe]


def rates(steps: int = 40, steps_per_epoch: int = 4, **settings: object) -> np.ndarray:
    """Learning rate at every step."""
    config = TrainingConfig.model_validate({"learning_rate": 0.5, "warmup_epochs": 0, **settings})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    schedule = make_schedule(optimizer, config, steps, steps_per_epoch)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(values)


def test_cosine_falls_to_its_end() -> None:
    expected = 0.5 * (0.1 + 0.9 * (1 + np.cos(np.pi * np.arange(40) / 40)) / 2)
    np.testing.assert_allclose(rates(scheduler="cosine", min_lr_ratio=0.1), expected, rtol=1e-6)


def test_constant_stays() -> None:
    np.testing.assert_allclose(rates(scheduler="constant"), 0.5)


def test_exponential_falls_by_its_factor_in_every_epoch() -> None:
    values = rates(scheduler="exponential", exponential_gamma=0.8)
    np.testing.assert_allclose(values[::4], 0.5 * 0.8 ** np.arange(10), rtol=1e-6)
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("scheduler", ["cosine", "constant", "exponential"])
def test_warm_up_rises_linearly_to_the_peak(scheduler: str) -> None:
    values = rates(scheduler=scheduler, warmup_epochs=2)
    np.testing.assert_allclose(np.diff(values[:8]), 0.5 / 9, rtol=1e-6)
    assert np.argmax(values) == 8
    assert values[8] == pytest.approx(0.5)


def test_a_run_shorter_than_its_warm_up_has_a_positive_rate() -> None:
    assert (rates(steps=2, warmup_epochs=5) > 0).all()
    assert rates(steps=1, warmup_epochs=5) == [0.5]


def test_plateau_halves_the_rate_when_the_loss_stays(scan: Scan, make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(
        "training.scheduler=plateau", "training.epochs=9", "training.learning_rate=1e-7", "data.group_size=1"
    )
    history = fit(scan, recipe)
    assert np.ptp(history.history["train_loss"]) < 1e-4
    falls = np.divide(history.history["learning_rate"], 1e-7)
    assert falls[0] == 1
    assert falls[-1] == 0.5


@pytest.fixture(scope="module", params=[True, False], ids=["with folder", "without"])
def diverging(
    request: pytest.FixtureRequest,
    scan: Scan,
    make_recipe: MakeRecipe,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fit:
    """A run whose loss rises again."""
    recipe = make_recipe(
        "training.early_stop_patience=2",
        "training.epochs=30",
        "training.scheduler=constant",
        "training.learning_rate=1",
    )
    return fit(scan, recipe, tmp_path_factory.mktemp("diverging") if request.param else None)


def validation_loss(result: Fit) -> float:
    """As in training, but of the weights at hand."""
    groups = split_groups(result.tensors.scan, result.recipe)[1]
    total = count = 0.0
    with torch.no_grad():
        for batch in GroupLoader(result.tensors, groups, result.recipe.training.patterns_per_step):
            loss = sum(result.model.losses(batch, result.recipe.fitted.mean_count).values())
            total, count = total + float(loss) * batch.index.numel(), count + batch.index.numel()
    return total / count


def test_early_stop_ends_the_run_and_takes_the_best_weights(diverging: Fit) -> None:
    losses = diverging.history["val_loss"]
    assert len(losses) < 30
    assert np.argmin(losses) == len(losses) - 3
    assert validation_loss(diverging) == pytest.approx(min(losses), rel=1e-5)
    assert min(losses) < losses[-1]


def test_best_weights_keeps_those_of_the_lowest_loss_through_a_checkpoint() -> None:
    module, best = LightningModule(), BestWeights("val_loss")
    module.layer = torch.nn.Linear(1, 1, bias=False)
    for value, loss in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0), (4.0, float("nan"))):
        torch.nn.init.constant_(module.layer.weight, value)
        best.on_train_epoch_end(SimpleNamespace(callback_metrics={"val_loss": torch.tensor(loss)}), module)
    resumed = BestWeights("val_loss")
    resumed.load_state_dict(best.state_dict())
    resumed.restore(module)
    assert float(module.layer.weight) == 2.0


def test_no_early_stop_keeps_the_last_weights(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    result = fit(scan, make_recipe("training.learning_rate=1", "training.scheduler=constant"), tmp_path)
    stored = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(stored[f"model.{key}"], value) for key, value in result.model.state_dict().items())
