"""Images of a scan that stays in its file are those of the same scan in memory, bit by bit."""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptychopinn.config import SimulationConfig
from ptychopinn.data import Scan, large_arrays
from ptychopinn.simulation import simulate
from ptychopinn.solver import coupling, intensities

SETTINGS = {"object_size_px": 80, "probe_size_px": 24, "step_px": 5, "photons_per_pattern": 1e5, "seed": 3}
NETWORK = ["training.epochs=1", "model.generator.width=4", "model.generator.levels=2", "data.validation_fraction=0"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    return ptychopinn.data.io.write_scan(simulate(SimulationConfig(**SETTINGS)), folder / "scan.npz")


def in_both(monkeypatch: pytest.MonkeyPatch, made: Callable[[Scan], Any], path: Path) -> tuple[Any, Any]:
    """What is made of the scan in memory, and of the scan that is mapped."""
    here = ptychopinn.read_scan(path)
    first = made(here)
    monkeypatch.setattr(large_arrays, "MOST_IN_MEMORY", 1000)
    there = ptychopinn.read_scan(path)
    assert isinstance(there.patterns.base.base, mmap.mmap)
    assert here.patterns.base is None or not isinstance(here.patterns.base.base, mmap.mmap)
    return first, made(there)


def test_facts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = in_both(monkeypatch, ptychopinn.info, path)
    assert one == other


@pytest.mark.parametrize("at_once", [7, 1024])
def test_the_solver(path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """With positions and intensities, a few patterns at a time and all together."""
    monkeypatch.setattr(coupling, "PATTERNS_AT_ONCE", at_once)
    monkeypatch.setattr(intensities, "PATTERNS_AT_ONCE", at_once)
    refine = "reconstruction.refine."
    overrides = [f"{refine}positions=true", f"{refine}positions_start=1", f"{refine}intensities=fitted"]

    def made(scan: Scan) -> Any:
        return ptychopinn.reconstruct(scan, None, refine=8, overrides=overrides)

    one, other = in_both(monkeypatch, made, path)
    for name in ("object_", "probe", "positions_px", "intensities"):
        np.testing.assert_array_equal(getattr(one.reconstruction, name), getattr(other.reconstruction, name), name)
    assert one.metrics["data"] == other.metrics["data"]


def test_some_patterns_at_a_time_give_the_same_image(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refine = "reconstruction.refine."
    overrides = [f"{refine}positions=true", f"{refine}positions_start=1", f"{refine}intensities=fitted"]
    images = []
    for at_once in (5, 1024):
        monkeypatch.setattr(coupling, "PATTERNS_AT_ONCE", at_once)
        monkeypatch.setattr(intensities, "PATTERNS_AT_ONCE", at_once)
        images.append(ptychopinn.reconstruct(path, None, refine=8, overrides=overrides).reconstruction)
    np.testing.assert_allclose(images[0].object_, images[1].object_, atol=1e-3)
    np.testing.assert_allclose(images[0].positions_px, images[1].positions_px, atol=1e-3)
    assert images[0].intensities is not None
    np.testing.assert_allclose(images[0].intensities, images[1].intensities, atol=1e-4)


def test_training_and_prediction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(scan: Scan) -> Any:
        trained = ptychopinn.train(scan, overrides=NETWORK)
        return trained, ptychopinn.reconstruct(scan, trained.model)

    (trained, image), (again, same) = in_both(monkeypatch, made, path)
    assert trained.history["train_loss"] == again.history["train_loss"]
    np.testing.assert_array_equal(image.reconstruction.object_, same.reconstruction.object_)
    assert image.metrics["data"] == same.metrics["data"]
