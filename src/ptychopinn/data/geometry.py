"""Geometry of the experiment: photon energy, distances, detector pixel, far or near field."""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ScanError

EV_J = 1.602176634e-19
"""One electronvolt, J."""
_PLANCK_TIMES_LIGHT_J_M = 6.62607015e-34 * 299792458

PixelSize = tuple[float, float]
"""(y, x), m."""
FieldKind = Literal["far_field", "near_field"]
"""How the exit wave reaches the detector."""

LARGEST_WAVELENGTH_DIFFERENCE = 1e-3
"""Relative difference up to which a stated wavelength and the energy are two roundings of the same number.

Files round to three digits or more; a larger difference is a contradiction, and the energy is used.
"""


@final
@dataclass(frozen=True, init=False)
class Geometry:
    r"""What is known of the experiment; each value may be unknown (None).

    A point source at the distance \(z_1\) before the sample and a detector at \(z_2\) behind it (a cone beam) give the
    same patterns, magnified, as a parallel beam with

    \[ M = (z_1 + z_2) / z_1, \quad z_\mathrm{eff} = z_1 z_2 / (z_1 + z_2), \quad p_\mathrm{eff} = p / M \]

    Args:
        energy_eV: photon energy.
        distance_m: \(z_2\), from the sample to the detector.
        detector_pixel_m: \(p\), (y, x), or one number for square pixels.
        source_distance_m: \(z_1\), from the focus of the beam to the sample behind it; None for a parallel beam.
        propagation: `far_field` or `near_field`; None if nobody has decided, which is treated as the far field.
        propagation_reason: why.
        stated_wavelength_m: the wavelength, where a file states it beside the energy.

    Raises:
        ScanError: a number that is not positive and finite, or an unknown propagation.

    Example:
        >>> geometry = Geometry(energy_eV=12658.0, distance_m=1.12, detector_pixel_m=55e-6, source_distance_m=3.65e-3)
        >>> round(geometry.magnification, 1), round(geometry.effective_pixel_m[0] * 1e9, 1)
        (307.8, 178.7)
    """

    energy_eV: float | None
    distance_m: float | None
    detector_pixel_m: PixelSize | None
    source_distance_m: float | None
    propagation: FieldKind | None
    propagation_reason: str
    stated_wavelength_m: float | None

    def __init__(
        self,
        energy_eV: float | None = None,
        distance_m: float | None = None,
        detector_pixel_m: PixelSize | float | None = None,
        source_distance_m: float | None = None,
        *,
        propagation: FieldKind | None = None,
        propagation_reason: str = "",
        stated_wavelength_m: float | None = None,
    ) -> None:
        if propagation not in (None, "far_field", "near_field"):
            raise ScanError(f"propagation must be 'far_field' or 'near_field', got {propagation!r}; correct it")
        numbers = {
            "energy_eV": energy_eV,
            "distance_m": distance_m,
            "source_distance_m": source_distance_m,
            "stated_wavelength_m": stated_wavelength_m,
        }
        for name, value in numbers.items():
            object.__setattr__(self, name, None if value is None else _positive(name, value))
        object.__setattr__(self, "detector_pixel_m", _pixel(detector_pixel_m))
        object.__setattr__(self, "propagation", propagation)
        object.__setattr__(self, "propagation_reason", propagation_reason or ("given" if propagation else ""))

    @property
    def wavelength_m(self) -> float | None:
        """Of the photons; the energy is used if both are stated and differ by more than a thousandth."""
        of_energy = None if self.energy_eV is None else wavelength_m(self.energy_eV)
        stated = self.stated_wavelength_m
        if stated is None or of_energy is None:
            return of_energy
        return of_energy if abs(stated - of_energy) > LARGEST_WAVELENGTH_DIFFERENCE * of_energy else stated

    @property
    def is_near_field(self) -> bool:
        """Whether the patterns are near field."""
        return self.propagation == "near_field"

    @property
    def magnification(self) -> float | None:
        r"""\(M = (z_1 + z_2) / z_1\); 1 for a parallel beam; None if the distance is unknown."""
        if self.source_distance_m is None:
            return 1.0
        return None if self.distance_m is None else (self.source_distance_m + self.distance_m) / self.source_distance_m

    @property
    def effective_distance_m(self) -> float | None:
        r"""\(z_\mathrm{eff} = z_2 / M\): distance of the parallel beam that gives the same patterns."""
        magnification = self.magnification
        return None if self.distance_m is None or magnification is None else self.distance_m / magnification

    @property
    def effective_pixel_m(self) -> PixelSize | None:
        r"""\(p_\mathrm{eff} = p / M\), (y, x): the detector pixel, projected back onto the sample."""
        pixel, magnification = self.detector_pixel_m, self.magnification
        return None if pixel is None or magnification is None else (pixel[0] / magnification, pixel[1] / magnification)

    @property
    def fresnel_number(self) -> float | None:
        r"""\(F = p_\mathrm{eff}^2 / (\lambda z_\mathrm{eff})\) of one pixel, by the area of the pixel.

        A near-field propagator needs no other number: one step of the frequency grid of N pixels has the phase
        \(\pi / (F N^2)\).
        """
        pixel, distance, wavelength = self.effective_pixel_m, self.effective_distance_m, self.wavelength_m
        if pixel is None or distance is None or wavelength is None:
            return None
        return pixel[0] * pixel[1] / (wavelength * distance)

    def far_field_pixel_m(self, pattern_size: int) -> PixelSize | None:
        """(y, x): object pixel of far-field patterns of N pixels, wavelength * distance / (N * detector pixel)."""
        if self.wavelength_m is None or self.distance_m is None or self.detector_pixel_m is None:
            return None
        reach = self.wavelength_m * self.distance_m / pattern_size
        return reach / self.detector_pixel_m[0], reach / self.detector_pixel_m[1]

    def object_pixel_m(self, pattern_size: int) -> PixelSize | None:
        """(y, x): object pixel of patterns of N pixels: the effective pixel in the near field, else that of the far."""
        return self.effective_pixel_m if self.is_near_field else self.far_field_pixel_m(pattern_size)


def wavelength_m(energy_eV: float) -> float:
    """Wavelength of photons of an energy."""
    return _PLANCK_TIMES_LIGHT_J_M / (energy_eV * EV_J)


def energy_eV(wavelength_m: float) -> float:
    """Energy of photons of a wavelength."""
    return _PLANCK_TIMES_LIGHT_J_M / (wavelength_m * EV_J)


def source_distance_m(distance_m: float, magnification: float) -> float | None:
    """Distance from the focus to the sample that gives a magnification; None (parallel beam) if that is 1 or less."""
    return distance_m / (magnification - 1) if magnification > 1 else None


def plain_pixel(pixel_m: PixelSize) -> float | list[float]:
    """One number for square pixels, else (y, x); a JSON value."""
    return pixel_m[0] if is_square(pixel_m) else list(pixel_m)


def is_square(pixel_m: PixelSize | NDArray[np.float64]) -> bool:
    """Whether the two sides agree to a millionth."""
    return abs(pixel_m[0] - pixel_m[1]) <= 1e-6 * pixel_m[0]


def same_pixel(one: PixelSize, other: PixelSize) -> bool:
    """Whether two pixel sizes agree to a hundredth, so that arrays of both fit together."""
    return all(abs(a - b) <= 0.01 * b for a, b in zip(one, other, strict=True))


def is_positive_number(value: Any) -> bool:
    """Whether a value is a finite number above 0; bool is none."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return is_number and bool(0 < value < float("inf"))


def _positive(name: str, value: Any) -> float:
    if not is_positive_number(value):
        raise ScanError(f"{name} must be a positive finite number, got {value!r}; correct it, or leave it out")
    return float(value)


def _pixel(value: Any) -> PixelSize | None:
    if value is None:
        return None
    sides = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(sides) != 2:
        raise ScanError(f"detector_pixel_m must be one length or two, (y, x), got {value!r}; correct it")
    return _positive("detector_pixel_m", sides[0]), _positive("detector_pixel_m", sides[1])
