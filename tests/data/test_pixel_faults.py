"""Gaps and dead pixels are found where zero is impossible, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import info, simulate
from ptychopinn.data import Scan
from ptychopinn.data.pixel_faults import dead_pixels, hot_pixels_of, total_photons, with_masked_pixels

N = 64


@pytest.fixture(scope="module")
def scan() -> Scan:
    settings = ["simulation.object_size_px=150", "simulation.photons_per_pattern=1e6"]
    return replace(simulate(overrides=settings).scan, object_guess=None)


@pytest.fixture(scope="module")
def gap() -> np.ndarray:
    cross = np.zeros((N, N), bool)
    cross[40:43] = cross[:, 40:43] = True
    return cross


def test_a_module_gap_is_found_marked_and_named(scan, gap) -> None:
    counts = scan.patterns.copy()
    counts[:, gap] = 0
    lost = replace(scan, patterns=counts)
    found = dead_pixels(total_photons(lost), None)
    assert not (found & ~gap).any()
    missed = total_photons(scan)[gap & ~found].sum() / total_photons(scan)[gap].sum()
    assert missed < 0.01, "photons of gap pixels that were not found"
    masked = with_masked_pixels(lost, ("dead",))
    np.testing.assert_array_equal(masked.bad_pixels, found)
    (note,) = masked.notes
    assert note.startswith(f"{found.sum()} dead pixels are marked bad: ")
    assert any("--mask-pixels dead" in sentence for sentence in info(lost).problems)
    assert not any("zero in every pattern" in sentence for sentence in info(masked).problems)


@pytest.mark.parametrize("photons", ["1e6", "1e3"])
def test_dark_corners_of_a_good_detector_are_no_gap(photons) -> None:
    made = simulate(overrides=["simulation.object_size_px=150", f"simulation.photons_per_pattern={photons}"]).scan
    assert not dead_pixels(total_photons(made), None).any()


@pytest.mark.parametrize(("photons", "least"), [("1e6", 1.0), ("1e5", 0.9), ("1e4", 0.0)])
def test_a_gap_in_the_dim_region_is_found_where_photons_tell_it(photons, least) -> None:
    """375 pixels in a corner, whose neighbours hold far fewer than 1000 photons each."""
    made = simulate(overrides=["simulation.object_size_px=150", f"simulation.photons_per_pattern={photons}"]).scan
    gap = np.zeros((N, N), bool)
    gap[3:18, 4:29] = True
    counts = made.patterns.copy()
    counts[:, gap] = 0
    lost = replace(made, patterns=counts, object_guess=None)
    total = total_photons(made)
    found = with_masked_pixels(lost, ("dead",)).bad_pixels
    found = np.zeros((N, N), bool) if found is None else found
    assert not (found & ~gap & (total > 0)).any()
    assert total[gap & found].sum() >= least * total[gap].sum()
    if least == 1.0:
        assert dead_pixels(total_photons(lost), None)[gap].mean() > 0.5, "without a known probe"
        assert any("--mask-pixels dead" in sentence for sentence in info(lost).problems)


def test_the_dark_centre_and_the_outside_of_an_aperture_are_no_gap() -> None:
    """The far field of a zone plate without a sample: a bright ring with sharp edges, and no photon elsewhere."""
    y, x = np.mgrid[:N, :N] - N // 2
    ring = (np.hypot(y, x) < 20) & (np.hypot(y, x) > 6)
    total = np.where(ring, 900.0, 0.0)
    assert dead_pixels(total, None).any(), "the case must be one that neighbours alone call a gap"
    assert not dead_pixels(total, None, total).any()
    lost = total.copy()
    lost[30:34, 40:46] = 0
    assert dead_pixels(lost, None, total).sum() == 24


def test_marked_pixels_are_not_listed_again(scan, gap) -> None:
    counts = scan.patterns.copy()
    counts[:, gap] = 0
    assert not any("dead" in sentence for sentence in info(replace(scan, patterns=counts, bad_pixels=gap)).problems)


@pytest.mark.parametrize("excess", [300.0, 1e5])
def test_hot_pixels_are_found_marked_and_named(scan, excess) -> None:
    """Single ones and two side by side, in the dim part of the detector; a file is read without them."""
    hot = np.zeros((N, N), bool)
    hot[[5, 58, 58, 40], [60, 3, 4, 2]] = True
    counts = scan.patterns.astype(np.int64)
    counts[:, hot] += np.random.default_rng(0).poisson(excess, (len(counts), hot.sum()))
    spoilt = replace(scan, patterns=counts)
    masked = with_masked_pixels(spoilt, ("dead", "hot"))
    np.testing.assert_array_equal(masked.bad_pixels, hot)
    assert masked.notes == ("4 hot pixels are marked bad: pixels (row, column) (5, 60), (40, 2), (58, 3), (58, 4).",)
    assert any("--mask-pixels hot" in sentence for sentence in info(spoilt).problems)
    assert not any("--mask-pixels" in sentence for sentence in info(masked).problems)
    as_amplitudes = replace(spoilt, patterns=np.sqrt(counts), domain="amplitude")
    np.testing.assert_array_equal(hot_pixels_of(as_amplitudes), hot)


def test_a_bright_pixel_of_a_few_patterns_is_not_hot(scan) -> None:
    counts = scan.patterns.astype(np.int64)
    counts[: len(scan) // 2, 5, 60] += 10**5
    assert not hot_pixels_of(replace(scan, patterns=counts)).any()


@pytest.mark.parametrize("probe", ["zone_plate", "ideal_disk", "disk", "gaussian", "zernike"])
@pytest.mark.parametrize("kind", ["siemens_star", "gaussian_field", "points"])
def test_no_pixel_of_a_good_scan_is_hot(probe, kind) -> None:
    """Sharp speckles, direct beams of weak objects, wide and narrow beams, few and many photons."""
    rng = np.random.default_rng(len(probe) + 31 * len(kind))
    settings = [f"simulation.probe_kind={probe}", f"simulation.object_kind={kind}", "simulation.object_size_px=120"]
    for width in (9, 32):
        photons = 10 ** rng.uniform(3, 7)
        drawn = [f"simulation.probe_diameter_px={width}", f"simulation.photons_per_pattern={photons}"]
        drawn += [f"simulation.amplitude_min={rng.uniform(0.4, 0.95)}", f"simulation.seed={rng.integers(1000)}"]
        made = simulate(overrides=[*settings, *drawn]).scan
        assert not hot_pixels_of(made).any()
        assert not hot_pixels_of(replace(made, probe=None)).any()


def test_pixels_that_are_always_saturated_are_marked(scan) -> None:
    counts = scan.patterns.astype(np.uint32)
    counts[:, 5, 7] = 2**32 - 1
    masked = with_masked_pixels(replace(scan, patterns=counts), ("dead", "saturated"))
    assert np.argwhere(masked.bad_pixels).tolist() == [[5, 7]]


def test_a_sample_of_a_long_scan_is_summed_first(scan, gap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it shows that no pixel is dead, the other frames are not read; where one may be, all are."""
    long = replace(
        scan,
        patterns=np.concatenate([scan.patterns] * 3),
        positions_px=np.concatenate([scan.positions_px] * 3),
    )
    assert len(long) > 4 * 64
    lost = replace(long, patterns=np.where(gap, 0, long.patterns))
    wanted = dead_pixels(total_photons(lost), None)
    np.testing.assert_array_equal(with_masked_pixels(lost, ("dead",)).bad_pixels, wanted)

    def refused(part: Scan, step: int = 1) -> np.ndarray:
        assert step > 1, "all frames were summed"
        return total_photons(part, step)

    monkeypatch.setattr("ptychopinn.data.pixel_faults.total_photons", refused)
    assert with_masked_pixels(long, ("dead",)) is long
    with pytest.raises(AssertionError, match="all frames were summed"):
        with_masked_pixels(lost, ("dead",))


@pytest.mark.parametrize("values", [b"text", 1j, "text"], ids=["bytes", "complex", "text"])
def test_what_is_no_number_is_left_to_the_check_of_the_scan(scan, values: object) -> None:
    """A changed file ended in a traceback of NumPy here."""
    shape = scan.patterns.shape
    for name in ("patterns", "bad_pixels", "probe")[: 2 if values == 1j else 3]:
        wrong = Scan.__new__(Scan)
        for field, value in vars(scan).items():
            object.__setattr__(wrong, field, value)
        object.__setattr__(wrong, name, np.full(shape, values))
        assert with_masked_pixels(wrong, ("dead", "hot", "saturated")) is wrong
