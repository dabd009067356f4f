"""Energy, distances and pixels of the experiment."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ptychopinn.config import ModelConfig
from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry, energy_eV, source_distance_m, wavelength_m
from ptychopinn.data.io.entries import geometry_entries, split_entries
from ptychopinn.data.propagation import of_geometry
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

CONE = Geometry(12658.0, 1.12, 55e-6, 3.65e-3)
"""The near-field instrument of P25 by the distances that its authors give."""


def test_wavelength_and_energy() -> None:
    assert wavelength_m(12398.419843320026) == pytest.approx(1e-10)
    assert energy_eV(wavelength_m(8800.0)) == pytest.approx(8800.0)


def test_a_wavelength_that_contradicts_the_energy_gives_way() -> None:
    assert Geometry(8800.0, stated_wavelength_m=1.409e-10).wavelength_m == 1.409e-10
    assert Geometry(8800.0, stated_wavelength_m=2e-10).wavelength_m == wavelength_m(8800.0)


@pytest.mark.parametrize("name", ["energy_eV", "distance_m", "detector_pixel_m", "source_distance_m"])
@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, True, "8800", [1.0, -2.0]])
def test_a_number_that_is_not_positive_and_finite_is_refused(name: str, value: object) -> None:
    with pytest.raises(ScanError, match=rf"{name} must be a positive finite number, got .*; correct it"):
        Geometry(**{name: value})


def test_other_values_that_are_refused() -> None:
    with pytest.raises(ScanError, match=r"detector_pixel_m must be one length or two, \(y, x\), got \(1, 2, 3\)"):
        Geometry(detector_pixel_m=(1, 2, 3))
    with pytest.raises(ScanError, match="propagation must be 'far_field' or 'near_field', got 'middle'"):
        Geometry(propagation="middle")


@pytest.mark.parametrize("pixel", [75e-6, np.float32(75e-6), (75e-6, 75e-6), [75e-6, 75e-6], np.full(2, 75e-6)])
def test_one_number_is_a_square_pixel(pixel: object) -> None:
    assert Geometry(detector_pixel_m=pixel).detector_pixel_m == pytest.approx((75e-6, 75e-6))


def test_far_field_pixel() -> None:
    known = Geometry(8800.0, 1.75, (75e-6, 150e-6))
    rows = wavelength_m(8800.0) * 1.75 / (64 * 75e-6)
    assert known.far_field_pixel_m(64) == pytest.approx((rows, rows / 2))
    assert known.object_pixel_m(64) == known.far_field_pixel_m(64)
    assert replace(known, distance_m=None).far_field_pixel_m(64) is None


def test_a_parallel_beam_has_no_magnification() -> None:
    known = Geometry(8800.0, 1.75, 75e-6)
    assert known.magnification == 1
    assert known.effective_distance_m == 1.75
    assert known.effective_pixel_m == (75e-6, 75e-6)
    assert known.fresnel_number == pytest.approx(75e-6**2 / (wavelength_m(8800.0) * 1.75))


def test_a_cone_beam() -> None:
    assert CONE.magnification == pytest.approx((3.65e-3 + 1.12) / 3.65e-3)
    assert CONE.effective_distance_m == pytest.approx(3.65e-3 * 1.12 / (3.65e-3 + 1.12))
    assert CONE.effective_pixel_m == pytest.approx((55e-6 / 307.849, 55e-6 / 307.849), rel=1e-5)
    assert CONE.fresnel_number == pytest.approx(0.08958, rel=1e-3)
    assert replace(CONE, propagation="near_field").object_pixel_m(100) == CONE.effective_pixel_m


def test_a_far_source_is_a_parallel_beam() -> None:
    far, parallel = replace(CONE, source_distance_m=1e9), replace(CONE, source_distance_m=None)
    for name in ("magnification", "effective_distance_m", "effective_pixel_m", "fresnel_number"):
        assert getattr(far, name) == pytest.approx(getattr(parallel, name), rel=1e-6)


def test_a_cone_beam_without_a_distance_is_not_known() -> None:
    known = replace(CONE, distance_m=None)
    assert known.magnification is known.effective_distance_m is known.effective_pixel_m is known.fresnel_number is None


@pytest.mark.parametrize("magnification", [1.5, 100.0, 307.8])
def test_the_distance_of_the_source_follows_from_the_magnification(magnification: float) -> None:
    distance = source_distance_m(1.12, magnification)
    assert Geometry(distance_m=1.12, source_distance_m=distance).magnification == pytest.approx(magnification)
    assert source_distance_m(1.12, 1.0) is None


def test_a_cone_beam_gives_the_pattern_of_the_effective_parallel_beam() -> None:
    """By the Fresnel integral in one dimension: a point source, against a plane wave over the effective distance."""
    known = Geometry(wavelength_eV := 12398.4, 0.2, 5e-6, 0.05)
    wavelength = wavelength_m(wavelength_eV)
    x = np.linspace(-4e-5, 4e-5, 8001)
    slit = ((np.abs(x) < 1.2e-5) & (np.abs(x - 3e-6) > 2e-6)) * np.exp(-((x / 1.5e-5) ** 8))
    detector = np.arange(-20, 21) * known.detector_pixel_m[0]

    def pattern(at: np.ndarray, distance: float, source: float | None) -> np.ndarray:
        wave = slit if source is None else slit * np.exp(1j * np.pi * x**2 / (wavelength * source))
        kernel = np.exp(1j * np.pi * (at[:, None] - x) ** 2 / (wavelength * distance))
        intensity = np.abs((kernel * wave).sum(axis=1)) ** 2
        return intensity / intensity.sum()

    cone = pattern(detector, known.distance_m, known.source_distance_m)
    parallel = pattern(np.arange(-20, 21) * known.effective_pixel_m[0], known.effective_distance_m, None)
    np.testing.assert_allclose(cone, parallel, atol=1e-12)
    wrong = pattern(detector / known.magnification, known.distance_m, None)
    assert np.abs(wrong - parallel).max() > 1e-3


GEOMETRIES = {
    "nothing": Geometry(),
    "energy": Geometry(9000.0),
    "all": replace(CONE, propagation="near_field", propagation_reason="a test"),
    "oblong pixels": Geometry(8800.0, 1.75, (75e-6, 55e-6)),
    "a rounded wavelength": Geometry(8800.0, 1.75, 75e-6, stated_wavelength_m=1.409e-10),
    "far field": Geometry(propagation="far_field"),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_entries_state_the_geometry(name: str) -> None:
    geometry = GEOMETRIES[name]
    entries = geometry_entries(geometry)
    assert split_entries(entries | {"title": "t"}, "memory") == (geometry, {"title": "t"})


@pytest.mark.parametrize("value", ["8800", True, -1.0, 0, float("inf"), None, [1, 2]])
def test_entries_that_are_no_positive_number_state_nothing(value: object) -> None:
    assert split_entries({"energy_eV": value}, "memory") == (Geometry(), {"energy_eV": value})


def test_a_wavelength_alone_states_the_energy() -> None:
    assert split_entries({"wavelength_m": wavelength_m(8800.0)}, "")[0].energy_eV == pytest.approx(8800.0)


@pytest.mark.parametrize("extension", [".npz", ".cxi", ".h5"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_it_survives_every_format(arrays_scan: Scan, tmp_path, extension: str, name: str) -> None:
    scan = replace(arrays_scan, geometry=GEOMETRIES[name])
    assert read_scan(write_scan(scan, tmp_path / f"scan{extension}")).geometry == scan.geometry
    image = Reconstruction(np.ones((9, 9)), np.ones((9, 9)), (0, 0), np.ones((2, 2)), np.ones((1, 4, 4)))
    image = replace(image, geometry=GEOMETRIES[name])
    assert Reconstruction.load(image.save(tmp_path / f"image{extension}")).geometry == image.geometry


def test_select_keeps_it(arrays_scan: Scan) -> None:
    scan = replace(arrays_scan, geometry=CONE)
    assert scan.select(slice(3)).geometry is CONE


@pytest.fixture
def arrays_scan(arrays) -> Scan:
    """A sound scan."""
    positions = np.stack([arrays["ycoords"], arrays["xcoords"]], axis=1)
    return Scan.create(arrays["diffraction"] ** 2, positions, arrays["probeGuess"], domain="counts", pixel_size_m=3e-8)


@pytest.mark.parametrize(("propagation", "given"), [("near_field", True), ("of_a_package", True), ("far_field", False)])
def test_a_geometry_gives_every_propagator_but_the_far_field_its_fresnel_number(propagation: str, given: bool) -> None:
    known = Geometry(energy_eV=12398.42, distance_m=1e-3, detector_pixel_m=1e-7)
    settings = ModelConfig(propagation=propagation)
    found = of_geometry(settings, known).fresnel_number
    assert found == (pytest.approx(0.1, rel=1e-4) if given else None)
    assert of_geometry(settings, Geometry()) is settings
