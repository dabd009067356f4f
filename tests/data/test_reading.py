"""Changes of how a scan is read: they combine as they act, and as the settings of `data` ask for."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ptychopinn.api.open_settings import OPEN
from ptychopinn.config import DataConfig, Recipe
from ptychopinn.data import Scan
from ptychopinn.data.adjust import adjusted
from ptychopinn.data.reading import EIGHT, Axes, ReadingConvention
from ptychopinn.errors import ScanError

CHANGES = [
    ReadingConvention(Axes(True, True, False)),
    ReadingConvention(Axes(False, False, True), patterns=Axes(True, False, True)),
    ReadingConvention(patterns=Axes(False, True, False), conjugate=True),
    ReadingConvention(reverse=True),
    ReadingConvention(shift=2),
    ReadingConvention(reverse=True, shift=-1),
    ReadingConvention(scale=2.0, domain="amplitude", fftshift=True),
]


def test_every_setting_that_a_check_names_can_be_given_beside_a_trained_model() -> None:
    named = {text.partition("=")[0] for change in CHANGES for text in change.settings(DataConfig())}
    assert named
    assert named <= set(OPEN)


@pytest.fixture
def scan() -> Scan:
    rng = np.random.default_rng(0)
    patterns = rng.poisson(5.0, (9, 8, 8)).astype(np.float32)
    probe = (rng.standard_normal((1, 8, 8)) + 1j * rng.standard_normal((1, 8, 8))).astype(np.complex64)
    return Scan(patterns, "counts", rng.uniform(0, 40, (9, 2)), probe, scan_index=np.arange(9))


def assert_same(one: Scan, other: Scan) -> None:
    """But for a shift of all positions, on the patterns of both."""
    assert one.scan_index is not None
    assert other.scan_index is not None
    common, mine, theirs = np.intersect1d(one.scan_index, other.scan_index, return_indices=True)
    assert len(common) >= 5
    np.testing.assert_array_equal(one.patterns[mine], other.patterns[theirs])
    np.testing.assert_array_equal(one.probe, other.probe)
    apart = one.positions_px[mine] - other.positions_px[theirs]
    np.testing.assert_allclose(apart, np.broadcast_to(apart[0], apart.shape), atol=1e-9)
    assert one.domain == other.domain


@pytest.mark.parametrize(("first", "second"), list(product(CHANGES, CHANGES)))
def test_two_changes_are_one(scan: Scan, first: ReadingConvention, second: ReadingConvention) -> None:
    assert_same(first.then(second).scan(scan), second.scan(first.scan(scan)))


@pytest.mark.parametrize("change", CHANGES)
def test_settings_ask_for_the_same(scan: Scan, change: ReadingConvention) -> None:
    """Also added to settings that are given already."""
    given = DataConfig(flip_positions="y", transpose_patterns=True, reverse_positions=True)
    settings = change.settings(given)
    both = Recipe(data=given).with_overrides(settings).data
    assert_same(change.scan(ReadingConvention.of(given).scan(scan)), ReadingConvention.of(both).scan(scan))


def test_no_change_has_no_settings() -> None:
    assert ReadingConvention().settings(DataConfig(swap_positions=True, shift_positions=3)) == ()


def test_the_eight_orientations_form_a_group() -> None:
    assert len(set(EIGHT)) == 8
    assert {one.then(other) for one, other in product(EIGHT, EIGHT)} == set(EIGHT)


@pytest.mark.parametrize("shift", [1, -2])
def test_shifted_positions_leave_out_patterns_without_one(scan: Scan, shift: int) -> None:
    numbered = replace(scan, scan_index=np.arange(9), nominal_positions_px=scan.positions_px + 0.5)
    moved = adjusted(numbered, DataConfig(shift_positions=shift))
    assert moved.scan_index is not None
    assert moved.nominal_positions_px is not None
    np.testing.assert_array_equal(moved.positions_px, scan.positions_px[moved.scan_index + shift])
    np.testing.assert_array_equal(moved.nominal_positions_px, moved.positions_px + 0.5)
    np.testing.assert_array_equal(moved.patterns, scan.patterns[moved.scan_index])
    assert len(moved) == 9 - abs(shift)
    assert f"{abs(shift)} patterns have none" in moved.notes[-1]


def test_a_shift_beyond_the_scan_is_refused(scan: Scan) -> None:
    with pytest.raises(ScanError, match="shift_positions must be smaller than the number of patterns"):
        adjusted(scan, DataConfig(shift_positions=9))
