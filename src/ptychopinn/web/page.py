"""The page of one or several results: the same models for the server and for a file."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT
from bokeh.models import CheckboxGroup, Column, ColumnDataSource, Div, NumericInput, Range1d, Row, Select, UIElement
from numpy.typing import NDArray

from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.plotting.content import PatternFit
from ptychopinn.web import figures, text
from ptychopinn.web.maps import Maps, Window
from ptychopinn.web.results import Result

MARGIN = 0.02
"""Round the maps, as a part of their longer side."""
WIDE, NARROW = 345, 300
"""Longer side of the frame of a map, screen pixels: of one result, and of several beside each other."""
FAR = 4.0
"""Results whose common window is so much larger than that of the first one are not zoomed together."""
OTHER_MAPS = {
    "coverage": ("Coverage (of the largest weight)", "coverage"),
    "amplitude_error": ("Error bar of the amplitude (σ)", "amplitude"),
    "phase_error": ("Error bar of the phase (σ, rad)", "phase"),
    "prior_correction": ("Added by the prior (modulus)", "prior"),
}
COMPLEX = "Complex (hue: phase, brightness: amplitude)"
SWITCHES = ("Remove the phase ramp", "Unwrap the phase")

silence(EMPTY_LAYOUT)  # a part of the page is empty until there is something to show


def wrapping(*children: UIElement) -> Row:
    """Children beside each other, as far as the window is wide."""
    return Row(children=list(children), styles={"flex-wrap": "wrap", "gap": "8px"}, sizing_mode="stretch_width")


def note(html: str) -> Div:
    """Text of the page."""
    return Div(text=html, stylesheets=[text.STYLE], sizing_mode="stretch_width")


@final
class View:
    """One result on the page.

    Args:
        size: longer side of the frame of a map, screen pixels.
        switches: which of `SWITCHES` are on.
    """

    def __init__(self, size: int, switches: CheckboxGroup) -> None:
        self._size = size
        self._switches = switches
        self.heading = note("")
        self.maps = Column()
        self.scan = Column()
        self.probe = Column()
        self.curves = Column()
        self.tables = note("")
        self.root = Column(
            children=[self.heading, self.maps, self.scan, self.probe, self.curves, self.tables],
            sizing_mode="stretch_width",
        )
        self.phase: dict[str, Any] | None = None
        """What `show_phase` of the script needs; None without an image."""
        self.patterns: figures.PatternFigures | None = None
        self.positions: ColumnDataSource | None = None
        self.pattern_text = note("")
        self.number = NumericInput(title="Pattern", low=0, mode="int", value=None, width=110)
        self._ratio_colours: Any = None
        self._curves: Mapping[str, FRCCurve] = {}
        self._result: Result | None = None

    def show_maps(self, result: Result, ranges: "Ranges", maps: Maps | None) -> None:
        """Draw heading and maps of a result; `show_rest` draws what stands below them."""
        self._result = result
        self.heading.text = text.heading(result)
        self.phase = None
        self.patterns = self.positions = None
        self._curves = {}
        self.maps.children = [] if maps is None else self._maps(result, ranges, maps)

    def show_rest(self, result: Result, ranges: "Ranges", maps: Maps | None) -> None:
        """Draw all else of a result; misfit, patterns and ring correlation follow by themselves."""
        self.show_texts(result)
        if result.image is None or maps is None:
            self.scan.children = []
            self.probe.children = []
        else:
            self.scan.children = self._scan(result, ranges)
            side = min(self._size, 170)
            drawn = figures.probe_figures(result.image.probe, side)
            left_out = len(result.image.probe) - len(drawn)
            more = [note(f"<p>{left_out} further modes are not drawn.</p>")] if left_out > 0 else []
            self.probe.children = [note("<h3>Probe modes and their shares</h3>"), wrapping(*drawn), *more]
        self.show_curves(result)

    def show_texts(self, result: Result) -> None:
        """Heading, numbers, settings and log of a result."""
        self.heading.text = text.heading(result)
        self.tables.text = (
            f"<h3>Metrics</h3>{text.metrics_table(result)}"
            f"<h3>Recipe, where it differs from the default</h3>{text.settings_table(result)}{text.log_text(result)}"
        )

    def show_curves(self, result: Result) -> None:
        """Loss, refinement, ring correlation."""
        self._result = result
        size = self._size, 190
        made = [
            figures.loss_figure(result.history, size),
            figures.deviance_figure(result.deviance, size),
            figures.correlation_figure(self._curves, size),
        ]
        drawn = [one for one in made if one is not None]
        self.curves.children = [note("<h3>Curves</h3>"), wrapping(*drawn)] if drawn else []

    def show_correlation(self, curves: Mapping[str, FRCCurve]) -> None:
        """Add ring correlations to the curves."""
        self._curves = {**self._curves, **curves}
        if self._result is not None:
            self.show_curves(self._result)

    def show_ratio(self, ratio: NDArray[np.float64]) -> None:
        """Colour the positions by their misfit."""
        if self.positions is not None:
            figures.set_ratio(self.positions, self._ratio_colours, ratio)

    def show_pattern(self, fit: PatternFit) -> None:
        """Draw a pattern."""
        if self.patterns is not None:
            self.patterns.show(fit)
            self.pattern_text.text = pattern_text(fit)

    def ring(self, numbers: Sequence[int]) -> None:
        """Mark positions."""
        if self.positions is not None:
            outline = np.zeros(self.positions.data["number"].shape)
            outline[list(numbers)] = 1.5
            self.positions.data["outline"] = outline

    def store(self, fits: Sequence[PatternFit]) -> None:
        """Keep patterns in the page, so that a click shows them without a server."""
        if self.positions is None or self.patterns is None:
            return
        columns: dict[str, Any] = {"number": np.array([one.number for one in fits])}
        columns["text"] = [pattern_text(one) for one in fits]
        arrays, limits = [figures.pattern_arrays(one) for one in fits], [figures.pattern_limits(one) for one in fits]
        columns |= {name: [one[name] for one in arrays] for name in ("measured", "modelled", "residual")}
        columns |= {name: np.array([one[name] for one in limits]) for name in ("low", "high", "sigma")}
        mappers = {"photons": self.patterns.photons, "residual": self.patterns.residual}
        called = figures.script(
            "show_stored(scan, stored, shown, text, mappers, box)",
            scan=self.positions,
            stored=ColumnDataSource(columns),
            shown=self.patterns.source,
            text=self.pattern_text,
            mappers=mappers,
            box=self.number,
        )
        self.positions.selected.js_on_change("indices", called)
        self.ring([one.number for one in fits])

    def _maps(self, result: Result, ranges: "Ranges", maps: Maps) -> list[UIElement]:
        assert result.image is not None
        pixel = result.image.pixel_size_m
        arrays = {name: [values] for name, values in maps.arrays.items()}
        phase = phase_name(self._switches.active)
        shown = maps.shown_phase(phase)
        source = ColumnDataSource({**arrays, "shown": [shown], "colour": [maps.colour]})
        place = {"x": maps.left, "y": maps.top, "dw": maps.width, "dh": maps.height, "source": source}
        ends = ranges.ends
        rows = [
            ("amplitude", "@amplitude{0.00000}"),
            ("phase", "@shown{0.00000} rad"),
            ("coverage", "@coverage{0.000}"),
        ]
        if "amplitude_error" in maps.arrays:
            rows += [("error bar (σ)", "@amplitude_error{0.00000}, @phase_error{0.00000} rad")]
        size = ranges.frame(self._size)
        drawn, mappers = {}, {}
        for name, column, title in (("amplitude", "amplitude", "Amplitude"), ("phase", "shown", "Phase (rad)")):
            drawn[name] = figures.map_figure(title, size, ranges.pair, pixel)
            mappers[name] = figures.mapper_of(maps.colours[phase if name == "phase" else name])
            figures.hover_map(drawn[name], drawn[name].image(column, color_mapper=mappers[name], **place), rows, pixel)
            figures.add_bar(drawn[name], mappers[name])
        drawn["complex"] = figures.map_figure(COMPLEX, size, ranges.pair, pixel)
        figures.hover_map(drawn["complex"], drawn["complex"].image_rgba("colour", **place), rows, pixel)
        for name, (title, _) in OTHER_MAPS.items():
            if name in maps.arrays:
                drawn[name] = figures.map_figure(title, size, ranges.pair, pixel)
                mapper = figures.mapper_of(maps.colours[name])
                figures.hover_map(drawn[name], drawn[name].image(name, color_mapper=mapper, **place), rows, pixel)
                figures.add_bar(drawn[name], mapper)
                drawn[name].visible = False
        for one in drawn.values():
            figures.add_line(one, ends)
        third = {name: one for name, one in drawn.items() if name not in ("amplitude", "phase")}
        names = {"complex": "complex", **{name: OTHER_MAPS[name][0] for name in third if name != "complex"}}
        chosen = Select(title="Third map", value="complex", options=list(names.items()), width=260)
        chosen.js_on_change(
            "value", figures.script("for (const name in maps) maps[name].visible = name == cb_obj.value", maps=third)
        )
        profile = ColumnDataSource({"distance": [], "amplitude": [], "phase": []})
        self.phase = {
            "source": source,
            "mapper": mappers["phase"],
            "plane": list(maps.plane),
            "colours": {name: _colours(maps, name) for name in ("phase", "phase_unwrapped", "flat", "flat_unwrapped")},
            "rows": maps.shape[0],
            "columns": maps.shape[1],
            "left": maps.left,
            "top": maps.top,
            "step": maps.step,
            "ends": ends,
            "profile": profile,
            "pixel_um": None if pixel is None else pixel * 1e6,
        }
        boxes = self._line_boxes(ends, self.phase)
        _fill_profile(profile, maps, shown, ends, pixel)
        unit = "px" if pixel is None else "µm"
        lines = figures.profile_figures(profile, (self._size, 150), unit)
        binned = [note(f"<p>Each element shown is the mean of {maps.step} × {maps.step} pixels.</p>")] * (maps.step > 1)
        hint = note(
            "<p>Line profile between the two dots: type their coordinates, or drag them (last tool of a map).</p>"
        )
        return [wrapping(*drawn.values()), *binned, chosen, wrapping(*lines), wrapping(*boxes), hint]

    def _line_boxes(self, ends: ColumnDataSource, view: dict[str, Any]) -> list[NumericInput]:
        values = [*zip(ends.data["x"], ends.data["y"], strict=True)]
        titles = ("Line from x (px)", "from y (px)", "to x (px)", "to y (px)")
        boxes = [
            NumericInput(title=title, value=round(value), mode="int", width=110)
            for title, value in zip(titles, (value for pair in values for value in pair), strict=True)
        ]
        for box in boxes:
            box.js_on_change("value", figures.script("move_ends(ends, boxes)", ends=ends, boxes=boxes))
        call = "write_ends(view.ends, boxes); show_profile(view)"
        ends.js_on_change("data", figures.script(call, view=view, boxes=boxes))
        return boxes

    def _scan(self, result: Result, ranges: "Ranges") -> list[UIElement]:
        assert result.image is not None
        positions = result.image.positions_px
        size = ranges.frame(self._size)
        misfit, self.positions, self._ratio_colours = figures.scan_figure(positions, None, (), size, ranges.pair)
        side = 180
        self.patterns = figures.PatternFigures(result.image.probe.shape[-1], side)
        self.number = NumericInput(
            title=f"Pattern (0 to {len(positions) - 1})",
            low=0,
            high=len(positions) - 1,
            mode="int",
            value=None,
            width=150,
        )
        self.number.js_on_change("value", figures.script("select_pattern(scan, cb_obj.value)", scan=self.positions))
        self.pattern_text.text = "<p>Click a position, or type the number of a pattern.</p>"
        return [
            note("<h3>Patterns</h3>"),
            wrapping(misfit, Column(children=[self.number, self.pattern_text, wrapping(*self.patterns.figures)])),
        ]


@final
class Ranges:
    """The window of the maps, which all results share so that they are zoomed together."""

    def __init__(self) -> None:
        self.x = Range1d(0, 1)
        self.y = Range1d(1, 0)
        self.ends = ColumnDataSource({"x": [0.0, 1.0], "y": [0.0, 0.0]})
        """Of the line of the profile, which all results share as well."""
        self._aspect = 1.0

    @property
    def pair(self) -> tuple[Range1d, Range1d]:
        """Of x and of y."""
        return self.x, self.y

    def frame(self, side: int) -> tuple[int, int]:
        """Width and height of a frame with square pixels, whose longer side is given."""
        return round(side / max(self._aspect, 1.0)), round(side * min(self._aspect, 1.0))

    def set(self, windows: Sequence[Maps]) -> None:
        """Show all of some maps."""
        if not windows:
            return
        left, top = (min(getattr(one, name) for one in windows) for name in ("left", "top"))
        right = max(one.left + one.width for one in windows)
        bottom = max(one.top + one.height for one in windows)
        margin = MARGIN * max(right - left, bottom - top)
        self._aspect = float(np.clip((bottom - top + 2 * margin) / (right - left + 2 * margin), 0.2, 5))
        for one, start, end in ((self.x, left - margin, right + margin), (self.y, bottom + margin, top - margin)):
            one.update(start=start, end=end, reset_start=start, reset_end=end)
        x, y = (left + right) / 2, float(round((top + bottom) / 2))
        reach = 0.4 * (right - left)
        self.ends.data = {"x": [float(round(x - reach)), float(round(x + reach))], "y": [y, y]}


def phase_name(active: Sequence[int]) -> str:
    """The phase that the switches ask for, as `Maps.colours` calls it.

    >>> phase_name([]), phase_name([1, 0])
    ('phase', 'flat_unwrapped')
    """
    return ("flat" if 0 in active else "phase") + ("_unwrapped" if 1 in active else "")


def are_near(maps: Sequence[Maps]) -> bool:
    """Whether several results lie so near to each other that one window shows all of them."""
    if not maps:
        return True
    right, bottom = (max(one.left + one.width for one in maps), max(one.top + one.height for one in maps))
    width, height = right - min(one.left for one in maps), bottom - min(one.top for one in maps)
    return width <= FAR * min(one.width for one in maps) and height <= FAR * min(one.height for one in maps)


@final
class Page:
    """All results, and the switches that they share.

    Args:
        count: of results.
    """

    def __init__(self, count: int) -> None:
        size = WIDE if count == 1 else NARROW
        self.switches = CheckboxGroup(labels=list(SWITCHES), active=[], inline=True)
        self.views = [View(size, self.switches) for _ in range(count)]
        self._ranges: list[Ranges] = []
        self._windows: list[Window | None] = []
        self.above = [Column() for _ in range(count)]
        """What stands above each result, such as a choice of others."""
        columns = [
            Column(children=[above, view.root], sizing_mode="stretch_width", styles={"min-width": f"{size}px"})
            for above, view in zip(self.above, self.views, strict=True)
        ]
        self.root = Column(
            children=[self.switches, Row(children=list(columns), styles={"gap": "24px"}, sizing_mode="stretch_width")],
            sizing_mode="stretch_width",
        )

    def show(self, results: Sequence[Result], maps: Sequence[Maps | None]) -> None:
        """Draw all results anew; the zoom stays where the windows are as before."""
        self.show_maps(results, maps)
        self.show_rest(results, maps)

    def show_maps(self, results: Sequence[Result], maps: Sequence[Maps | None]) -> None:
        """The same of headings and maps only, so that a browser draws them first; `show_rest` belongs to it."""
        windows = [None if one is None else one.window for one in maps]
        if windows != self._windows:
            self._windows = windows
            known = [one for one in maps if one is not None]
            self._ranges = [Ranges()] * len(results) if are_near(known) else [Ranges() for _ in results]
            for one in self._ranges:
                one.set([each for each, own in zip(maps, self._ranges, strict=True) if own is one and each is not None])
        for one in self._ranges:
            one.ends.js_property_callbacks = {}  # of views that are drawn anew
        for view, result, own, arrays in zip(self.views, results, self._ranges, maps, strict=True):
            view.show_maps(result, own, arrays)
        self._connect_switches()

    def show_rest(self, results: Sequence[Result], maps: Sequence[Maps | None]) -> None:
        """What stands below the maps that `show_maps` has drawn."""
        for view, result, own, arrays in zip(self.views, results, self._ranges, maps, strict=True):
            view.show_rest(result, own, arrays)

    def _connect_switches(self) -> None:
        """Let the switches act on the views that there are now."""
        views = [view.phase for view in self.views if view.phase is not None]
        called = figures.script("show_phase(choice, views)", choice=self.switches, views=views)
        self.switches.js_property_callbacks = {"change:active": [called]}


def pattern_text(fit: PatternFit) -> str:
    """The sentence on a pattern beside its three maps."""
    label = f"Pattern {fit.number}" + ("" if fit.label.startswith("pattern") else f" ({fit.label})")
    ratio = f": deviance {fit.ratio:.4g} times what its counts allow" if np.isfinite(fit.ratio) else ""
    return text.paragraph(f"{label}{ratio}; {float(np.sum(fit.measured)):.6g} photons measured.")


def _colours(maps: Maps, name: str) -> dict[str, Any]:
    colours = maps.colours[name]
    low, high = colours.limits
    return {"palette": list(figures.palette(colours.name)), "low": low, "high": high}


def _fill_profile(
    profile: ColumnDataSource,
    maps: Maps,
    phase: NDArray[np.float32],
    ends: ColumnDataSource,
    pixel_size_m: float | None,
) -> None:
    """The profile of a line, as `show_profile` of the script fills it."""
    (x0, x1), (y0, y1) = ends.data["x"], ends.data["y"]
    length = float(np.hypot(x1 - x0, y1 - y0))
    part = np.linspace(0, 1, int(np.clip(np.ceil(length / maps.step) + 1, 2, 4000)))
    columns, rows = (
        np.floor((start + part * (end - start) - edge) / maps.step).astype(int)
        for start, end, edge in ((x0, x1, maps.left), (y0, y1, maps.top))
    )
    inside = (columns >= 0) & (rows >= 0) & (columns < maps.shape[1]) & (rows < maps.shape[0])
    at = np.where(inside, rows, 0), np.where(inside, columns, 0)
    profile.data = {
        "distance": part * length * (1.0 if pixel_size_m is None else pixel_size_m * 1e6),
        "amplitude": np.where(inside, maps.arrays["amplitude"][at], np.nan),
        "phase": np.where(inside, phase[at], np.nan),
    }
