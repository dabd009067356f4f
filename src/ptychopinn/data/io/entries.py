"""The geometry among the metadata entries of a file: written beside them, taken out when a file is read."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ptychopinn.data.geometry import Geometry, energy_eV, is_positive_number, plain_pixel, wavelength_m
from ptychopinn.errors import ScanError, shown

_ROUNDING = 1e-12
"""Relative difference of a wavelength computed from the same energy."""


def geometry_entries(geometry: Geometry) -> dict[str, Any]:
    """What is known of a geometry, as plain JSON values under the names that files use."""
    pixel = geometry.detector_pixel_m
    known = {
        "energy_eV": geometry.energy_eV,
        "wavelength_m": geometry.wavelength_m,
        "distance_m": geometry.distance_m,
        "detector_pixel_m": None if pixel is None else plain_pixel(pixel),
        "source_distance_m": geometry.source_distance_m,
        "propagation": geometry.propagation,
        "propagation_reason": geometry.propagation_reason or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def plain_json(text: str) -> Any:
    """The values of a JSON text that can be written and shown again.

    Raises:
        ValueError: no JSON, half of a surrogate pair, or a whole number that no float holds.
        RecursionError: far too deep.
    """
    values = json.loads(text, parse_int=_int)
    json.dumps(values, ensure_ascii=False).encode()
    return values


def _int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


_DIGITS = 300
"""Of a whole number that a float can still hold."""


def split_entries(metadata: Mapping[str, Any], source: str) -> tuple[Geometry, dict[str, Any]]:
    """The geometry that metadata entries state, and the other entries.

    Entries that are no positive numbers state nothing and stay among the others.

    Args:
        metadata: of a file.
        source: name of the file, for messages.

    Raises:
        ScanError: `propagation` is neither `far_field` nor `near_field`.
    """
    numbers = {name: float(metadata[name]) for name in _NUMBERS if is_positive_number(metadata.get(name))}
    pixel = _pixel(metadata.get("detector_pixel_m"))
    propagation = metadata.get("propagation")
    if propagation not in (None, "far_field", "near_field"):
        raise ScanError(
            f"{source}: the metadata say propagation = {propagation!r}; must be 'far_field' or 'near_field'"
        )
    energy, wavelength = numbers.get("energy_eV"), numbers.get("wavelength_m")
    if energy is None and wavelength is not None:
        energy = energy_eV(wavelength)
    geometry = Geometry(
        energy,
        numbers.get("distance_m"),
        pixel,
        numbers.get("source_distance_m"),
        propagation=propagation,
        propagation_reason="" if propagation is None else str(metadata.get("propagation_reason", _STATED)),
        stated_wavelength_m=None if _follows(wavelength, energy) else wavelength,
    )
    taken = set(numbers) | (set() if pixel is None else {"detector_pixel_m"})
    taken |= set() if propagation is None else {"propagation", "propagation_reason"}
    return geometry, {name: value for name, value in metadata.items() if name not in taken}


def unread_entries(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences on entries about the geometry that are not used: other names, or no positive numbers."""
    known = (*_NUMBERS, "detector_pixel_m")
    notes = []
    for name, value in metadata.items():
        if name in known:
            is_used = _pixel(value) is not None if name == "detector_pixel_m" else is_positive_number(value)
            notes += [] if is_used or value is None else [_not_used(name, value, "it is no positive number")]
        elif _ABOUT_GEOMETRY.fullmatch(name):
            notes.append(_not_used(name, value, f"the names that are read are {', '.join(known)} and pixel_size_m"))
    return tuple(notes)


def _not_used(name: str, value: Any, why: str) -> str:
    return f"The entry {shown(name)} = {shown(value)} of the metadata is not used: {why}."


_ABOUT_GEOMETRY = re.compile(
    r"(photon_|incident_|xray_|x_ray_)?(energy|wavelength)(_\w+)?|(detector_|sample_detector_)?distance(_\w+)?"
    r"|(detector_)?pixel(_size)?(_(mm|um|nm))|positions?_units?|units?",
    re.IGNORECASE,
)
"""Names of numbers that make the scale of a scan, as other programs write them."""
_NUMBERS = ("energy_eV", "wavelength_m", "distance_m", "source_distance_m")
_STATED = "stated in the metadata"


def _follows(wavelength: float | None, energy: float | None) -> bool:
    """Whether a wavelength is that of the energy, so that it states nothing more."""
    if wavelength is None or energy is None:
        return False
    return abs(wavelength - wavelength_m(energy)) <= _ROUNDING * wavelength


def _pixel(value: Any) -> tuple[float, float] | None:
    """(y, x) from one positive number or two."""
    sides = value if isinstance(value, list | tuple) else [value, value]
    if len(sides) != 2 or not all(is_positive_number(side) for side in sides):
        return None
    return float(sides[0]), float(sides[1])
