"""What the numbers of an experiment can be, and numbers that a user gives in place of those of a file."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, energy_eV
from ptychopinn.data.io.units import SI, Quantity
from ptychopinn.errors import ScanError

_LARGEST_DIFFERENCE = 0.02
"""Relative difference between energies, or an energy and a wavelength, above which they contradict each other. Two
digits of a wavelength, such as 1.4 for 1.409 angstrom, differ by less."""


@final
@dataclass(frozen=True)
class Limits:
    """What a number can be, in m or eV, and how a user gives another one."""

    what: str
    quantity: Quantity
    low: float
    high: float
    option: str

    def check(self, value: float, where: str, stored: str) -> float:
        """The value, or a `ScanError` that names it as stored and in SI units."""
        if self.low <= abs(value) <= self.high:
            return value
        unit = SI[self.quantity]
        raise ScanError(
            f"{where} is {stored}, that is {value:.4g} {unit}; {self.what} must be between {self.low:g} and "
            f"{self.high:g} {unit}: correct the number or its attribute units, or give {self.option}"
        )


PHOTON_ENERGY = Limits("a photon energy", "energy", 0.5, 1e6, "the energy by --energy-ev (data.energy_eV)")
"""Infrared light to gamma rays; a storage ring has 1e9 eV or more, and a number taken for joules is larger still."""
DISTANCE = Limits("the distance of a detector", "length", 1e-6, 50.0, "it by --distance (data.distance_m)")
"""Ten times the longest ptychography instruments would be 100 m; millimetres taken for metres are 50 or more."""
DETECTOR_PIXEL = Limits("a detector pixel", "length", 1e-7, 5e-3, "it by --detector-pixel (data.detector_pixel_m)")
"""An optical camera behind a lens to a binned pixel of 0.172 mm; micrometres taken for metres are 1 or more."""
OBJECT_PIXEL = Limits("an object pixel", "length", 1e-13, 1e-3, "a file with the right one")


def wavelength_limits() -> Limits:
    """Limits of a wavelength, those of the energy."""
    return Limits(
        "a wavelength", "length", energy_eV(PHOTON_ENERGY.high), energy_eV(PHOTON_ENERGY.low), PHOTON_ENERGY.option
    )


def one_energy(energies_eV: Iterable[tuple[str, float]], wavelengths_m: Iterable[tuple[str, float]]) -> float | None:
    """The photon energy that a file states, in eV, from energies and wavelengths with the places where they stand.

    Raises:
        ScanError: two of them differ by more than a fiftieth.
    """
    stated = [(f"{where} is {value:.6g} eV", value) for where, value in energies_eV]
    stated += [
        (f"{where} is {value:.6g} m, that is {energy_eV(value):.6g} eV", energy_eV(value))
        for where, value in wavelengths_m
    ]
    for text, value in stated[1:]:
        if abs(value - stated[0][1]) > _LARGEST_DIFFERENCE * stated[0][1]:
            raise ScanError(
                f"{stated[0][0]}, but {text}; energy and wavelength must agree: correct one, or give "
                f"{PHOTON_ENERGY.option}"
            )
    return stated[0][1] if stated else None


def with_given(geometry: Geometry, options: DataConfig) -> Geometry:
    """The geometry with energy, distance and detector pixel by the user."""
    if options.energy_eV is not None:
        geometry = replace(geometry, energy_eV=options.energy_eV, stated_wavelength_m=None)
    if options.distance_m is not None:
        geometry = replace(geometry, distance_m=options.distance_m)
    if options.detector_pixel_m is not None:
        sides = options.detector_pixel_m
        geometry = replace(geometry, detector_pixel_m=sides if isinstance(sides, tuple) else (sides, sides))
    return geometry


def checked_geometry(geometry: Geometry, source: str) -> Geometry:
    """The geometry, if all of its numbers are possible.

    Raises:
        ScanError: a number that no experiment has, or an energy and a wavelength that differ by more than a fiftieth.
    """
    for limits, name, values in (
        (PHOTON_ENERGY, "energy_eV", (geometry.energy_eV,)),
        (DISTANCE, "distance_m", (geometry.distance_m,)),
        (DETECTOR_PIXEL, "detector_pixel_m", geometry.detector_pixel_m or ()),
    ):
        for value in values:
            if value is not None:
                limits.check(value, f"{source}: {name}", f"{value:.10g}")
    if geometry.energy_eV is not None and geometry.stated_wavelength_m is not None:
        stated = (f"{source}: energy_eV", geometry.energy_eV), (f"{source}: wavelength_m", geometry.stated_wavelength_m)
        one_energy([stated[0]], [stated[1]])
    return geometry
