"""What a format in metres asks for: known, implied, or nominal and said so."""

from dataclasses import replace

import pytest

from ptychopinn.data.geometry import Geometry, wavelength_m
from ptychopinn.data.io.nominal import NOMINAL_DETECTOR_PIXEL_M, NOMINAL_ENERGY_EV, NOMINAL_PIXEL_M, completed

KNOWN = Geometry(8800.0, 1.75, 75e-6)
PIXEL = wavelength_m(8800.0) * 1.75 / (64 * 75e-6)


def test_nothing_known_is_all_nominal() -> None:
    made = completed(None, Geometry(), 64)
    assert (made.pixel_m, made.energy_eV) == ((NOMINAL_PIXEL_M, NOMINAL_PIXEL_M), NOMINAL_ENERGY_EV)
    assert made.detector_pixel_m == pytest.approx((NOMINAL_DETECTOR_PIXEL_M, NOMINAL_DETECTOR_PIXEL_M))
    assert made.nominal == ("pixel_size_m", "energy_eV", "distance_m", "detector_pixel_m")
    assert made.comment == ("Nominal values, not measured: pixel_size_m, energy_eV, distance_m, detector_pixel_m.")


@pytest.mark.parametrize("missing", ["pixel_size_m", "energy_eV", "distance_m", "detector_pixel_m"])
def test_one_that_the_others_imply_is_not_nominal(missing: str) -> None:
    known = KNOWN if missing == "pixel_size_m" else replace(KNOWN, **{missing: None})
    made = completed(None if missing == "pixel_size_m" else PIXEL, known, 64)
    assert (made.nominal, made.comment) == ((), "")
    found = (*made.pixel_m, made.energy_eV, made.distance_m, *made.detector_pixel_m)
    assert found == pytest.approx((PIXEL, PIXEL, 8800.0, 1.75, 75e-6, 75e-6), rel=1e-12)


@pytest.mark.parametrize(
    "known", [Geometry(), Geometry(9000.0), Geometry(distance_m=2.0), KNOWN, replace(KNOWN, distance_m=9.0)]
)
def test_whatever_is_known_the_far_field_relation_holds(known: Geometry) -> None:
    made = completed(4e-8, known, 64)
    assert made.pixel_m == (4e-8, 4e-8)
    for side in made.detector_pixel_m:
        assert wavelength_m(made.energy_eV) * made.distance_m / (64 * side) == pytest.approx(4e-8)


@pytest.mark.parametrize("stated", [True, False])
def test_pixels_that_are_not_square_keep_both_sides(stated: bool) -> None:
    """From the metadata, or implied by the detector."""
    known = replace(KNOWN, detector_pixel_m=(150e-6, 75e-6))
    made = completed(None, known, 64, {"object_pixel_m": [PIXEL / 2, PIXEL]} if stated else {})
    assert made.pixel_m == pytest.approx((PIXEL / 2, PIXEL))
    assert made.detector_pixel_m == pytest.approx((150e-6, 75e-6))
    assert made.nominal == ()


def test_near_field_keeps_its_detector_pixel() -> None:
    assert completed(2e-7, replace(KNOWN, propagation="near_field"), 64).detector_pixel_m == (75e-6, 75e-6)


def test_near_field_implies_nothing_by_the_far_field_relation() -> None:
    known = Geometry(distance_m=1.75, detector_pixel_m=75e-6, propagation="near_field")
    made = completed(2e-7, known, 64)
    assert (made.energy_eV, made.nominal) == (NOMINAL_ENERGY_EV, ("energy_eV",))


def test_the_pixel_of_a_cone_beam_is_the_effective_one() -> None:
    cone = replace(KNOWN, source_distance_m=0.0175, propagation="near_field")
    assert completed(None, cone, 64).pixel_m == pytest.approx((75e-6 / 101, 75e-6 / 101))
