"""Nominal values of energy, distance and pixels, where a format asks for numbers that are unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptychopinn.data.geometry import Geometry, PixelSize, energy_eV, is_positive_number, wavelength_m

NOMINAL_PIXEL_M = 1e-8
NOMINAL_ENERGY_EV = 1e4
NOMINAL_DETECTOR_PIXEL_M = 75e-6


@dataclass(frozen=True)
class Completed:
    """Numbers for a format that asks for all of them.

    In the far field they obey pixel = wavelength * distance / (N * detector pixel) along each axis.
    """

    pixel_m: PixelSize
    """(y, x)."""
    energy_eV: float
    distance_m: float
    detector_pixel_m: PixelSize
    """(y, x)."""
    nominal: tuple[str, ...]
    """Names of those that nobody knows."""

    @property
    def comment(self) -> str:
        """A sentence that says which numbers are nominal; empty where none is."""
        return f"Nominal values, not measured: {', '.join(self.nominal)}." if self.nominal else ""


def completed(
    pixel_size_m: float | None, known: Geometry, pattern_size: int, metadata: Mapping[str, Any] | None = None
) -> Completed:
    """Every number that a format in metres asks for: those known, the rest nominal.

    What the others imply in the far field is not called nominal. An object pixel that is known wins: the detector pixel
    follows from it where all are known and disagree, as after binning.

    Args:
        pixel_size_m: object pixel, where it is known and square.
        known: geometry of the experiment.
        pattern_size: N.
        metadata: in which `object_pixel_m` holds both sides of an object pixel that is not square.
    """
    stated = _stated_pixel(metadata or {}) if pixel_size_m is None else (pixel_size_m, pixel_size_m)
    pixel = stated or known.object_pixel_m(pattern_size)
    given = {
        "pixel_size_m": pixel,
        "energy_eV": known.energy_eV,
        "distance_m": known.distance_m,
        "detector_pixel_m": known.detector_pixel_m,
    }
    unknown = tuple(name for name, value in given.items() if value is None)
    implied = len(unknown) == 1 and not known.is_near_field
    pixel = (NOMINAL_PIXEL_M, NOMINAL_PIXEL_M) if pixel is None else pixel
    energy = known.energy_eV or (_implied_energy(known, pixel[0], pattern_size) if implied else NOMINAL_ENERGY_EV)
    distance = known.distance_m
    if distance is None:
        detector = NOMINAL_DETECTOR_PIXEL_M if known.detector_pixel_m is None else known.detector_pixel_m[0]
        distance = pixel[0] * pattern_size * detector / wavelength_m(energy)
    reach = wavelength_m(energy) * distance / pattern_size
    sides = reach / pixel[0], reach / pixel[1]
    if known.is_near_field and known.detector_pixel_m is not None:
        sides = known.detector_pixel_m
    return Completed(pixel, energy, distance, sides, () if implied else unknown)


def _stated_pixel(metadata: Mapping[str, Any]) -> PixelSize | None:
    sides = metadata.get("object_pixel_m")
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(is_positive_number(side) for side in sides):
        return None
    return float(sides[0]), float(sides[1])


def _implied_energy(known: Geometry, pixel_m: float, pattern_size: int) -> float:
    """The energy that makes the far-field relation hold where all else is known."""
    if known.distance_m is None or known.detector_pixel_m is None:
        return NOMINAL_ENERGY_EV
    return energy_eV(pixel_m * pattern_size * known.detector_pixel_m[0] / known.distance_m)
