"""A background and an unsteady beam are found from the patterns alone, and not where there are none."""

from dataclasses import replace

import numpy as np
import pytest

from ptychopinn import info, simulate
from ptychopinn.data import Scan

SETTINGS = ["simulation.object_size_px=120", "simulation.probe_size_px=48", "simulation.photons_per_pattern=1e5"]
SETTINGS += ["simulation.step_px=5"]


def scan_of(seed: int, *more: str) -> Scan:
    return simulate(overrides=[*SETTINGS, f"simulation.seed={seed}", *more]).scan


@pytest.fixture(scope="module", params=[1, 2, 3])
def scan(request: pytest.FixtureRequest) -> Scan:
    kind = ("siemens_star", "dead_leaves", "composite")[request.param - 1]
    return scan_of(request.param, f"simulation.object_kind={kind}")


def test_a_good_scan_shows_neither(scan: Scan) -> None:
    about = info(scan)

    assert about.background_photons == 0
    assert about.beam_variation == 0


@pytest.mark.parametrize("photons", [3.0, 20.0])
def test_background_of_the_corners(scan: Scan, photons: float) -> None:
    noise = np.random.default_rng(0).poisson(photons, scan.patterns.shape)
    about = info(replace(scan, patterns=scan.patterns + noise))

    assert about.background_photons == pytest.approx(photons, rel=0.15)
    assert any("--set model.background=" in text for text in about.problems)


@pytest.mark.parametrize("rms", [0.05, 0.1])
def test_variation_of_the_beam(scan: Scan, rms: float) -> None:
    factors = 1 + rms * np.random.default_rng(0).standard_normal(len(scan))
    about = info(replace(scan, patterns=np.rint(scan.patterns * factors[:, None, None])))

    assert about.beam_variation == pytest.approx(rms, rel=0.3)
    assert any("reconstruction.refine.intensities=fitted" in text for text in about.problems)
    assert about.background_photons == 0


def test_a_transmission_that_varies_from_place_to_place_is_no_unsteady_beam() -> None:
    """Fine structure of high contrast, under a beam of a few pixels."""
    fine = ["simulation.object_kind=gaussian_field", "simulation.amplitude_min=0.1", "simulation.probe_diameter_px=7"]
    scan = scan_of(4, *fine)
    photons = scan.patterns.sum(axis=(1, 2))

    assert photons.std() > 0.1 * photons.mean()
    assert info(scan).beam_variation == 0


def test_marked_pixels_are_no_corners(scan: Scan) -> None:
    """A frame of the detector with a constant value, masked."""
    bad = np.ones(scan.patterns.shape[1:], bool)
    bad[8:-8, 8:-8] = False
    framed = replace(scan, patterns=np.where(bad, 7, scan.patterns), bad_pixels=bad)

    assert info(framed).background_photons == 0


def test_each_object_has_its_own_photons(scan: Scan) -> None:
    """Two scans side by side in one file, one of them with half of the photons."""
    index = np.arange(len(scan)) % 2
    dimmed = np.where(index[:, None, None] == 1, scan.patterns // 2, scan.patterns)

    assert info(replace(scan, patterns=dimmed, scan_index=index, object_guess=None)).beam_variation == 0
