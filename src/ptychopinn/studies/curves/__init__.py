"""Quality against dose, overlap, number of patterns, probe error and position error, by several methods."""

from ptychopinn.studies.curves.axes import AXES, Axis, Point
from ptychopinn.studies.curves.methods import METHODS, Scores
from ptychopinn.studies.curves.study import Cell, Curves, measure_curves
from ptychopinn.studies.curves.tables import curves_markdown, write_curves

__all__ = [
    "AXES",
    "METHODS",
    "Axis",
    "Cell",
    "Curves",
    "Point",
    "Scores",
    "curves_markdown",
    "measure_curves",
    "write_curves",
]
