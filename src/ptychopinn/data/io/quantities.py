"""Numbers with a unit out of HDF5 files, and what they can be: every energy, distance and pixel is read here."""

import logging
import re
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.hdf5 import array, as_text, attribute, checked_values, find_dataset, finite_number, place
from ptychopinn.data.io.limits import Limits
from ptychopinn.data.io.stored import check_stored
from ptychopinn.data.io.units import Quantity, known_units, si_factor
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

_UNIT_NAMES = ("units", "unit", "Units", "Unit")
_LARGEST_SPREAD = 0.01
"""Relative spread of a number recorded for each frame above which the frames do not belong to one scan. Monochromators
and encoders jitter by 1e-4 or less; an energy scan steps by more than this."""
_NUMBER_WITH_UNIT = re.compile(r"\s*([-+]?[0-9.]++(?:[eE][-+]?[0-9]++)?+)\s*(\S.*?)\s*")
"""Possessive: the last digits of a plain number are no unit."""


def scale_of(dataset: h5py.Dataset, quantity: Quantity, default: float = 1.0, columns: Any = None) -> Any:
    """What the values of a dataset are multiplied by to be in m, eV, rad or s, by its attribute `units`.

    Args:
        dataset: with or without that attribute.
        quantity: what the values are.
        default: for a dataset without a unit.
        columns: of the last axis that are used; the units of others may be anything.

    Returns:
        One factor, or an array of one for each column where the attribute is a list.

    Raises:
        ScanError: a unit that is not known, by its name.
    """
    names = _units(dataset)
    if not names:
        return default
    used = np.ones(len(names), bool) if columns is None or len(names) != len(columns) else np.asarray(columns)
    factors = np.array(
        [_factor(name, quantity, place(dataset)) if use else 0.0 for name, use in zip(names, used, strict=True)]
    )
    if len(set(factors[used])) == 1:
        return float(factors[used][0])
    if dataset.shape is None or not dataset.shape or dataset.shape[-1] != len(factors):
        raise ScanError(
            f"{place(dataset)} has {len(factors)} units but shape {dataset.shape}; give one unit, or one each"
        )
    return factors


def values_of(dataset: h5py.Dataset, quantity: Quantity) -> NDArray[np.float64]:
    """All values of a dataset in m, eV, rad or s.

    Raises:
        ScanError: no numbers, or a unit that is not known.
    """
    return np.asarray(array(dataset), np.float64) * scale_of(dataset, quantity)


def number_of(
    dataset: h5py.Dataset,
    limits: Limits | None,
    quantity: Quantity,
    default: float = 1.0,
    assumed: str = "",
    positive: bool = False,
) -> float | None:
    """One number in m, eV, rad or s; none where it is 0, by which some programs say that they do not know it.

    Args:
        dataset: a number, text such as "1.77 m", or one number for each frame.
        limits: what it can be.
        quantity: what it is.
        default: factor of a number without a unit.
        assumed: name of that unit, for messages.
        positive: refuse negative numbers.

    Raises:
        ScanError: no finite number, an unknown unit, or outside the limits.
    """
    value, unit = agreed(dataset), "".join(_units(dataset)[:1]) or _text_unit(dataset)
    if positive and value < 0:
        name = str(dataset.name).rpartition("/")[2]
        raise ScanError(f"{place(dataset)}: {name} is {value}; must be a positive number, correct it")
    factor = _factor(unit, quantity, place(dataset)) if unit else default
    if value == 0:
        return None
    stored = f"{value:.10g} {unit}" if unit else f"{value:.10g} without a unit"
    stored += f", taken as {assumed}" if assumed and not unit else ""
    return value * factor if limits is None else limits.check(value * factor, place(dataset), stored)


def number_at(group: Any, name: str, limits: Limits | None, default: float = 1.0, assumed: str = "") -> float | None:
    """A positive number below a group that may be missing, as `number_of`; a length if there are no limits.

    Raises:
        ScanError: it is negative.
    """
    stored = None if group is None else find_dataset(group, name)
    if stored is None:
        return None
    quantity: Quantity = limits.quantity if limits is not None else "energy" if name == "energy" else "length"
    return number_of(stored, limits, quantity, default, assumed, positive=True)


def length_at(group: Any, name: str) -> float | None:
    """A length of either sign below a group that may be missing, m; 0 is one."""
    stored = None if group is None else find_dataset(group, name)
    if stored is None:
        return None
    return number_of(stored, None, "length") or 0.0


def agreed(dataset: h5py.Dataset) -> float:
    """The number in a dataset; of one for each frame the mean of those that were filled.

    Raises:
        ScanError: no finite number, or numbers that differ by more than a hundredth.
    """
    check_stored(dataset)
    stored, where = checked_values(dataset), place(dataset)
    values = np.asarray(stored)
    if values.dtype.kind not in "buif" or values.size < 2:
        match = (
            _NUMBER_WITH_UNIT.fullmatch(as_text(values.reshape(-1)[0]))
            if values.size == 1 and _is_text(values)
            else None
        )
        return finite_number(match.group(1) if match else stored, where)
    filled = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    if filled.size == 0:
        return 0.0 if not values.any() else finite_number(stored, where)
    if filled.size < values.size:
        logger.warning(
            "%s: %d of %d values are 0 or no number, as if never filled; the mean of the others is used",
            where,
            values.size - filled.size,
            values.size,
        )
    low, high = float(filled.min()), float(filled.max())
    if high - low > _LARGEST_SPREAD * max(abs(low), abs(high)):
        raise ScanError(
            f"{where} must be the same for all frames of a scan, got values from {low:g} to {high:g}; split the file "
            "into one scan for each of them"
        )
    return float(filled.mean())


def has_unit(dataset: h5py.Dataset) -> bool:
    """Whether a number states its unit."""
    return bool(_units(dataset)) or bool(_text_unit(dataset))


def _units(dataset: h5py.Dataset) -> tuple[str, ...]:
    """The units that a dataset states; empty where there is none."""
    stored: Any = next((attribute(dataset, name) for name in _UNIT_NAMES if name in dataset.attrs), None)
    if stored is None or isinstance(stored, h5py.Empty):
        return ()
    texts = [as_text(value) for value in np.atleast_1d(np.asarray(stored, dtype=object)).reshape(-1)]
    if len(texts) == 1:
        texts = [part for part in re.split(r"[,;]", texts[0])]
    texts = [text.strip().strip("\0") for text in texts]
    return tuple(texts) if any(texts) else ()


def _factor(unit: str, quantity: Quantity, where: str) -> float:
    factor = si_factor(unit, quantity)
    if factor is None:
        raise ScanError(f"{where} has the unit {unit!r}; known are {known_units(quantity)}")
    return factor


def _is_text(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "SUO"


def _text_unit(dataset: h5py.Dataset) -> str:
    """The unit in a text such as "1.77 m"; empty for other values."""
    values = np.asarray(checked_values(dataset))
    match = (
        _NUMBER_WITH_UNIT.fullmatch(as_text(values.reshape(-1)[0])) if values.size == 1 and _is_text(values) else None
    )
    return match.group(2) if match else ""
