"""What a format in metres asks for: known, implied, or nominal and said so."""

import pytest

from ptychopinn.data.io.instrument import (
    NOMINAL_DETECTOR_PIXEL_M,
    NOMINAL_ENERGY_EV,
    NOMINAL_PIXEL_M,
    Instrument,
    carried_metadata,
    completed,
    energy_eV,
    wavelength_m,
)

KNOWN = {"energy_eV": 8800.0, "distance_m": 1.75, "detector_pixel_m": 75e-6}
PIXEL = wavelength_m(8800.0) * 1.75 / (64 * 75e-6)


def test_wavelength_and_energy() -> None:
    assert wavelength_m(12398.419843320026) == pytest.approx(1e-10)
    assert energy_eV(wavelength_m(8800.0)) == pytest.approx(8800.0)


def test_nothing_known_is_all_nominal() -> None:
    made = completed(None, {}, 64)
    assert (made.pixel_m, made.energy_eV) == (NOMINAL_PIXEL_M, NOMINAL_ENERGY_EV)
    assert made.detector_pixel_m == pytest.approx(NOMINAL_DETECTOR_PIXEL_M)
    assert made.nominal == ("pixel_size_m", "energy_eV", "distance_m", "detector_pixel_m")
    assert made.comment == ("Nominal values, not measured: pixel_size_m, energy_eV, distance_m, detector_pixel_m.")


@pytest.mark.parametrize("missing", ["pixel_size_m", *KNOWN])
def test_one_that_the_others_imply_is_not_nominal(missing: str) -> None:
    told = {name: value for name, value in KNOWN.items() if name != missing}
    made = completed(None if missing == "pixel_size_m" else PIXEL, told, 64)
    assert (made.nominal, made.comment) == ((), "")
    found = (made.pixel_m, made.energy_eV, made.distance_m, made.detector_pixel_m)
    assert found == pytest.approx((PIXEL, 8800.0, 1.75, 75e-6), rel=1e-12)


@pytest.mark.parametrize("told", [{}, {"energy_eV": 9000.0}, {"distance_m": 2.0}, KNOWN, KNOWN | {"distance_m": 9.0}])
def test_whatever_is_known_the_far_field_relation_holds(told: dict) -> None:
    made = completed(4e-8, told, 64)
    assert made.pixel_m == 4e-8
    assert wavelength_m(made.energy_eV) * made.distance_m / (64 * made.detector_pixel_m) == pytest.approx(4e-8)


def test_near_field_keeps_its_detector_pixel() -> None:
    assert completed(2e-7, KNOWN | {"propagation": "near_field"}, 64).detector_pixel_m == 75e-6


@pytest.mark.parametrize("value", ["8800", True, -1.0, 0, float("inf"), None, [1, 2]])
def test_metadata_that_are_no_positive_number_are_not_known(value) -> None:
    assert Instrument.of_metadata({"energy_eV": value}) == Instrument()


def test_a_wavelength_that_contradicts_the_energy_gives_way() -> None:
    assert Instrument(8800.0, stated_wavelength_m=1.409e-10).wavelength_m == 1.409e-10
    assert Instrument(8800.0, stated_wavelength_m=2e-10).wavelength_m == wavelength_m(8800.0)
    assert Instrument.of_metadata({"wavelength_m": wavelength_m(8800.0)}).energy_eV == pytest.approx(8800.0)


def test_what_a_result_keeps_of_its_scan() -> None:
    assert carried_metadata({**KNOWN, "photons": 3, "title": "t"}) == {**KNOWN, "title": "t"}
