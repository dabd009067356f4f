"""How often the contrast is measured, on which patterns, and what it costs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch
from ptychopinn.generators import GroupView, build_generator
from ptychopinn.simulation import simulate
from ptychopinn.training import fit, prepare
from ptychopinn.training.contrast_monitor import LARGEST_SHARE, PATTERNS, TRAINING_PASSES, ContrastMonitor, _interval

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def wide() -> Scan:
    """Some 250 patterns of 16 px."""
    return simulate(SimulationConfig(object_size_px=66, probe_size_px=16, step_px=3, seed=2))


@pytest.mark.parametrize("overrides", [(), ("model.generator.grouping=stacked",), ("data.group_size=16",)])
def test_measurements_take_at_most_their_share_of_the_work(
    wide: Scan, make_recipe: MakeRecipe, overrides: tuple[str, ...]
) -> None:
    start = prepare(wide, make_recipe("data.validation_fraction=0", *overrides))
    monitor = ContrastMonitor(start)
    measured = monitor._groups.size
    assert PATTERNS[0] <= measured <= PATTERNS[1]
    assert measured / monitor.interval <= LARGEST_SHARE * TRAINING_PASSES * len(wide) * 1.05


def test_an_unrolled_generator_is_measured_less_often(make_recipe: MakeRecipe) -> None:
    """A measurement costs it nearly as much as training does."""
    groups = np.zeros((640, 4), dtype=np.int64)
    recipes = [make_recipe(f"model.generator.architecture={name}") for name in ("cnn", "unrolled")]
    usual, unrolled = (
        _interval(128, [groups], recipe, build_generator(recipe.model.generator, 4)) for recipe in recipes
    )
    assert 128 / unrolled <= LARGEST_SHARE * 640 < 128 / usual


def test_measured_patterns_lie_together_in_the_middle(wide: Scan, make_recipe: MakeRecipe) -> None:
    monitor = ContrastMonitor(prepare(wide, make_recipe()))
    seen, everything = monitor._tensors.scan.positions_px, wide.positions_px
    assert len(seen) < len(wide) / 3
    assert (np.ptp(seen, axis=0) < 0.6 * np.ptp(everything, axis=0)).all()
    np.testing.assert_allclose(seen.mean(axis=0), everything.mean(axis=0), atol=6)


def test_a_measurement_leaves_the_model_in_training(wide: Scan, make_recipe: MakeRecipe) -> None:
    start = prepare(wide, make_recipe())
    start.model.train()
    ContrastMonitor(start).measure(1, last=True)
    assert start.model.training
    assert not any(value.is_inference() for value in start.model.state_dict().values())


def test_columns_come_every_few_epochs_and_at_the_end(wide: Scan, make_recipe: MakeRecipe) -> None:
    interval = ContrastMonitor(prepare(wide, make_recipe())).interval
    told: list[dict[str, float]] = []
    history = fit(
        wide, make_recipe(f"training.epochs={interval + 2}"), on_epoch=lambda done, of, row: told.append(row)
    ).history
    measured = np.flatnonzero(np.isfinite(history["coverage"])) + 1
    assert interval > 1
    assert measured.tolist() == [interval, interval + 2]
    assert ["contrast_amplitude" in row for row in told] == [epoch + 1 in measured for epoch in range(interval + 2)]
    assert 0.8 < history["coverage"][-1] <= 1
    assert history["contrast_amplitude"][-1] > 0
    assert history["contrast_phase_rad"][-1] > 0


def test_the_last_epoch_of_an_early_stop_is_measured(wide: Scan, make_recipe: MakeRecipe) -> None:
    stops = make_recipe("training.epochs=9", "training.early_stop_patience=1", "training.learning_rate=10")
    history = fit(wide, stops).history
    assert len(history["epoch"]) < 9
    assert np.isfinite(history["coverage"][-1])


def test_train_writes_the_verdict(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    from ptychopinn.api.train import train

    trained = train(scan, tmp_path, make_recipe())
    entry = json.loads(trained.paths["metrics"].read_text())["collapse"]
    assert entry == json.loads(json.dumps(trained.collapse.entry()))
    assert entry["coverage"] > 0.9
    assert entry["evidence"]["structure_sigma"] > 5


@pytest.mark.slow
def test_measurements_take_little_time(wide: Scan, make_recipe: MakeRecipe) -> None:
    start = prepare(wide, make_recipe("model.generator.width=8", "model.generator.levels=3"))
    monitor = ContrastMonitor(start)
    monitor.measure(monitor.interval, last=False)
    began = time.perf_counter()
    monitor.measure(monitor.interval, last=False)
    measurement_s = time.perf_counter() - began
    recipe = make_recipe("model.generator.width=8", "model.generator.levels=3", f"training.epochs={monitor.interval}")
    epochs_s = sum(fit(wide, recipe).history["seconds"])
    assert measurement_s < 0.04 * epochs_s


def test_a_measurement_moves_patterns_by_their_own_fitted_shifts(
    wide: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = prepare(wide, make_recipe("model.positions.trainable=true", "data.validation_fraction=0"))
    shifts = start.model.shifts
    assert shifts is not None
    with torch.no_grad():
        shifts.raw.copy_(torch.linspace(-1, 1, shifts.raw.numel()).reshape(shifts.raw.shape))
    everything = shifts(torch.arange(len(wide))).detach()
    monitor = ContrastMonitor(start)
    used: dict[int, Any] = {}
    view = start.model.view

    def recorded(batch: Batch) -> GroupView:
        used.update(zip(batch.index.flatten().tolist(), batch.shifts_px.flatten(0, 1), strict=True))
        return view(batch)

    monkeypatch.setattr(start.model, "view", recorded)
    monitor.measure(1, last=True)
    positions = monitor._tensors.scan.positions_px
    rows = [np.flatnonzero((wide.positions_px == at).all(1))[0] for at in positions]
    np.testing.assert_allclose(torch.stack([used[row] for row in range(len(positions))]), everything[rows])
    np.testing.assert_allclose(shifts(torch.arange(len(wide))).detach(), everything)
