"""Short trainings of an unrolled generator: lower loss, an image with contrast, the same again from a bundle."""

from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Scan
from ptychopinn.api.train import Trained
from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import simulate

SHORT = (
    "model.generator.architecture=unrolled",
    "model.generator.stages=1",
    "model.generator.physics_steps=6",
    "model.generator.width=4",
    "model.generator.levels=2",
    "data.group_size=16",
    "data.validation_fraction=0",
    "training.patterns_per_step=16",
    "training.epochs=8",
    "training.thinning=0.5",
    "training.threads=1",
    "reconstruction.physics_steps=20",
)


def made_scan(size: int, photons: float = 1e5) -> Scan:
    """About 80 patterns of `size` px on dead leaves, in steps of a sixth of the pattern."""
    return simulate(
        SimulationConfig(
            object_kind="dead_leaves",
            object_size_px=int(2.5 * size),
            probe_size_px=size,
            step_px=size / 6,
            photons_per_pattern=photons,
            seed=3,
        )
    )


@pytest.fixture(scope="module")
def scan() -> Scan:
    return made_scan(32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unrolled")


@pytest.fixture(scope="module")
def trained(scan: Scan, folder: Path) -> Trained:
    return ptychopinn.train(scan, folder, overrides=SHORT)


def test_a_short_training_lowers_the_loss_and_keeps_the_contrast(scan: Scan, trained: Trained) -> None:
    losses = trained.history["train_loss"]
    assert losses[-1] < 0.98 * losses[0]
    image = ptychopinn.reconstruct(scan, trained).reconstruction
    report = ptychopinn.evaluate(image, scan).report
    assert 0.8 < report["contrast_amplitude"] < 1.2
    assert 0.8 < report["contrast_phase"] < 1.2


def test_a_bundle_gives_the_same_image_again(scan: Scan, folder: Path, trained: Trained) -> None:
    first = ptychopinn.reconstruct(scan, trained).reconstruction
    again = ptychopinn.reconstruct(scan, folder).reconstruction
    np.testing.assert_array_equal(again.object_, first.object_)


def test_a_seed_fixes_the_result(scan: Scan, trained: Trained) -> None:
    again, other = (
        ptychopinn.train(scan, overrides=[*SHORT, f"training.seed={seed}"]).history["train_loss"] for seed in (0, 1)
    )
    assert again == trained.history["train_loss"]
    assert other != again


def test_thinned_counts_of_several_scans_and_of_their_validation(scan: Scan) -> None:
    scans = [scan, made_scan(32, photons=1e4)]
    changes = ("training.epochs=1", "data.group_size=4", "data.validation_fraction=0.1", "training.mirror=true")
    history = ptychopinn.train(scans, overrides=[*SHORT, *changes]).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 128, 256])
def test_contrast_is_kept_at_every_size(size: int) -> None:
    scan = made_scan(size, 1e4 * size)
    result = ptychopinn.run(scan, overrides=[*SHORT, "reconstruction.physics_steps=60"], solve=False)
    report = ptychopinn.evaluate(result.reconstruction, scan).report
    assert 0.8 < report["contrast_amplitude"] < 1.2
    assert 0.8 < report["contrast_phase"] < 1.2
