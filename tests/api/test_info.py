"""What `info` measures, and what it calls a problem."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Scan, info
from ptychopinn.api.scan_info import rows
from ptychopinn.data.scan import PROBE_ESTIMATED
from ptychopinn.data.start_probe import rms_diameter_px

SMALL = ["simulation.object_size_px=84", "simulation.probe_size_px=32", "simulation.step_px=4"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """A scan without fault: 121 patterns of 32 px."""
    return ptychopinn.simulate(overrides=SMALL).scan


def test_a_good_scan_has_no_problems(scan: Scan) -> None:
    assert info(scan).problems == ()


def test_numbers_of_a_scan(scan: Scan) -> None:
    about = info(scan)

    assert (about.patterns, about.pattern_size_px, about.dtype) == (144, 32, "uint16")
    assert about.domain == "counts"
    assert about.mean_photons_per_pattern == pytest.approx(scan.patterns.sum(axis=(1, 2)).mean())
    assert about.brightest_pixel_photons == scan.patterns.max()
    assert about.mode_powers == (1.0,)
    assert about.object_guess == "84 x 84 px"
    assert about.field_of_view_px[0] == pytest.approx(np.ptp(scan.positions_px[:, 0]) + about.probe_diameter_px)


def test_amplitudes_are_described_like_their_counts(scan: Scan) -> None:
    about = info(scan)
    same = info(replace(scan, patterns=np.sqrt(scan.patterns.astype(np.float64)), domain="amplitude"))

    assert same.mean_photons_per_pattern == pytest.approx(about.mean_photons_per_pattern)
    assert same.photon_ratio == pytest.approx(about.photon_ratio)
    assert same.problems == ()


def test_an_estimated_probe_is_not_called_calibrated(scan: Scan) -> None:
    given = dict(rows(info(scan)))["photons / probe's photons"]
    marked = replace(scan, metadata={**scan.metadata, PROBE_ESTIMATED: True})
    estimated = dict(rows(info(marked)))["photons / probe's photons"]

    assert "calibrated" in given
    assert "calibrated" not in estimated
    assert "relative" in estimated


def test_overlap_on_a_regular_grid() -> None:
    raster = ["simulation.scan_kind=raster", "simulation.probe_kind=gaussian"]
    about = info(ptychopinn.simulate(overrides=[*SMALL, *raster]).scan)

    assert about.step_px == pytest.approx(4)
    assert about.probe_diameter_px == pytest.approx(32 / 3, rel=0.01)
    assert about.overlap == pytest.approx(1 - 4 / about.probe_diameter_px)


def test_power_of_the_modes() -> None:
    about = info(ptychopinn.simulate(overrides=[*SMALL, "simulation.probe_modes=3"]).scan)

    np.testing.assert_allclose(about.mode_powers, np.array([1, 0.4, 0.16]) / 1.56, rtol=1e-5)
    assert "3 modes (64.1%, 25.6%, 10.3%)" in str(about)


def test_diameter_of_a_disk_and_of_a_point() -> None:
    y, x = np.indices((101, 101)) - 50
    assert rms_diameter_px((y**2 + x**2 <= 40**2).astype(float)) == pytest.approx(40 * 2**0.5, rel=0.01)
    assert rms_diameter_px(np.eye(1)) == 1.0


def with_counts(scan: Scan, change: Callable[[np.ndarray], np.ndarray]) -> Scan:
    return replace(scan, patterns=change(scan.patterns.astype(np.float64)))


def saturate(counts: np.ndarray) -> np.ndarray:
    return np.minimum(counts, np.quantile(counts, 0.999))


def weaken_one(counts: np.ndarray) -> np.ndarray:
    counts[5] *= 0.01
    return counts


def add_background(counts: np.ndarray) -> np.ndarray:
    return counts + np.random.default_rng(0).poisson(200, counts.shape)


def fill_the_edge(counts: np.ndarray) -> np.ndarray:
    """Photons that vary like the pattern, at the edge of the detector."""
    return counts + np.roll(counts, (16, 16), (1, 2))


def flicker(counts: np.ndarray) -> np.ndarray:
    factors = 1 + 0.2 * np.random.default_rng(0).standard_normal(len(counts))
    return np.rint(counts * factors[:, None, None])


def heat(counts: np.ndarray) -> np.ndarray:
    counts[:, [3, 20], [4, 28]] += np.random.default_rng(0).poisson(5000, (len(counts), 2))
    return counts


def lose_rows(counts: np.ndarray) -> np.ndarray:
    counts[:, 12:14] = 0
    return counts


FAULTS: dict[str, tuple[Callable[[Scan], Scan], str]] = {
    "few patterns": (lambda s: s.select(slice(9)), "only 9 patterns"),
    "duplicates": (lambda s: replace(s, positions_px=s.positions_px[[0, *range(143)]]), "1 positions repeat"),
    "low overlap": (
        lambda s: replace(s, positions_px=3 * s.positions_px, object_guess=None),
        "overlap by",
    ),
    "uncalibrated": (lambda s: replace(s, probe=1e-3 * s.probe), "not in sqrt(photons)"),
    "wrong domain": (lambda s: replace(s, domain="amplitude"), "--domain counts"),
    "low dose": (lambda s: with_counts(s, lambda c: c * 1e-3), "dose is very low"),
    "weak pattern": (lambda s: with_counts(s, weaken_one), "weakest pattern"),
    "saturation": (lambda s: with_counts(s, saturate), "saturated"),
    "background": (lambda s: with_counts(s, add_background), "--set model.background=200"),
    "cut patterns": (lambda s: with_counts(s, fill_the_edge), "outermost pixels of the detector"),
    "beam": (lambda s: with_counts(s, flicker), "refine.intensities=fitted"),
    "hot pixels": (lambda s: with_counts(s, heat), "pixels (row, column) (3, 4), (20, 28)): hot pixels"),
    "dead rows": (lambda s: with_counts(s, lose_rows), "(rows 12, 13)"),
    "cut probe": (lambda s: replace(s, probe=s.probe + np.abs(s.probe).max()), "touches the edge"),
    "bad pixels": (
        lambda s: replace(s, bad_pixels=np.arange(1024).reshape(32, 32) % 3 == 0),
        "33% of the pix",
    ),
    "object guess": (
        lambda s: replace(s, positions_px=s.positions_px - 30),
        "patches leave the object guess",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(scan: Scan, fault: str) -> None:
    spoil, words = FAULTS[fault]

    assert any(words in sentence for sentence in info(spoil(scan)).problems)


def test_bad_pixels_are_not_counted(scan: Scan) -> None:
    bad = np.zeros((32, 32), dtype=bool)
    bad[3, 4] = True
    hot = scan.patterns.astype(np.int64)
    hot[:, 3, 4] = 10**7
    about = info(replace(scan, patterns=hot, bad_pixels=bad))

    assert about.brightest_pixel_photons < 10**6
    assert about.bad_pixel_fraction == 1 / 1024


def test_scans_of_several_objects_do_not_count_as_duplicates(scan: Scan) -> None:
    twice = replace(
        scan.select(np.tile(np.arange(20), 2)), scan_index=np.repeat(np.array([0, 1]), 20), object_guess=None
    )

    about = info(twice)
    assert about.objects == 2
    assert about.duplicate_positions == 0


@pytest.mark.parametrize("photons", ["3e3", "1e5", "1e7"])
@pytest.mark.parametrize("probe", ["zone_plate", "ideal_disk", "gaussian", "zernike"])
def test_good_scans_of_other_beams_and_doses_have_no_problems(probe: str, photons: str) -> None:
    kinds = {"zone_plate": "siemens_star", "ideal_disk": "points", "gaussian": "dead_leaves", "zernike": "lines"}
    settings = [f"simulation.probe_kind={probe}", f"simulation.photons_per_pattern={photons}"]
    settings += [f"simulation.object_kind={kinds[probe]}", "simulation.probe_diameter_px=14", "simulation.seed=7"]

    assert info(ptychopinn.simulate(overrides=[*SMALL, *settings]).scan).problems == ()


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "name", ["siemens64.npz", "siemens128.npz", "siemens128.cxi", "synth_dev_1e4.npz", "synth_dev_1e6.npz"]
)
def test_the_scans_of_the_project_have_no_problems(shared_dir: Path, name: str) -> None:
    about = info(shared_dir / "data" / name)

    assert about.problems == ()
    assert (about.hot_pixels, about.background_photons, about.beam_variation) == (0, 0.0, 0.0)


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "diameter"), [("siemens64", 31), ("synth_dev_1e4", 22.5)])
def test_measured_and_simulated_scans(shared_dir: Path, name: str, diameter: float) -> None:
    about = info(shared_dir / "data" / f"{name}.npz")

    assert about.domain == "amplitude"
    assert about.problems == ()
    assert about.probe_diameter_px == pytest.approx(diameter, rel=0.15)
    assert 0.6 < about.overlap < 0.9
