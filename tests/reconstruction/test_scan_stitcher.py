"""Stitching the patches of a scan as a recipe says: weights, windows, frame."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import ReconstructionConfig
from ptychopinn.data import Scan
from ptychopinn.physics import extract_patches, split_position
from ptychopinn.reconstruction import ScanStitcher

Patches = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def true_patches(noise_free: Callable[..., Scan]) -> tuple[Scan, Patches]:
    """A scan, and its true patches, the power of its probe, and whole positions."""
    scan = noise_free()
    whole, _ = split_position(torch.from_numpy(scan.positions_px))
    size = scan.pattern_size
    patches = extract_patches(torch.from_numpy(scan.object_guess), whole, (size, size))
    power = torch.from_numpy(np.abs(scan.probe[0]) ** 2).expand(patches.shape)
    return scan, (patches, power, whole)


@pytest.mark.parametrize("weight", ["probe", "uniform", "central"])
def test_true_patches_give_the_true_object(true_patches: tuple[Scan, Patches], weight: str) -> None:
    scan, patches = true_patches
    stitcher = ScanStitcher(scan, ReconstructionConfig(weight=weight))
    stitcher.add(*patches)
    object_, coverage, origin = stitcher.finish()
    assert origin == (0, 0)
    assert object_.shape == scan.object_guess.shape
    covered = coverage > 0
    assert covered.mean() > 0.3
    np.testing.assert_allclose(object_[covered], scan.object_guess[covered], atol=2e-5)


def test_only_the_window_counts_where_one_reaches(true_patches: tuple[Scan, Patches]) -> None:
    """Garbage outside the central windows leaves no trace under them."""
    scan, (patches, power, whole) = true_patches
    spoiled = torch.full_like(patches, 9.0)
    spoiled[:, 5:11, 5:11] = patches[:, 5:11, 5:11]
    stitcher = ScanStitcher(scan, ReconstructionConfig(weight="central", window_px=6))
    stitcher.add(spoiled, power, whole)
    object_, coverage, _ = stitcher.finish()
    reached = np.zeros(object_.shape, bool)
    for y, x in whole.tolist():
        reached[y - 3 : y + 3, x - 3 : x + 3] = True
    reached &= coverage > 0
    assert reached.mean() > 0.2
    np.testing.assert_allclose(object_[reached], scan.object_guess[reached], atol=2e-5)
    assert np.abs(object_[(coverage > 0) & ~reached] - 9).min() < 1e-3


def test_wide_steps_leave_no_holes(true_patches: tuple[Scan, Patches]) -> None:
    """Windows of 2 px at steps of 5 px: patches fill what lies between."""
    scan, patches = true_patches
    made = {}
    for weight, window in (("probe", None), ("central", 2)):
        stitcher = ScanStitcher(scan, ReconstructionConfig(weight=weight, window_px=window))
        stitcher.add(*patches)
        made[weight] = stitcher.finish()
    np.testing.assert_array_equal(made["central"][1] > 0, made["probe"][1] > 0)
    covered = made["central"][1] > 0
    np.testing.assert_allclose(made["central"][0][covered], scan.object_guess[covered], atol=2e-5)


def test_a_flat_object_guess_gives_the_frame(true_patches: tuple[Scan, Patches]) -> None:
    scan, patches = true_patches
    rows, columns = scan.object_guess.shape
    larger = replace(scan, object_guess=np.ones((rows + 3, columns + 5), np.complex64))
    stitcher = ScanStitcher(larger, ReconstructionConfig())
    stitcher.add(*patches)
    object_, coverage, origin = stitcher.finish()
    assert origin == (0, 0)
    assert object_.shape == (rows + 3, columns + 5)
    assert not coverage[rows:].any()
