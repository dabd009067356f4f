"""Beam stop, dead and hot pixels: where they are, what they record, and that a scan says so."""

import numpy as np
import pytest

from ptychopinn import info
from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import draw_defects, simulate

SMALL = SimulationConfig(object_size_px=56, probe_size_px=24, step_px=6, seed=7, probe_kind="disk")


@pytest.mark.parametrize(("diameter", "pixels"), [(0, 0), (1, 1), (3, 9), (5, 21)])
@pytest.mark.parametrize("size", [24, 25])
def test_beamstop_lies_on_the_zero_frequency(diameter: float, pixels: int, size: int) -> None:
    stop = draw_defects(size, np.random.default_rng(0), beamstop_diameter_px=diameter).dark
    assert stop.sum() == pixels
    if pixels:
        y, x = np.nonzero(stop)
        assert (y.mean(), x.mean()) == (size // 2, size // 2)


def test_fraction_of_bad_pixels_is_half_dead_and_half_hot() -> None:
    defects = draw_defects(50, np.random.default_rng(0), bad_pixel_fraction=0.04)
    assert (defects.dark.sum(), defects.hot.sum()) == (50, 50)
    assert defects.bad_pixels is not None
    assert defects.bad_pixels.sum() == 100


def test_a_hot_pixel_behind_the_beam_stop_is_dark() -> None:
    defects = draw_defects(24, np.random.default_rng(0), beamstop_diameter_px=18, bad_pixel_fraction=0.3)
    assert not (defects.dark & defects.hot).any()
    assert defects.dark[12, 12]


def test_a_perfect_detector_has_no_mask_and_changes_nothing() -> None:
    defects = draw_defects(24, np.random.default_rng(0))
    patterns = np.arange(24 * 24, dtype=np.uint16).reshape(1, 24, 24)
    assert defects.bad_pixels is None
    assert defects.recorded(patterns) is patterns
    assert simulate(SMALL).bad_pixels is None


def test_dark_pixels_count_nothing_hot_ones_a_constant_and_the_others_what_they_did() -> None:
    clean = simulate(SMALL)
    scan = simulate(SMALL.changed(beamstop_diameter_px=5.0, bad_pixel_fraction=0.1))
    bad = scan.bad_pixels
    assert bad is not None
    assert bad.shape == (24, 24)
    np.testing.assert_array_equal(scan.patterns[:, ~bad], clean.patterns[:, ~bad])
    hot = scan.patterns[:, bad].max(axis=0) > 0
    assert np.unique(scan.patterns[:, bad][:, hot]).tolist() == [min(65535, 10 * int(clean.patterns.max()))]
    assert 0 < hot.sum() < hot.size
    assert scan.patterns.dtype == clean.patterns.dtype


def test_expected_counts_get_hot_pixels_too() -> None:
    scan = simulate(SMALL.changed(poisson_noise=False, bad_pixel_fraction=0.1))
    assert scan.bad_pixels is not None
    measured = scan.patterns[:, ~scan.bad_pixels].max()
    assert scan.patterns.max() > 5 * measured


def test_other_seeds_have_other_bad_pixels() -> None:
    masks = [simulate(SMALL.changed(bad_pixel_fraction=0.1, seed=s)).bad_pixels for s in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_info_reports_the_part_that_measures_nothing() -> None:
    scan = simulate(SMALL.changed(bad_pixel_fraction=0.25))
    about = info(scan)
    assert about.bad_pixel_fraction == pytest.approx(0.25, abs=0.001)
    assert about.brightest_pixel_photons < scan.patterns.max()
