"""What a scan must hold, and what it is told when it does not."""

import numpy as np
import pytest

from ptychopinn.data import Scan
from ptychopinn.data.scan import checked_scan
from ptychopinn.errors import ScanError


def frames(n: int = 12, size: int = 16) -> np.ndarray:
    return np.full((n, size, size), 2.0, np.float32)


def spoiled(value: float, at: tuple[int, ...] = (3, 1, 2)) -> np.ndarray:
    values = frames()
    values[at] = value
    return values


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (1, 16, 16)])
def test_a_probe_gets_its_modes_axis(make_scan, shape) -> None:
    probe = (np.arange(256.0) + 1j).reshape(shape)
    scan = make_scan(probe=probe)
    assert scan.probe.shape == (1, 16, 16)
    assert scan.probe.dtype == np.complex64
    np.testing.assert_array_equal(scan.probe.ravel(), probe.ravel().astype(np.complex64))


def test_modes_stay(make_scan) -> None:
    assert make_scan(probe=np.ones((3, 16, 16), complex)).probe.shape == (3, 16, 16)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "f4", "f8", ">f4", ">u2"])
def test_patterns_keep_their_type_in_native_order(make_scan, dtype) -> None:
    scan = make_scan(patterns=frames().astype(dtype))
    assert scan.patterns.dtype == np.dtype(dtype).newbyteorder("=")
    assert scan.patterns.dtype.isnative
    assert (scan.patterns == 2).all()


def test_everything_else_is_normalised(make_scan) -> None:
    scan = make_scan(
        patterns=np.asfortranarray(frames()),
        positions_px=np.arange(24).reshape(12, 2),
        nominal_positions_px=np.arange(24).reshape(12, 2),
        object_guess=np.ones((40, 50)),
        truth_patches=np.ones((12, 16, 16), np.complex128),
        bad_pixels=np.eye(16, dtype=np.uint8),
        scan_index=np.zeros(12, np.int32),
    )
    assert scan.patterns.flags.c_contiguous
    assert scan.positions_px.dtype == scan.nominal_positions_px.dtype == np.float64
    assert scan.object_guess.dtype == scan.truth_patches.dtype == np.complex64
    assert scan.bad_pixels.dtype == np.bool_
    assert scan.scan_index.dtype == np.int64


REFUSALS = [
    ({"domain": "intensity"}, r"domain is 'intensity'; must be 'amplitude' or 'counts'"),
    ({"patterns": frames().astype(np.complex64)}, r"patterns are complex;.*absolute value"),
    ({"patterns": frames().astype(object)}, r"patterns have type object;.*numpy\.asarray"),
    ({"patterns": frames()[0]}, r"patterns have shape \(16, 16\); must be \(N, H, W\)"),
    ({"patterns": frames()[..., None]}, r"patterns have shape \(12, 16, 16, 1\)"),
    ({"patterns": frames()[:0]}, r"shape \(0, 16, 16\);.*at least one pattern"),
    ({"patterns": frames()[:, :, :12]}, r"16 x 12 pixels; must be square"),
    ({"patterns": frames(11)}, r"11 patterns but 12 positions"),
    ({"patterns": spoiled(np.nan)}, r"NaN or infinite values in 1 of 12 patterns \(index 3\)"),
    ({"patterns": spoiled(np.inf)}, r"NaN or infinite values in 1 of 12 patterns \(index 3\)"),
    ({"patterns": spoiled(-1.5)}, r"negative values \(down to -1\.5\) in 1 of 12 patterns \(index 3\)"),
    ({"patterns": np.zeros_like(frames())}, r"all 12 patterns are zero everywhere"),
    ({"patterns": spoiled(0, (slice(2, 4),))}, r"no counts at all in 2 of 12 patterns \(index 2, 3\).*drop"),
    (
        {"patterns": spoiled(0, (slice(0, 11),))},
        r"11 of 12 patterns \(index 0, .*, 7, \.\.\.\)",
    ),
    ({"positions_px": np.zeros((12, 3))}, r"positions have shape \(12, 3\); must be \(N, 2\)"),
    ({"positions_px": np.full((12, 2), np.nan)}, r"positions hold 24 NaN or infinite values.*index \(0, 0\)"),
    ({"positions_px": np.full((12, 2), "a")}, r"positions have type <U1; must be float64"),
    ({"positions_px": np.ones((12, 2), complex)}, r"positions have type complex128"),
    ({"nominal_positions_px": np.zeros((11, 2))}, r"12 patterns but 11 nominal positions"),
    ({"probe": np.ones(16)}, r"probe has shape \(16,\); must be \(H, W\)"),
    ({"probe": np.ones((0, 16, 16))}, r"probe has shape \(0, 16, 16\)"),
    ({"probe": np.ones((1, 1, 16, 16))}, r"probe has shape \(1, 1, 16, 16\)"),
    ({"probe": np.ones((32, 32))}, r"probe is 32 x 32 pixels but the patterns are 16 x 16"),
    ({"probe": np.zeros((16, 16))}, r"probe is zero everywhere"),
    ({"probe": np.full((16, 16), np.inf)}, r"probe hold 256 NaN or infinite"),
    ({"probe": np.full((16, 16), 1e60)}, r"probe hold 256 NaN or infinite"),
    ({"probe": np.full((16, 16), None)}, r"probe have type object"),
    ({"object_guess": np.ones((1, 4, 4))}, r"object guess has shape \(1, 4, 4\); must be \(Y, X\)"),
    ({"object_guess": np.full((4, 4), np.nan)}, r"object guess hold 16 NaN"),
    ({"truth_patches": np.ones((12, 8, 8))}, r"ground-truth patches have shape \(12, 8, 8\)"),
    ({"truth_patches": np.full((12, 16, 16), np.nan)}, r"ground-truth patches hold 3072 NaN"),
    ({"bad_pixels": np.zeros((8, 8), bool)}, r"bad_pixels has shape \(8, 8\); must be \(16, 16\)"),
    ({"bad_pixels": np.ones((16, 16), bool)}, r"bad_pixels marks every pixel"),
    ({"scan_index": np.zeros(11, int)}, r"scan_index has shape \(11,\)"),
    ({"scan_index": np.full(12, 0.5)}, r"scan_index .*one whole number for each of the 12 patterns"),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS, ids=[message[:50] for _, message in REFUSALS])
def test_refusals(make_scan, change, message) -> None:
    make_scan()
    with pytest.raises(ScanError, match=message) as caught:
        make_scan(**change)
    assert str(caught.value).startswith("memory: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -7.0])
def test_bad_pixels_may_hold_anything_and_are_cleaned(make_scan, value, each) -> None:
    bad = np.zeros((12, 16, 16), bool)
    bad[:, 1, 2] = True
    patterns = spoiled(value, (slice(None), 1, 2))
    before = patterns.copy()
    scan = make_scan(patterns=patterns, bad_pixels=bad if each else bad[0])
    assert (scan.patterns[:, 1, 2] == 0).all()
    assert (scan.patterns[~bad] == 2).all()
    np.testing.assert_array_equal(patterns, before)


def test_sound_values_of_bad_pixels_stay_as_recorded(make_scan) -> None:
    scan = make_scan(bad_pixels=np.eye(16, dtype=bool))
    np.testing.assert_array_equal(scan.patterns, make_scan().patterns)


def test_a_frame_with_counts_in_bad_pixels_only_is_dark(make_scan) -> None:
    patterns = frames()
    patterns[4] = 0
    patterns[4, 0, 0] = 9
    with pytest.raises(ScanError, match=r"no counts at all in 1 of 12 patterns \(index 4\)"):
        make_scan(patterns=patterns, bad_pixels=np.pad([[True]], ((0, 15), (0, 15))))


def test_values_are_checked_in_runs_of_frames(make_scan, monkeypatch) -> None:
    monkeypatch.setattr("ptychopinn.data.chunks.frame_chunks.__defaults__", (None, 5 * 256))
    with pytest.raises(ScanError, match=r"in 2 of 12 patterns \(index 3, 11\)"):
        make_scan(patterns=spoiled(-1, ([3, 11], 0, 0)))
    assert len(make_scan()) == 12


def test_checking_twice_changes_nothing(make_scan) -> None:
    scan = make_scan()
    again = checked_scan(scan)
    assert np.shares_memory(again.patterns, scan.patterns)
    np.testing.assert_array_equal(again.patterns, scan.patterns)
    np.testing.assert_array_equal(again.probe, scan.probe)


def test_counts_are_converted_before_they_are_squared() -> None:
    scan = Scan(np.full((1, 2, 2), 300, np.uint16), "amplitude", np.zeros((1, 2)), np.ones((1, 2, 2), np.complex64))
    assert (scan.counts() == 90000).all()
