"""Stitching: what was cut from an object is that object again, and holes are told."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data import read_scan
from ptychopinn.data.frame import Frame
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import patch_weight
from ptychopinn.reconstruction import Stitcher, stitch

Complex = NDArray[np.complex64]


def cut(object_: Complex, whole_px: NDArray[np.int64], size: int) -> torch.Tensor:
    """Windows (N, size, size) by plain slicing."""
    first = whole_px - size // 2
    return torch.from_numpy(np.stack([object_[y : y + size, x : x + size] for y, x in first]))


def relative_error(object_: Complex, truth: Complex, covered: NDArray[np.bool_]) -> float:
    return float(np.linalg.norm((object_ - truth)[covered]) / np.linalg.norm(truth[covered]))


def asymmetric_object(rows: int = 70, columns: int = 58) -> Complex:
    rng = np.random.default_rng(0)
    return (rng.uniform(0.5, 1.5, (rows, columns)) * np.exp(1j * rng.uniform(-2, 2, (rows, columns)))).astype(
        np.complex64
    )


def asymmetric_positions(n: int = 60) -> NDArray[np.int64]:
    """More extent in y than in x, denser at small y; both orders of axes fit the object."""
    rng = np.random.default_rng(1)
    y, x = 12 + 34 * rng.random(n) ** 2, 14 + 20 * rng.random(n)
    return np.stack([y, x], axis=1).round().astype(np.int64)


@pytest.mark.shared_data
@pytest.mark.parametrize("kind", ["probe", "uniform"])
def test_patches_of_the_simulated_set_are_stitched_to_its_true_object(shared_dir: Path, kind: str) -> None:
    scan = read_scan(shared_dir / "data" / "synth_dev_1e6.npz", DataConfig())
    whole = np.floor(scan.positions_px + 0.5).astype(np.int64)
    patches = cut(scan.object_guess, whole, 64)
    weight = patch_weight(kind, torch.from_numpy(scan.probe))
    frame = Frame((0, 0), scan.object_guess.shape)
    object_, coverage = stitch(patches, weight, torch.from_numpy(whole), frame)
    covered = coverage > 0
    assert covered.mean() > 0.5
    assert relative_error(object_, scan.object_guess, covered) < 1e-5
    assert np.abs(object_ - scan.object_guess)[covered].max() < 1e-5


@pytest.mark.parametrize("size", [16, 15])
@pytest.mark.parametrize("kind", ["probe", "uniform", "central"])
def test_patches_of_an_asymmetric_object_are_stitched_to_it(size: int, kind: str) -> None:
    truth, whole = asymmetric_object(), asymmetric_positions()
    y, x = np.indices((size, size)) - size // 2
    probe = np.exp(-((y - 1) ** 2 + (x + 1) ** 2) / 30 + 0.5j * y).astype(np.complex64)[None]
    weight = patch_weight(kind, torch.from_numpy(probe))
    frame = Frame((0, 0), truth.shape)
    object_, coverage = stitch(cut(truth, whole, size), weight, torch.from_numpy(whole), frame)
    covered = coverage > 0
    assert covered.sum() > 400
    assert relative_error(object_, truth, covered) < 1e-5
    assert np.abs(object_ - truth)[covered].max() < 1e-5


def mistaken(whole: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    middle = (whole.max(axis=0) + whole.min(axis=0)) // 2
    return {
        "axes swapped": whole[:, ::-1].copy(),
        "both signs flipped": 2 * middle - whole,
        "sign of y flipped": np.stack([2 * middle[0] - whole[:, 0], whole[:, 1]], axis=1),
        "one pixel away": whole + 1,
    }


@pytest.mark.parametrize("mistake", mistaken(asymmetric_positions()))
def test_mistaken_positions_do_not_give_the_object(mistake: str) -> None:
    truth, whole = asymmetric_object(), asymmetric_positions()
    wrong = mistaken(whole)[mistake]
    patches = cut(truth, whole, 16)
    object_, coverage = stitch(patches, torch.ones(16, 16), torch.from_numpy(wrong), Frame((0, 0), truth.shape))
    assert relative_error(object_, truth, coverage > 0) > 0.3


def test_differing_patches_are_averaged_by_their_weights() -> None:
    whole, rng = asymmetric_positions(20), np.random.default_rng(2)
    patches = (rng.normal(size=(20, 16, 16)) + 1j * rng.normal(size=(20, 16, 16))).astype(np.complex64)
    weight = rng.uniform(0.1, 1, (20, 16, 16)).astype(np.float32)
    frame = Frame((-3, 2), (70, 60))
    placed, total = np.zeros(frame.shape, complex), np.zeros(frame.shape)
    for n, (y, x) in enumerate(whole - 8 - np.array(frame.origin_px)):
        placed[y : y + 16, x : x + 16] += weight[n] * patches[n]
        total[y : y + 16, x : x + 16] += weight[n]
    object_, coverage = stitch(*map(torch.from_numpy, (patches, weight, whole)), frame)
    lit = total > 0.01 * total.max()
    np.testing.assert_allclose(object_[lit], placed[lit] / total[lit], atol=1e-5)
    np.testing.assert_allclose(coverage[lit], total[lit] / total.max(), atol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 60])
def test_streaming_in_batches_is_the_same_as_all_at_once(batch: int) -> None:
    truth, whole = asymmetric_object(), torch.from_numpy(asymmetric_positions())
    patches = cut(truth, whole.numpy(), 16) + torch.arange(60).view(-1, 1, 1)
    weight = torch.rand(60, 16, 16, generator=torch.Generator().manual_seed(0))
    frame = Frame((0, 0), truth.shape)
    object_, coverage = stitch(patches, weight, whole, frame)
    stitcher = Stitcher(frame)
    for start in range(0, 60, batch):
        part = slice(start, start + batch)
        stitcher.add(patches[part], weight[part], whole[part])
    streamed, streamed_coverage = stitcher.finish(1e-3)
    np.testing.assert_allclose(streamed, object_, rtol=2e-6)
    np.testing.assert_allclose(streamed_coverage, coverage, rtol=2e-6, atol=1e-8)


def test_what_is_not_covered_is_one_with_coverage_zero() -> None:
    patches = torch.full((2, 8, 8), 3 - 2j, dtype=torch.complex64)
    weight = torch.ones(2, 8, 8)
    weight[1] = 1e-4  # far too little light
    positions = torch.tensor([[10, 10], [10, 30]])
    object_, coverage = stitch(patches, weight, positions, Frame((0, 0), (20, 40)), min_coverage=1e-2)
    covered = coverage > 0
    assert covered.sum() == 64
    assert covered[6:14, 6:14].all()
    assert (object_[~covered] == 1).all()
    np.testing.assert_allclose(object_[covered], 3 - 2j, rtol=1e-6)
    assert coverage.max() == 1


def test_nothing_added_is_no_coverage_and_no_nan() -> None:
    object_, coverage = Stitcher(Frame((0, 0), (9, 9))).finish(1e-3)
    assert (object_ == 1).all()
    assert (coverage == 0).all()


def test_weak_weights_do_not_draw_the_object_towards_one() -> None:
    patches = torch.full((1, 8, 8), 0.2j, dtype=torch.complex64)
    object_, coverage = stitch(patches, torch.full((8, 8), 1e-5), torch.tensor([[4, 4]]), Frame((0, 0), (8, 8)))
    np.testing.assert_allclose(object_, 0.2j, rtol=1e-5)
    assert (coverage == 1).all()


def test_constant_patches_at_fractional_positions_give_the_constant() -> None:
    positions = torch.from_numpy(asymmetric_positions() + np.random.default_rng(0).uniform(-0.5, 0.5, (60, 2)))
    patches = torch.full((60, 16, 16), 0.5 + 2j, dtype=torch.complex64)
    object_, coverage = stitch(patches, torch.ones(16, 16), positions, Frame((0, 0), (70, 58)))
    np.testing.assert_allclose(object_[coverage > 0], 0.5 + 2j, rtol=1e-5)


def test_a_patch_that_leaves_the_canvas_is_refused() -> None:
    with pytest.raises(PtychoPINNError, match="1 of 2 patches of 8x8 px leave the canvas of 20x20 px"):
        stitch(
            torch.ones(2, 8, 8, dtype=torch.complex64),
            torch.ones(8, 8),
            torch.tensor([[10, 10], [10, 18]]),
            Frame((0, 0), (20, 20)),
        )
