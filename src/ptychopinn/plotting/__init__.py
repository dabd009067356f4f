"""Pictures. Each `draw_` function takes and returns an Axes; no display and no global state is touched."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
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

__getattr__ = loads(
    globals(),
    {
        "figure_comparison": "ptychopinn.plotting.comparison",
        "Added": "ptychopinn.plotting.content",
        "Bars": "ptychopinn.plotting.content",
        "PatternFit": "ptychopinn.plotting.content",
        "ReportContent": "ptychopinn.plotting.content",
        "best_median_worst": "ptychopinn.plotting.content",
        "draw_learning_rate": "ptychopinn.plotting.curves",
        "draw_loss": "ptychopinn.plotting.curves",
        "Drawable": "ptychopinn.plotting.figures",
        "figure_history": "ptychopinn.plotting.figures",
        "figure_reconstruction": "ptychopinn.plotting.figures",
        "save_figure": "ptychopinn.plotting.figures",
        "draw_deviance": "ptychopinn.plotting.fit",
        "draw_misfit": "ptychopinn.plotting.fit",
        "draw_frc": "ptychopinn.plotting.frc",
        "draw_frc_curves": "ptychopinn.plotting.frc",
        "draw_halves": "ptychopinn.plotting.frc",
        "figure_frc": "ptychopinn.plotting.frc",
        "draw_added": "ptychopinn.plotting.maps",
        "draw_amplitude": "ptychopinn.plotting.maps",
        "draw_coverage": "ptychopinn.plotting.maps",
        "draw_error": "ptychopinn.plotting.maps",
        "draw_phase": "ptychopinn.plotting.maps",
        "draw_positions": "ptychopinn.plotting.maps",
        "draw_region": "ptychopinn.plotting.maps",
        "figure_map": "ptychopinn.plotting.panels",
        "save_panels": "ptychopinn.plotting.panels",
        "PredictedPatch": "ptychopinn.plotting.patches",
        "figure_patches": "ptychopinn.plotting.patches",
        "draw_patterns": "ptychopinn.plotting.patterns",
        "draw_probe": "ptychopinn.plotting.probe",
        "figure_scan": "ptychopinn.plotting.scan_figure",
        "draw_trend": "ptychopinn.plotting.trend",
        "figure_trend": "ptychopinn.plotting.trend",
    },
)
