"""The figures of the page: maps of an image, its patterns, probe and curves."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from bokeh.models import (
    BoxZoomTool,
    ColorBar,
    ColorMapper,
    ColumnDataSource,
    CustomJS,
    CustomJSHover,
    GlyphRenderer,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    PanTool,
    PointDrawTool,
    Range1d,
    ResetTool,
    SaveTool,
    Scatter,
    TapTool,
    WheelZoomTool,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.plotting.content import PatternFit
from ptychopinn.plotting.curves import LOG_RATIO
from ptychopinn.plotting.fit import ratio_limits
from ptychopinn.plotting.palette import palette
from ptychopinn.plotting.patterns import photon_limits, residual_limit
from ptychopinn.plotting.style import INK, REGION, SERIES
from ptychopinn.web.maps import Colours, packed_colours

FUNCTIONS = (files("ptychopinn.web") / "js" / "page.js").read_text(encoding="utf-8")
UNMEASURED = "#aab2bd"
"""Ground of what was not measured, and positions whose misfit is not known."""
LEFT, RIGHT, ABOVE, BELOW = 62, 68, 36, 52
"""Screen pixels round a frame: for an axis, a colour bar, title and tools, an axis."""
MOST_MODES = 16
"""Probe modes that are drawn; the table of shares holds all."""


def script(call: str, **args: Any) -> CustomJS:
    """A callback that calls a function of `js/page.js`."""
    return CustomJS(args=args, code=f"{FUNCTIONS}\n{call}")


def mapper_of(colours: Colours) -> LinearColorMapper:
    """A linear colour mapper; what is not finite is transparent."""
    low, high = colours.limits
    return LinearColorMapper(palette=list(palette(colours.name)), low=low, high=high, nan_color="rgba(0,0,0,0)")


def blank(title: str, size: tuple[int, int], ranges: tuple[Range1d, Range1d] | None = None, **options: Any) -> Any:
    """A figure with the tools of all, its frame of (width, height) screen pixels."""
    known = {"x_range": ranges[0], "y_range": ranges[1]} if ranges else {}
    zoom = WheelZoomTool()
    tools = [PanTool(), zoom, BoxZoomTool(match_aspect=ranges is not None), ResetTool(), SaveTool()]
    made = figure(
        title=title,
        width=size[0] + LEFT + RIGHT,
        height=size[1] + ABOVE + BELOW,
        min_border_left=LEFT,
        min_border_right=RIGHT,
        min_border_top=ABOVE,
        min_border_bottom=BELOW,
        sizing_mode="fixed",
        tools=tools,
        toolbar_location="above",
        active_scroll=zoom if ranges else None,
        **known,
        **options,
    )
    made.toolbar.logo = None
    made.title.text_color = INK
    made.grid.visible = ranges is None
    if ranges:
        made.background_fill_color = "#f4f5f7"
        made.xaxis.ticker.desired_num_ticks = 4
    return made


def map_figure(
    title: str,
    size: tuple[int, int],
    ranges: tuple[Range1d, Range1d],
    pixel_size_m: float | None,
) -> Any:
    """An empty figure on the canvas of an image."""
    unit = "px" if pixel_size_m is None else f"px of {pixel_size_m * 1e9:.4g} nm"
    return blank(title, size, ranges, x_axis_label=f"x ({unit})", y_axis_label=f"y ({unit})")


def add_line(made: Any, ends: ColumnDataSource) -> None:
    """The line of the profile, whose ends can be moved."""
    made.line("x", "y", source=ends, color="white", line_width=3.5, level="overlay")
    made.line("x", "y", source=ends, color=REGION, line_width=1.5, level="overlay")
    marks = made.scatter(
        "x", "y", source=ends, size=11, fill_color="white", line_color=REGION, line_width=2, level="overlay"
    )
    made.add_tools(PointDrawTool(renderers=[marks], add=False, description="Move the ends of the line"))


def hover_map(made: Any, renderer: GlyphRenderer, rows: Sequence[tuple[str, str]], pixel_size_m: float | None) -> None:
    """Coordinates in px and micrometres under the pointer, and rows of values."""
    pixel_um = "null" if pixel_size_m is None else repr(pixel_size_m * 1e6)
    coordinate = CustomJSHover(code=f"{FUNCTIONS}\nreturn coordinate(value, {pixel_um})")
    made.add_tools(
        HoverTool(
            renderers=[renderer],
            tooltips=[("x", "$x{custom}"), ("y", "$y{custom}"), *rows],
            formatters={"$x": coordinate, "$y": coordinate},
            point_policy="follow_mouse",
        )
    )


def add_bar(made: Any, mapper: ColorMapper, title: str = "") -> None:
    """A colour bar on the right."""
    made.add_layout(ColorBar(color_mapper=mapper, width=10, title=title or None, padding=3), "right")


def scan_figure(
    positions_px: NDArray[np.float64],
    ratio: NDArray[np.float64] | None,
    ringed: Sequence[int],
    size: tuple[int, int],
    ranges: tuple[Range1d, Range1d],
) -> tuple[Any, ColumnDataSource, LinearColorMapper]:
    """The positions of a scan, coloured by their misfit, which a click selects.

    Args:
        positions_px: (N, 2), (y, x) in the object frame.
        ratio: (N,), deviance over what the counts allow; None where it is not known yet.
        ringed: positions that are marked.
        size: of the frame.
        ranges: of the maps.
    """
    made = blank(
        "Misfit over the scan (deviance / allowed)", size, ranges, x_axis_label="x (px)", y_axis_label="y (px)"
    )
    count = len(positions_px)
    outline = np.zeros(count)
    outline[list(ringed)] = 1.5
    source = ColumnDataSource(
        {
            "x": positions_px[:, 1],
            "y": positions_px[:, 0],
            "ratio": np.full(count, np.nan) if ratio is None else ratio,
            "number": np.arange(count),
            "outline": outline,
        }
    )
    mapper = LinearColorMapper(palette=list(palette("cividis")), nan_color=UNMEASURED)
    set_ratio(source, mapper, ratio)
    area = float(np.clip(0.45 * size[0] / np.sqrt(max(count, 1)), 2, 14))
    marks = made.scatter(
        "x",
        "y",
        source=source,
        size=area,
        fill_color={"field": "ratio", "transform": mapper},
        line_color=REGION,
        line_width="outline",
    )
    marks.selection_glyph = Scatter(
        size=area + 6, fill_color={"field": "ratio", "transform": mapper}, line_color="#d81b9a", line_width=3
    )
    marks.nonselection_glyph = None
    made.add_tools(
        TapTool(renderers=[marks]),
        HoverTool(renderers=[marks], tooltips=[("pattern", "@number"), ("deviance / allowed", "@ratio{0.000}")]),
    )
    add_bar(made, mapper)
    return made, source, mapper


def set_ratio(source: ColumnDataSource, mapper: LinearColorMapper, ratio: NDArray[np.float64] | None) -> None:
    """Colour the positions of a scan."""
    low, high = (0.5, 1.5) if ratio is None else ratio_limits(ratio)
    mapper.update(low=low, high=high)
    if ratio is not None:
        source.data["ratio"] = ratio


class PatternFigures:
    """Measured, modelled and residual pattern beside each other.

    Args:
        pattern_size: rows and columns of a pattern.
        side: of each frame, screen pixels.
    """

    def __init__(self, pattern_size: int, side: int) -> None:
        dark = np.full((2, 2), np.nan, np.float32)
        self.source = ColumnDataSource({name: [dark] for name in ("measured", "modelled", "residual")})
        edge = pattern_size - 0.5
        ranges = Range1d(-0.5, edge), Range1d(edge, -0.5)
        inferno, diverging = (list(palette(name)) for name in ("inferno", "RdBu_r"))
        clear = "rgba(0,0,0,0)"
        self.photons = [
            LogColorMapper(palette=inferno, low=0.1, high=1.0, low_color=inferno[0], nan_color=clear) for _ in range(2)
        ]
        self.residual = LinearColorMapper(palette=diverging, low=-4, high=4, nan_color=clear)
        self.figures = []
        mappers: list[ColorMapper] = [*self.photons, self.residual]
        named = zip(("measured", "modelled", "residual"), ("photons", "photons", "σ"), mappers, strict=True)
        for name, unit, mapper in named:
            made = blank(f"{name.capitalize()} ({unit})", (side, side), ranges)
            drawn = made.image(
                name, x=-0.5, y=-0.5, dw=pattern_size, dh=pattern_size, source=self.source, color_mapper=mapper
            )
            rows = [(key, f"@{key}{{0.000}}") for key in ("measured", "modelled", "residual")]
            made.add_tools(HoverTool(renderers=[drawn], tooltips=[("row, column", "$y{0}, $x{0}"), *rows]))
            add_bar(made, mapper)
            self.figures.append(made)

    def show(self, fit: PatternFit) -> None:
        """Draw a pattern."""
        arrays, limits = pattern_arrays(fit), pattern_limits(fit)
        self.source.data = {name: [values] for name, values in arrays.items()}
        for mapper in self.photons:
            mapper.update(low=limits["low"], high=limits["high"])
        self.residual.update(low=-limits["sigma"], high=limits["sigma"])


def pattern_arrays(fit: PatternFit) -> dict[str, NDArray[np.float32]]:
    """`measured`, `modelled` and `residual` (H, W), NaN where nothing was measured."""
    parts = {"measured": fit.measured, "modelled": fit.modelled, "residual": fit.residual}
    return {name: np.ma.filled(fit.shown(np.asarray(one, np.float32)), np.nan) for name, one in parts.items()}


def pattern_limits(fit: PatternFit) -> dict[str, float]:
    """Ranges of colours of a pattern: `low` and `high` of the photons, `sigma` of the residual."""
    low, high = photon_limits([fit])
    return {"low": low, "high": high, "sigma": residual_limit([fit])}


def probe_figures(probe: NDArray[np.complex64], side: int) -> list[Any]:
    """The modes of a probe with their shares of the photons: hue by phase, brightness by amplitude."""
    power = np.sum(np.abs(probe) ** 2, axis=(1, 2))
    share = power / max(float(power.sum()), 1e-30)
    made = []
    for number, mode in enumerate(probe[:MOST_MODES]):
        colour = packed_colours(mode, float(np.abs(mode).max()))
        height, width = mode.shape
        ranges = Range1d(-0.5, width - 0.5), Range1d(height - 0.5, -0.5)
        one = blank(f"Mode {number + 1}: {share[number]:.1%}", (side, side), ranges)
        source = ColumnDataSource(
            {"colour": [colour], "amplitude": [np.abs(mode)], "phase": [np.angle(mode).astype(np.float32)]}
        )
        drawn = one.image_rgba("colour", x=-0.5, y=-0.5, dw=width, dh=height, source=source)
        rows = [("amplitude", "@amplitude{0.0000}"), ("phase", "@phase{0.000} rad")]
        one.add_tools(HoverTool(renderers=[drawn], tooltips=[("row, column", "$y{0}, $x{0}"), *rows]))
        made.append(one)
    return made


def loss_figure(history: Mapping[str, Sequence[float]], size: tuple[int, int]) -> Any | None:
    """Training and validation loss over the epochs; None without any."""
    curves = {}
    epochs = np.asarray(history.get("epoch", ()), float)
    for name, label in (("train_loss", "training"), ("val_loss", "validation")):
        values = np.asarray(history.get(name, ()), float)
        if len(values):
            place = epochs if len(epochs) == len(values) else np.arange(1.0, len(values) + 1)
            curves[label] = place, values
    return _curves("Loss", "epoch", "loss", curves, size) if curves else None


def deviance_figure(deviance: Sequence[tuple[int, float]], size: tuple[int, int]) -> Any | None:
    """Deviance per pixel over the iterations of the solver; None without any."""
    if not deviance:
        return None
    done, values = (np.asarray(part, float) for part in zip(*deviance, strict=True))
    title = f"Refinement: deviance {values[-1]:.4g} after {done[-1]:.0f} iterations"
    return _curves(title, "iteration", "deviance per pixel", {"": (done, values)}, size)


def correlation_figure(curves: Mapping[str, FRCCurve], size: tuple[int, int]) -> Any | None:
    """Fourier ring correlation with the thresholds 0.5 and half a bit; None without any."""
    if not curves:
        return None
    drawn = {name: (one.frequency_cycles_per_px, one.correlation) for name, one in curves.items()}
    made = _curves("Fourier ring correlation", "cycles per px", "correlation", drawn, size)
    first = next(iter(curves.values()))
    for name, threshold in (("0.5", 0.5), ("half bit", "half_bit")):
        made.line(
            first.frequency_cycles_per_px,
            first.threshold_curve(threshold),  # type: ignore[arg-type]
            color="#6a717d",
            line_dash="dashed" if name == "0.5" else "dotted",
            legend_label=name,
        )
    made.y_range = Range1d(-0.05, 1.05)
    _place_legend(made, "bottom_left")
    return made


def profile_figures(source: ColumnDataSource, size: tuple[int, int], unit: str) -> list[Any]:
    """Amplitude and phase along the line."""
    made = []
    for number, (name, label) in enumerate((("amplitude", "amplitude"), ("phase", "phase (rad)"))):
        one = blank(f"Line profile: {label}", size, x_axis_label=f"along the line ({unit})")
        line = one.line("distance", name, source=source, color=SERIES[number], line_width=1.5)
        one.add_tools(
            HoverTool(
                renderers=[line], mode="vline", tooltips=[(unit, "@distance{0.000}"), (label, f"@{name}{{0.0000}}")]
            )
        )
        made.append(one)
    return made


def _curves(
    title: str,
    xlabel: str,
    ylabel: str,
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    size: tuple[int, int],
) -> Any:
    """Lines over one axis; a positive quantity that spans much is drawn on a logarithmic one."""
    every = np.concatenate([values for _, values in curves.values()])
    every = every[np.isfinite(every)]
    is_log = every.size > 0 and every.min() > 0 and every.max() / every.min() > LOG_RATIO
    made = blank(title, size, x_axis_label=xlabel, y_axis_label=ylabel, y_axis_type="log" if is_log else "linear")
    for number, (name, (place, values)) in enumerate(curves.items()):
        source = ColumnDataSource({"x": place, "y": values})
        known = {"legend_label": name} if name else {}
        colour = SERIES[number % len(SERIES)]
        line = made.line("x", "y", source=source, color=colour, line_width=1.6, **known)
        made.scatter("x", "y", source=source, color=colour, size=4 if len(place) < 100 else 1)
        made.add_tools(HoverTool(renderers=[line], mode="vline", tooltips=[(xlabel, "@x"), (ylabel, "@y{0.00000}")]))
    if any(curves):
        _place_legend(made, "top_right")
    return made


def _place_legend(made: Any, where: str) -> None:
    if made.legend:
        made.legend.location = where
        made.legend.label_text_font_size = "11px"
        made.legend.background_fill_alpha = 0.8
