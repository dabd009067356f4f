"""Groups gathered by index, against a plain loop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors

MakeScan = Callable[..., Scan]
GROUPS = np.array([[0, 5, 2], [7, 1, 11], [3, 3, 9], [10, 4, 6]])


def asymmetric_positions(n: int) -> np.ndarray:
    """(N, 2) with another range, offset and sign in y than in x, all fractional."""
    rng = np.random.default_rng(3)
    return rng.uniform([-20.0, 40.0], [-9.0, 75.0], (n, 2))


@pytest.fixture
def scan(make_scan: MakeScan) -> Scan:
    labels = np.random.default_rng(0).normal(size=(12, 16, 16)) + 1j
    return make_scan(positions_px=asymmetric_positions(12), truth_patches=labels)


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble, ">f4", ">u2"])
def test_patterns_of_any_type_are_selected_as_float32(make_scan: MakeScan, dtype: Any) -> None:
    patterns = np.arange(2 * 16 * 16).reshape(2, 16, 16).astype(dtype)
    scan = make_scan(patterns=patterns, domain="counts", positions_px=np.array([[10.0, 10], [12, 12]]))
    found = ScanTensors(scan).counts_of(slice(None))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), patterns.astype(np.float32))


def test_gather_is_the_naive_loop(scan: Scan) -> None:
    batch = ScanTensors(scan).gather(GROUPS)
    for row, members in enumerate(GROUPS):
        corner = np.floor(scan.positions_px[members] + 0.5).min(axis=0)
        centre = scan.positions_px[members].mean(axis=0)
        for column, pattern in enumerate(members):
            position = scan.positions_px[pattern]
            whole = np.floor(position + 0.5)
            assert int(batch.index[row, column]) == pattern
            np.testing.assert_array_equal(batch.amplitude[row, column], scan.patterns[pattern])
            np.testing.assert_array_equal(batch.whole_px[row, column], whole - corner + 9)
            np.testing.assert_allclose(batch.remainder_px[row, column], position - whole, atol=1e-5)
            np.testing.assert_allclose(batch.relative_px[row, column], position - centre, atol=1e-5)
            np.testing.assert_allclose(batch.labels[row, column], scan.truth_patches[pattern])
    assert batch.whole_px.dtype == torch.int64
    assert batch.amplitude.dtype == batch.remainder_px.dtype == batch.relative_px.dtype == torch.float32
    assert batch.measured is None


@pytest.mark.parametrize("size", [16, 15])
def test_the_canvas_holds_every_window_and_one_pixel_around(make_scan: MakeScan, size: int) -> None:
    scan = make_scan(size=size, positions_px=asymmetric_positions(12))
    batch = ScanTensors(scan).gather(GROUPS)
    first = batch.whole_px - size // 2
    last = first + size - 1
    assert first.amin((0, 1)).tolist() == [1, 1]
    assert (last.amax((0, 1)) + 2).tolist() == list(batch.canvas_shape)
    exact = batch.whole_px + batch.remainder_px  # a bilinear window reaches over one pixel more
    assert bool((exact - size // 2 >= 0).all())
    assert bool((exact - size // 2 + size <= torch.tensor(batch.canvas_shape)).all())


def test_relative_positions_sum_to_zero_in_every_group(scan: Scan) -> None:
    relative = ScanTensors(scan).gather(GROUPS).relative_px
    assert relative.abs().max() > 1
    np.testing.assert_allclose(relative.sum(1), 0, atol=1e-4)


@pytest.mark.parametrize("domain", ["amplitude", "counts"])
def test_the_network_sees_amplitudes_in_either_domain(make_scan: MakeScan, domain: str) -> None:
    counts = np.random.default_rng(1).integers(1, 9, (12, 16, 16)).astype(np.uint16) ** 2
    patterns = counts if domain == "counts" else np.sqrt(counts).astype(np.float32)
    tensors = ScanTensors(make_scan(patterns=patterns, domain=domain))
    np.testing.assert_array_equal(tensors.amplitude, np.sqrt(counts))
    assert tensors.mean_counts_per_pattern() == pytest.approx(counts.sum((1, 2)).mean(), rel=1e-6)


def bad_pixels(per_pattern: bool) -> np.ndarray:
    bad = np.random.default_rng(5).random((12, 16, 16) if per_pattern else (16, 16)) < 0.2
    bad[..., 8, 8] = False
    return bad


@pytest.mark.parametrize("per_pattern", [False, True])
def test_masks_follow_their_patterns(make_scan: MakeScan, per_pattern: bool) -> None:
    bad = bad_pixels(per_pattern)
    batch = ScanTensors(make_scan(bad_pixels=bad)).gather(GROUPS)
    np.testing.assert_array_equal(batch.measured, ~bad[GROUPS] if per_pattern else ~bad)


@pytest.mark.parametrize("per_pattern", [False, True])
def test_what_bad_pixels_hold_does_not_get_in(make_scan: MakeScan, per_pattern: bool) -> None:
    bad = bad_pixels(per_pattern)
    patterns = make_scan().patterns
    garbage = np.where(bad, np.float32(1e30), patterns)
    clean, dirty = (ScanTensors(make_scan(patterns=p, bad_pixels=bad)) for p in (patterns, garbage))
    assert torch.equal(clean.amplitude, dirty.amplitude)
    assert clean.mean_counts_per_pattern() == dirty.mean_counts_per_pattern()


@pytest.mark.parametrize("mask", [None, "shared", "per_pattern"])
def test_mean_count_is_over_the_measured_pixels_of_the_given_patterns(make_scan: MakeScan, mask: str | None) -> None:
    changes: dict[str, Any] = {} if mask is None else {"bad_pixels": bad_pixels(mask == "per_pattern")}
    scan = make_scan(**changes)
    scan = make_scan(patterns=scan.patterns * np.arange(1, 13, dtype=np.float32)[:, None, None], **changes)
    some = np.array([1, 4, 11])
    measured = (
        np.ones(scan.patterns.shape, bool) if mask is None else ~np.broadcast_to(scan.bad_pixels, scan.patterns.shape)
    )
    reference = np.square(scan.patterns.astype(float))[some][measured[some]].mean()
    assert ScanTensors(scan).mean_count(some) == pytest.approx(reference, rel=1e-5)


def test_a_mask_that_hides_nothing_is_no_mask(make_scan: MakeScan) -> None:
    assert ScanTensors(make_scan(bad_pixels=np.zeros((16, 16), bool))).measured is None


@pytest.mark.parametrize("order", [None, np.array([3, 0, 2])])
def test_batches_go_once_through_the_table(scan: Scan, order: np.ndarray | None) -> None:
    batches = list(ScanTensors(scan).batches(GROUPS, 3, order))
    expected = GROUPS if order is None else GROUPS[order]
    assert [len(batch.index) for batch in batches] == ([3, 1] if order is None else [3])
    np.testing.assert_array_equal(np.concatenate([batch.index for batch in batches]), expected)


def test_labels_can_be_given_beside_the_scan(scan: Scan) -> None:
    labels = np.full((12, 16, 16), 2j, np.complex64)
    batch = ScanTensors(scan, labels=labels).gather(GROUPS)
    assert bool((batch.labels == 2j).all())
    assert ScanTensors(scan).gather(GROUPS).labels is not None


def test_the_scan_itself_is_not_changed(make_scan: MakeScan) -> None:
    scan = make_scan(bad_pixels=bad_pixels(False))
    before = scan.patterns.copy()
    ScanTensors(scan)
    np.testing.assert_array_equal(scan.patterns, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("domain", ["counts", "amplitude"])
def test_patterns_stay_as_recorded_and_are_converted_when_selected(scan: Scan, dtype: type, domain: str) -> None:
    largest = 250 if dtype == np.uint8 else 60_000 if dtype == np.uint16 else 3_000_000_000
    largest = 2_000_000_000 if dtype == np.int32 else largest
    values = np.random.default_rng(0).integers(0, largest, scan.patterns.shape).astype(dtype)
    values.setflags(write=False)
    bad = np.random.default_rng(1).random(scan.patterns.shape) < 0.1
    recorded = replace(scan, patterns=values, domain=domain, bad_pixels=bad)
    tensors, index = ScanTensors(recorded), torch.tensor([[5, 2], [0, 5]])
    for found, expected in (
        (tensors.amplitude_of(index), recorded.amplitudes()),
        (tensors.counts_of(index), recorded.counts()),
    ):
        np.testing.assert_allclose(found, np.where(bad, 0, expected)[index.numpy()], rtol=1e-6)
    np.testing.assert_allclose(tensors.amplitude, np.where(bad, 0, recorded.amplitudes()), rtol=1e-6)
    assert np.shares_memory(tensors._patterns._values.numpy(), values)
