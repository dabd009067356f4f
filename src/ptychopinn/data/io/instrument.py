"""Energy, distance and pixels: what a file says of them, and nominal values where a format asks for what is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

EV_J = 1.602176634e-19
"""One electronvolt, J."""
_PLANCK_TIMES_LIGHT_J_M = 6.62607015e-34 * 299792458

NOMINAL_PIXEL_M = 1e-8
NOMINAL_ENERGY_EV = 1e4
NOMINAL_DETECTOR_PIXEL_M = 75e-6

PixelSize = tuple[float, float]
"""(y, x), m."""

CARRIED = (
    "energy_eV",
    "wavelength_m",
    "distance_m",
    "detector_pixel_m",
    "object_pixel_m",
    "frame_origin_m",
    "propagation",
    "title",
)
"""Metadata of a scan that its reconstruction keeps, so that it can be written in formats that ask for them."""


@dataclass(frozen=True)
class Instrument:
    """What is known of the experiment."""

    energy_eV: float | None = None
    distance_m: float | None = None
    """From the sample to the detector."""
    detector_pixel_m: PixelSize | None = None
    stated_wavelength_m: float | None = None
    """Where a file tells it beside the energy: of two roundings, that by which its own geometry was made."""

    @property
    def wavelength_m(self) -> float | None:
        """Of the photons; the energy wins where both are told and differ by more than a thousandth."""
        of_energy = None if self.energy_eV is None else wavelength_m(self.energy_eV)
        stated = self.stated_wavelength_m
        if stated is None or of_energy is None or abs(stated - of_energy) > 1e-3 * of_energy:
            return of_energy
        return stated

    def far_field_pixel_m(self, pattern_size: int) -> PixelSize | None:
        """(y, x): object pixel of far-field patterns of so many pixels, wavelength * distance / (N * pixel)."""
        if self.wavelength_m is None or self.distance_m is None or self.detector_pixel_m is None:
            return None
        reach = self.wavelength_m * self.distance_m / pattern_size
        return reach / self.detector_pixel_m[0], reach / self.detector_pixel_m[1]

    def metadata(self) -> dict[str, Any]:
        """What is known, under the names that scans and results keep it by."""
        known = {
            "energy_eV": self.energy_eV,
            "wavelength_m": self.wavelength_m,
            "distance_m": self.distance_m,
            "detector_pixel_m": None if self.detector_pixel_m is None else plain_pixel(self.detector_pixel_m),
        }
        return {name: value for name, value in known.items() if value is not None}

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> "Instrument":
        """What the metadata of a scan or result tell, where they hold positive numbers."""
        energy, wavelength = _positive(metadata, "energy_eV"), _positive(metadata, "wavelength_m")
        if energy is None and wavelength is not None:
            energy = energy_eV(wavelength)
        pixel = _positive(metadata, "detector_pixel_m")
        return cls(energy, _positive(metadata, "distance_m"), None if pixel is None else (pixel, pixel))


@dataclass(frozen=True)
class Completed:
    """Numbers for a format that asks for all of them.

    In the far field they obey pixel = wavelength * distance / (N * detector pixel).
    """

    pixel_m: float
    energy_eV: float
    distance_m: float
    detector_pixel_m: float
    nominal: tuple[str, ...]
    """Names of those that nobody knows."""

    @property
    def comment(self) -> str:
        """A sentence that says which numbers are nominal; empty where none is."""
        return f"Nominal values, not measured: {', '.join(self.nominal)}." if self.nominal else ""


def completed(pixel_size_m: float | None, metadata: Mapping[str, Any], pattern_size: int) -> Completed:
    """Every number that a format in metres asks for: those known, the rest nominal.

    What the others imply is not called nominal. An object pixel that is known wins: the detector pixel follows
    from it where all are known and disagree, as after binning.
    """
    known = Instrument.of_metadata(metadata)
    pixel = pixel_size_m or (known.far_field_pixel_m(pattern_size) or (None,))[0]
    given = {
        "pixel_size_m": pixel,
        "energy_eV": known.energy_eV,
        "distance_m": known.distance_m,
        "detector_pixel_m": known.detector_pixel_m,
    }
    unknown = tuple(name for name, value in given.items() if value is None)
    pixel = NOMINAL_PIXEL_M if pixel is None else pixel
    energy = known.energy_eV or (NOMINAL_ENERGY_EV if len(unknown) > 1 else _implied_energy(known, pixel, pattern_size))
    distance = known.distance_m
    if distance is None:
        detector = NOMINAL_DETECTOR_PIXEL_M if known.detector_pixel_m is None else known.detector_pixel_m[0]
        distance = pixel * pattern_size * detector / wavelength_m(energy)
    detector = wavelength_m(energy) * distance / (pattern_size * pixel)
    if metadata.get("propagation") == "near_field" and known.detector_pixel_m is not None:
        detector = known.detector_pixel_m[0]
    return Completed(pixel, energy, distance, detector, unknown if len(unknown) > 1 else ())


def carried_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a reconstruction keeps of the metadata of its scan."""
    return {name: metadata[name] for name in CARRIED if name in metadata}


def wavelength_m(energy_eV: float) -> float:
    """Wavelength of photons of an energy."""
    return _PLANCK_TIMES_LIGHT_J_M / (energy_eV * EV_J)


def energy_eV(wavelength_m: float) -> float:
    """Energy of photons of a wavelength."""
    return _PLANCK_TIMES_LIGHT_J_M / (wavelength_m * EV_J)


def plain_pixel(pixel_m: PixelSize) -> float | list[float]:
    """One number for square pixels, else (y, x)."""
    return pixel_m[0] if is_square(pixel_m) else list(pixel_m)


def is_square(pixel_m: PixelSize | NDArray[np.float64]) -> bool:
    """Whether the two sides agree to a millionth."""
    return abs(pixel_m[0] - pixel_m[1]) <= 1e-6 * pixel_m[0]


def same_pixel(one: PixelSize, other: PixelSize) -> bool:
    """Whether two pixel sizes agree to a hundredth, so that arrays of both fit together."""
    return all(abs(a - b) <= 0.01 * b for a, b in zip(one, other, strict=True))


def _implied_energy(known: Instrument, pixel_m: float, pattern_size: int) -> float:
    """The energy that makes the far-field relation hold where all else is known."""
    if known.distance_m is None or known.detector_pixel_m is None:
        return NOMINAL_ENERGY_EV
    return energy_eV(pixel_m * pattern_size * known.detector_pixel_m[0] / known.distance_m)


def _positive(metadata: Mapping[str, Any], name: str) -> float | None:
    value = metadata.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return float(value)
