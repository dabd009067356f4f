"""An unrolled generator behind the `predict` of the earlier contract."""

from dataclasses import replace

import numpy as np
import pytest

import ptychopinn
from ptycho.loader import load
from ptycho.model import TrainedModel
from ptycho.raw_data import RawData
from ptychopinn.config import ReconstructionConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.reconstruction.predict import predict_patches

SETTINGS = (
    "model.generator.architecture=unrolled",
    "model.generator.physics_steps=3",
    "model.generator.width=4",
    "model.generator.levels=1",
    "data.group_size=4",
    "data.validation_fraction=0",
    "training.epochs=1",
    "reconstruction.physics_steps=5",
)


@pytest.fixture
def whole(scan):
    """Patterns at whole positions, which plain arrays do not round."""
    return replace(scan(), positions_px=np.round(scan().positions_px))


@pytest.fixture
def model(whole) -> TrainedModel:
    trained = ptychopinn.train(whole, overrides=SETTINGS)
    return TrainedModel(trained.model)


def container_of(arrays, scan, gridsize: int):
    raw = RawData.from_coords_without_pc(**arrays(scan))
    grouped = raw.generate_grouped_data(32, K=7, gridsize=gridsize)
    return load(lambda: grouped, raw.probeGuess)


def test_arrays_that_carry_their_scan_are_solved_together(model, whole, arrays) -> None:
    container = container_of(arrays, whole, 1)
    patches = model.predict([container.X * 1.0, container.local_offsets])
    config = ReconstructionConfig(physics_steps=5)
    tensors = ScanTensors(whole)
    expected, _ = predict_patches(model.network, tensors, np.arange(len(whole))[:, None], config=config)
    assert patches.shape == (len(whole), 32, 32, 1)
    np.testing.assert_allclose(
        np.sort(np.abs(patches).sum((1, 2, 3))), np.sort(np.abs(expected).sum((1, 2, 3))), rtol=1e-3
    )


def test_plain_arrays_are_solved_group_by_group(model, whole, arrays) -> None:
    container = container_of(arrays, whole, 2)
    X, offsets = np.array(container.X), np.array(container.local_offsets)
    patches = model.predict([X, offsets])
    assert patches.shape == (len(X), 32, 32, 4)
    np.testing.assert_allclose(model.predict([X[3:4], offsets[3:4]])[0], patches[3], atol=0.03)
    assert np.abs(patches - 1).max() > 0.1
