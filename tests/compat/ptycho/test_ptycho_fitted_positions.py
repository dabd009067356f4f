"""A model with fitted positions, through the calls of the client, on scans that it was not trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptycho.params
import ptychopinn
from ptycho.model_manager import load_trained_model
from ptychopinn.config import Recipe


@pytest.fixture(scope="module")
def bundle(scan, fits_positions: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has moved the positions of its scan."""
    folder = tmp_path_factory.mktemp("fitted_positions")
    recorded = scan()
    trained = ptychopinn.train(recorded, folder, Recipe().with_overrides(fits_positions))
    image = ptychopinn.reconstruct(recorded, trained).reconstruction
    assert np.abs(image.positions_px - recorded.positions_px).max() > 0.01
    return folder


def image_by_client(bundle: Path, scan, window_px: int = 20):
    ptycho.params.cfg["N"] = scan.pattern_size
    return load_trained_model(bundle).reconstruct(scan, window_px)


def test_another_scan_is_not_shifted(bundle: Path, scan) -> None:
    recorded = scan()
    other = replace(recorded, patterns=recorded.patterns[::-1].copy(), object_guess=None)
    image = image_by_client(bundle, other)
    known = ptychopinn.reconstruct(other, bundle).reconstruction
    np.testing.assert_array_equal(image.positions_px, known.positions_px)
    assert (image.positions_px == other.positions_px).all(axis=1).mean() > 0.9


def test_a_scan_with_more_patterns_is_reconstructed(bundle: Path, scan) -> None:
    larger = scan(step_px=4)
    assert len(larger) > len(scan())
    image = image_by_client(bundle, larger)
    np.testing.assert_array_equal(image.positions_px, larger.positions_px)


def test_the_calls_of_the_client_take_a_scan_with_more_patterns(bundle: Path, scan, arrays, reconstruct) -> None:
    assert np.isfinite(reconstruct(bundle, arrays(scan(step_px=4)))).all()


def test_the_own_scan_keeps_its_fitted_positions(bundle: Path, scan) -> None:
    """Also in a part of it, in another order."""
    recorded = scan()
    whole = image_by_client(bundle, recorded).positions_px
    part = recorded.select(np.arange(len(recorded))[::-2])
    np.testing.assert_allclose(image_by_client(bundle, part).positions_px, whole[::-2], atol=1e-6)
