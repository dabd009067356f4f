"""Tables and figures of the curves: mean and standard deviation over the seeds."""

import math
from collections.abc import Sequence
from pathlib import Path

from ptychopinn.plotting import figure_trend, save_figure
from ptychopinn.studies.curves.axes import AXES
from ptychopinn.studies.curves.study import Cell
from ptychopinn.studies.spread import markdown_table, spread_of, write_csv

_SCORES = (
    ("psnr_amplitude", "amplitude PSNR (peak 1), dB", 1),
    ("psnr_phase", "phase PSNR (peak 2 pi), dB", 1),
    ("frc", "FRC 0.5, of Nyquist", 2),
    ("cpu_s", "CPU time, s", 1),
)


def write_curves(folder: Path, cells: Sequence[Cell]) -> dict[str, Path]:
    """`points.csv` with a line for each point, and for each axis a figure by its name.

    Raises:
        OutputError: a file cannot be written.
    """
    if not cells:
        return {}
    names = [name for name, _, _ in _SCORES]
    rows = [
        {"axis": cell.axis, "value": cell.value, "seed": cell.seed, "method": cell.line}
        | {name: getattr(cell.scores, name) for name in names}
        for cell in cells
    ]
    paths = {"points": write_csv(folder / "points.csv", rows)}
    for axis in _axes(cells):
        paths[axis] = _write_figure(folder / f"{axis}.png", axis, [cell for cell in cells if cell.axis == axis])
    return paths


def curves_markdown(cells: Sequence[Cell]) -> str:
    """A table for each axis: a row for each value and method."""
    parts = []
    for axis in _axes(cells):
        of_axis = [cell for cell in cells if cell.axis == axis]
        header = [AXES[axis].label, "method", "scans", *(label for _, label, _ in _SCORES)]
        rows = [
            _row(value, line, [cell for cell in of_axis if (cell.value, cell.line) == (value, line)])
            for value in sorted({cell.value for cell in of_axis})
            for line in _lines(of_axis)
        ]
        parts.append(markdown_table(header, [row for row in rows if row]))
    return "\n\n".join(parts)


def _row(value: float, line: str, cells: Sequence[Cell]) -> list[str]:
    if not cells:
        return []
    spreads = [(spread_of([getattr(cell.scores, name) for cell in cells]), digits) for name, _, digits in _SCORES]
    shown = f"{value:.0e}" if value >= 1000 else f"{value:g}"
    return [shown, line, str(len(cells)), *("" if spread is None else spread.text(n) for spread, n in spreads)]


def _write_figure(path: Path, axis: str, cells: Sequence[Cell]) -> Path:
    panels = {}
    for name, label, _ in _SCORES[:3]:
        series = {line: _points(name, line, cells) for line in _lines(cells)}
        panels[label] = {line: points for line, points in series.items() if points}
    return save_figure(figure_trend(panels, xlabel=AXES[axis].label, title=f"Quality against {axis}"), path)


def _points(name: str, line: str, cells: Sequence[Cell]) -> dict[float, list[float]]:
    """Value of the axis -> the score of each seed."""
    points: dict[float, list[float]] = {}
    for cell in sorted(cells, key=lambda cell: cell.value):
        score = getattr(cell.scores, name)
        if cell.line == line and math.isfinite(score):
            points.setdefault(cell.value, []).append(score)
    return points


def _axes(cells: Sequence[Cell]) -> list[str]:
    return [axis for axis in AXES if any(cell.axis == axis for cell in cells)]


def _lines(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.line for cell in cells))
