"""Labels: which recipes need them, and how they are cut from the object of a scan."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ptychopinn.config import ModelConfig
from ptychopinn.data import Scan
from ptychopinn.errors import ScanError
from ptychopinn.models import PatchModel, labels_for, needs_labels, with_labels

MakeModel = Callable[..., PatchModel]


def test_labels_are_the_scans_own(scan: Scan) -> None:
    own = np.full((len(scan), 16, 16), 0.5j, np.complex64)
    assert labels_for(replace(scan, truth_patches=own)) is own


@pytest.mark.parametrize("size", [16, 17])
def test_labels_are_cut_from_the_object_guess_at_the_rounded_positions(
    noise_free: Callable[..., Scan], size: int
) -> None:
    scan = noise_free(size)
    labels = labels_for(scan)
    whole = np.floor(scan.positions_px + 0.5).astype(int) - size // 2
    expected = np.stack([scan.object_guess[y : y + size, x : x + size] for y, x in whole])
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(with_labels(scan).truth_patches, expected)


def test_labels_of_a_bilinear_model_lie_at_the_exact_positions(
    scan: Scan, groups: np.ndarray, make_model: MakeModel
) -> None:
    y, x = np.indices(scan.object_guess.shape)
    ramp = replace(scan, object_guess=(y + 1j * x).astype(np.complex64))
    labels = labels_for(ramp, "bilinear")
    np.testing.assert_allclose(labels[:, 8, 8].real, scan.positions_px[:, 0], rtol=1e-5)
    np.testing.assert_allclose(labels[:, 8, 8].imag, scan.positions_px[:, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"object_guess": None}, "neither Y nor objectGuess"),
        ({"object_guess": np.ones((52, 52), np.complex64)}, "objectGuess is flat"),
        ({"object_guess": np.arange(400, dtype=np.complex64).reshape(20, 20)}, "leave the canvas of 20x20"),
    ],
)
def test_scans_without_usable_labels_are_refused(scan: Scan, changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ScanError, match=rf"file\.npz: .*{rule}"):
        labels_for(replace(scan, source="file.npz", **changes))


def test_which_recipes_need_labels() -> None:
    def needs(**loss: float) -> bool:
        return needs_labels(ModelConfig.model_validate({"loss": loss}))

    assert not needs()
    assert not needs(realspace_mae_weight=1.0)
    assert not needs(realspace_weight=1.0)
    assert needs(realspace_mae_weight=1.0, realspace_weight=1.0)
    assert needs_labels(ModelConfig(kind="supervised"))
