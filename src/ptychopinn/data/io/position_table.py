"""Positions in a table of their own: CSV, text with tabs or spaces, NPY."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.adjust import LENGTHS_M
from ptychopinn.data.io.arrays import read_array_file, read_text
from ptychopinn.data.io.units import si_factor
from ptychopinn.errors import ScanError

PX = "px"
"""Unit of positions in object pixels."""
_PIXELS = (PX, "pixel", "pixels", "pix")


@final
@dataclass(frozen=True, eq=False)
class PositionTable:
    """The columns x and y of a table."""

    path: Path
    x: NDArray[np.float64]
    """(N,), in its unit."""
    y: NDArray[np.float64]
    units: tuple[str, str]
    """Of x and y as the header states them, `px` for pixels in any spelling; empty without one."""

    @classmethod
    def read(cls, path: str | Path) -> "PositionTable":
        """Read a table with commas, semicolons, tabs or spaces, or an NPY array (N, 2).

        A header names the columns, with their unit in brackets or after an underscore, as in `x_um,y_um` or `x [mm]`.
        Without one the first two columns are x and y. An NPY array holds x in its first column and y in its second.

        Raises:
            ScanError: no such file, no columns x and y, or a cell that is no number.
        """
        path = Path(path)
        names: list[str] = []
        if path.suffix.lower() == ".npy":
            values = read_array_file(path)
            if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "uif":
                raise ScanError(f"{path}: positions must be real numbers (N, 2), got {values.dtype} {values.shape}")
        else:
            names, values = _cells_of(path)
        (x, x_unit), (y, y_unit) = (_column(names, axis, path) for axis in ("x", "y"))
        return cls(path, values[:, x].astype(np.float64), values[:, y].astype(np.float64), (x_unit, y_unit))

    def is_in_px(self, unit: str) -> bool:
        """Whether the positions are in object pixels.

        Args:
            unit: `data.position_unit`.

        Raises:
            ScanError: the header and `unit` contradict each other, or the columns do.
        """
        self._check(unit)
        return PX in (unit, *self.units)

    def metres(self, unit: str = "auto") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(x_m, y_m), each (N,).

        Args:
            unit: m, mm, um or nm, where the header states none; `auto` refuses such a table.

        Raises:
            ScanError: no unit, pixels, or a header and a `unit` that contradict each other.
        """
        if self.is_in_px(unit):
            raise ScanError(
                f"{self.path}: positions must be lengths here, got px; name the columns as in x_um,y_um, or convert "
                "them to lengths"
            )
        x, y = (self._factor(stated, unit) for stated in self.units)
        return self.x * x, self.y * y

    def _factor(self, stated: str, unit: str) -> float:
        if not stated and unit == "auto":
            raise ScanError(
                f"{self.path}: states no unit of the positions; name the columns as in x_um,y_um, or give "
                "--position-unit m, mm, um or nm"
            )
        return _length(stated) if stated else LENGTHS_M[unit]

    def _check(self, unit: str) -> None:
        for stated in filter(None, self.units):
            same = stated == unit or (PX not in (stated, unit) and _length(stated) == LENGTHS_M.get(unit))
            if unit != "auto" and not same:
                raise ScanError(
                    f"{self.path}: the unit of positions must be one, got {stated} in the header and --position-unit "
                    f"{unit} (data.position_unit); drop the option, or correct the header"
                )
        if PX in self.units and self.units[0] != self.units[1]:
            raise ScanError(
                f"{self.path}: both columns of positions must be in px or in lengths, got {self.units[0] or 'no unit'} "
                f"for x and {self.units[1] or 'no unit'} for y; correct the header"
            )


def _length(unit: str) -> float:
    return si_factor(unit, "length") or 0.0


def _cells_of(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the columns (empty without a header) and their numbers."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    names: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        cells = _split(line.lstrip("# \t"))
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if rows or names:
                raise ScanError(f"{path}: row {number} must hold numbers, got {line[:60]!r}; correct it") from None
            names = cells
    if not rows or min(map(len, rows)) < 2 or len({len(row) for row in rows}) > 1:
        raise ScanError(f"{path}: must hold rows of two numbers or more, x and y, got {len(rows)} rows; correct it")
    return names, np.array(rows)


def _split(line: str) -> list[str]:
    separator = next((one for one in (",", ";", "\t") if one in line), None)
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _column(names: Sequence[str], axis: str, path: Path) -> tuple[int, str]:
    """Number of the column of an axis, and the unit that its name states."""
    if not names:
        return "xy".index(axis), ""
    for index, name in enumerate(names):
        words = re.findall(r"[^\W\d_]+", name.lower())
        if axis in words:
            return index, next((unit for word in words if word != axis and (unit := _unit(word))), "")
    raise ScanError(f"{path}: needs a column {axis}, got {', '.join(names)}; name the columns as in x_um,y_um")


def _unit(word: str) -> str:
    """A word as a unit of positions; empty where it is none."""
    if word in _PIXELS:
        return PX
    return word.replace("µ", "u").replace("μ", "u") if si_factor(word, "length") else ""
