"""Pictures. Each `draw_` function takes and returns an Axes; no display and no global state is touched."""

from ptychopinn.plotting.comparison import figure_comparison
from ptychopinn.plotting.content import Added, Bars, PatternFit, ReportContent, best_median_worst
from ptychopinn.plotting.curves import draw_learning_rate, draw_loss
from ptychopinn.plotting.figures import Drawable, figure_history, figure_reconstruction, save_figure
from ptychopinn.plotting.fit import draw_deviance, draw_misfit
from ptychopinn.plotting.frc import draw_frc, draw_frc_curves, draw_halves, figure_frc
from ptychopinn.plotting.maps import (
    draw_added,
    draw_amplitude,
    draw_coverage,
    draw_error,
    draw_phase,
    draw_positions,
    draw_region,
)
from ptychopinn.plotting.panels import figure_map, save_panels
from ptychopinn.plotting.patches import PredictedPatch, figure_patches
from ptychopinn.plotting.patterns import draw_patterns
from ptychopinn.plotting.probe import draw_probe
from ptychopinn.plotting.scan_figure import figure_scan
from ptychopinn.plotting.trend import draw_trend, figure_trend

__all__ = [
    "Added",
    "Bars",
    "Drawable",
    "PatternFit",
    "PredictedPatch",
    "ReportContent",
    "best_median_worst",
    "draw_added",
    "draw_amplitude",
    "draw_coverage",
    "draw_deviance",
    "draw_error",
    "draw_frc",
    "draw_frc_curves",
    "draw_halves",
    "draw_learning_rate",
    "draw_loss",
    "draw_misfit",
    "draw_patterns",
    "draw_phase",
    "draw_positions",
    "draw_probe",
    "draw_region",
    "draw_trend",
    "figure_comparison",
    "figure_frc",
    "figure_history",
    "figure_map",
    "figure_patches",
    "figure_reconstruction",
    "figure_scan",
    "figure_trend",
    "save_figure",
    "save_panels",
]
