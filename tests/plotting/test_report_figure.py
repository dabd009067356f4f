"""The figure of a result: heading, verdict, three patterns, misfit over the scan, refinement, resolution."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.plotting import (
    Added,
    PatternFit,
    ReportContent,
    best_median_worst,
    draw_deviance,
    draw_halves,
    draw_misfit,
    draw_region,
    figure_reconstruction,
)
from ptychopinn.plotting.heading import COLOURS
from ptychopinn.plotting.maps import LEAST_AMPLITUDE, LEAST_RAD
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.patterns import LEAST_SIGMA, photon_limits, residual_limit

BAD = (
    "The image DOES NOT FIT the patterns: the deviance is 27 times what the counts allow. Nearly all patterns are "
    "explained badly: axes, signs, order or unit of the positions, or the probe, are wrong, or the run was too short; "
    "run `ptychopinn check` on the scan; else take more iterations (reconstruction.refine.iterations=100)"
)


def image(shape: tuple[int, int] = (40, 50), patterns: int = 20, object_: complex | None = None) -> Reconstruction:
    rng = np.random.default_rng(0)
    coverage = np.zeros(shape)
    coverage[4:-4, 4:-4] = 1
    drawn = rng.uniform(0.5, 1, shape) * np.exp(1j * rng.uniform(-0.9, 0.9, shape))
    places = rng.uniform(0.1, 0.9, (patterns, 2)) * shape
    return Reconstruction(drawn if object_ is None else np.full(shape, object_), coverage, (0, 0), places, drawn[None])


def pattern(label: str, number: int, expected: float = 50.0) -> PatternFit:
    rng = np.random.default_rng(number)
    mean = expected * (1 + np.arange(16.0)[:, None] + np.zeros((16, 24)))
    return PatternFit(label, number, 1.25, rng.poisson(mean), mean)


def content(**parts: object) -> ReportContent:
    rng = np.random.default_rng(1)
    rings = np.arange(1, 21)
    whole = ReportContent(
        method="iterative solver, 50 iterations",
        date="2026-11-28 12:00",
        level="does not fit",
        message=BAD,
        patterns=[pattern("best fit", 3), pattern("median fit", 8), pattern("worst fit", 12)],
        ratio=rng.uniform(1, 3, 20),
        deviance=[9.0, 4.0, 2.0, 1.5],
        region=(5, 30, 6, 40),
        resolution={"photons": FRCCurve(rings / 40, np.linspace(1, 0, 20), 8 * rings)},
    )
    return replace(whole, **parts)  # type: ignore[arg-type]


def titles(figure: Figure) -> list[str]:
    return [ax.get_title(loc="left") for ax in figure.axes]


def panel(figure: Figure, begin: str) -> Axes:
    return next(ax for ax in figure.axes if ax.get_title(loc="left").startswith(begin))


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def band(figure: Figure) -> Rectangle | None:
    found = [artist for artist in figure.get_children() if artist.get_gid() == "verdict"]
    assert len(found) <= 1
    return found[0] if found else None  # type: ignore[return-value]


def test_every_part_has_its_panel() -> None:
    figure = figure_reconstruction(image(), title="Reconstruction of a.npz", content=content())
    assert titles(figure) == [
        *("Amplitude", "Phase", "Coverage", "Probe"),
        *("Best fit (no. 3)", "Median fit (no. 8)", "Worst fit (no. 12)", *[""] * 6),
        *("Misfit over the scan", "Refinement: final deviance 1.5", "Ring correlation of two halves"),
    ]
    assert [ax.get_ylabel() for ax in figure.axes[4:11:3]] == ["Measured", "Modelled", "Residual (σ)"]


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ({"patterns": ()}, ("Best", "Median", "Worst")),
        ({"deviance": ()}, ("Refinement",)),
        ({"resolution": {}}, ("Ring",)),
        ({"ratio": None}, ("Misfit",)),
        ({"patterns": (), "deviance": (), "ratio": None, "resolution": {}}, ("Best", "Refinement", "Misfit")),
    ],
)
def test_what_is_missing_leaves_no_empty_panel(missing: dict, gone: tuple[str, ...]) -> None:
    figure = figure_reconstruction(image(), content=content(**missing))
    assert not [title for title in titles(figure) if title.startswith(gone)]
    for ax in figure.axes:
        assert ax.images or ax.lines or ax.collections, "a panel without data"


@pytest.mark.parametrize("parts", [{}, {"patterns": (), "deviance": (), "ratio": None, "resolution": {}}])
def test_what_a_prior_added_is_a_panel_of_its_modulus(parts: dict) -> None:
    shown = image()
    correction = np.zeros(shown.object_.shape, np.complex64)
    correction[10:20, 10:20] = 0.3 - 0.4j
    given = content(**parts, added=Added(correction, shown.coverage, 0.31))
    drawn = panel(figure_reconstruction(shown, content=given), "Added by the prior, rms 0.31 σ")
    values = np.asarray(drawn.images[0].get_array())
    assert values.max() == pytest.approx(0.5)
    assert values.min() == 0


@pytest.mark.parametrize("level", ["fits", "fits in part", "does not fit"])
def test_the_verdict_stands_in_a_coloured_band(level: str) -> None:
    figure = figure_reconstruction(image(), title="Reconstruction of a.npz", content=content(level=level))
    shown = band(figure)
    assert shown is not None
    assert to_hex(shown.get_facecolor()) == COLOURS[level][0]  # type: ignore[index]
    assert shown.get_width() > 0.9, "nearly as wide as the page"
    assert level.upper() in words(figure)
    assert BAD in words(figure), "no word of the message is cut"
    assert "iterative solver, 50 iterations   ·   2026-11-28 12:00   ·   40 × 50 px" in words(figure)
    assert words(figure).startswith("Reconstruction of a.npz")
    figure.canvas.draw()
    box = shown.get_window_extent()
    for text in figure.texts[2:4]:
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0
        assert extent.x1 <= box.x1
        assert box.y0 <= extent.y0
        assert extent.y1 <= box.y1


def test_a_bad_verdict_has_another_colour_than_a_good_one() -> None:
    assert len({COLOURS[level][0] for level in ("fits", "fits in part", "does not fit")}) == 3
    assert band(figure_reconstruction(image())) is None, "no verdict, no band"


def test_patterns_share_colours_and_residuals_are_in_standard_deviations() -> None:
    one = pattern("best fit", 3)
    figure = figure_reconstruction(image(), content=content())
    measured, modelled, residual = (figure.axes[index].images[0] for index in (4, 7, 10))
    np.testing.assert_allclose(residual.get_array(), (one.measured - one.modelled) / np.sqrt(one.modelled + 0.375))
    assert 0.9 < float(np.std(residual.get_array())) < 1.1, "a perfect model leaves noise of one standard deviation"
    limits = {ax.images[0].get_clim() for ax in figure.axes[4:10]}
    assert limits == {photon_limits(content().patterns)}
    assert {ax.images[0].get_clim() for ax in figure.axes[10:13]} == {(-LEAST_SIGMA, LEAST_SIGMA)}
    np.testing.assert_array_equal(measured.get_array(), np.maximum(one.measured, measured.get_clim()[0]))
    np.testing.assert_array_equal(modelled.get_array(), one.modelled)
    assert type(measured.norm).__name__ == "LogNorm"


def test_bad_pixels_are_left_out_of_patterns() -> None:
    one = pattern("best fit", 3)
    valid = np.ones(one.measured.shape, bool)
    valid[2] = False
    masked = replace(one, measured=np.where(valid, one.measured, 10**9), valid=valid)
    assert photon_limits([masked])[1] < 10**4
    assert residual_limit([masked]) == LEAST_SIGMA
    figure = figure_reconstruction(image(), content=content(patterns=[masked]))
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array().mask, ~valid)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_constant_patterns_have_a_span(value: float) -> None:
    flat = PatternFit("only pattern", 0, 1.0, np.full((8, 8), value), np.full((8, 8), value))
    low, high = photon_limits([flat])
    assert 0 < low < 0.101 * high
    figure_reconstruction(image(), content=content(patterns=[flat], ratio=np.ones(20))).canvas.draw()


def test_patterns_are_chosen_by_their_ratio() -> None:
    ratio = np.array([2.0, 1.0, 5.0, 3.0, 4.0, 9.0])
    assert best_median_worst(ratio) == [("best fit", 1), ("median fit", 3), ("worst fit", 5)]
    assert best_median_worst(np.ones(4)) == [("best fit", 0), ("median fit", 1), ("worst fit", 3)]
    assert best_median_worst(np.array([2.0, 1.0])) == [("best fit", 1), ("worst fit", 0)]
    assert best_median_worst(np.zeros(0)) == []


def test_the_misfit_is_drawn_at_its_position() -> None:
    places = np.array([[10.0, 40.0], [12.0, 44.0], [30.0, 41.0]])
    ax = draw_misfit(Page.blank(4, 4).panel(0.2, 0.2, 3, 3), places, np.array([1.0, 2.0, 8.0]))
    marks = ax.collections[0]
    np.testing.assert_array_equal(marks.get_offsets(), places[:, ::-1])
    np.testing.assert_array_equal(marks.get_array(), [1.0, 2.0, 8.0])
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "row 0 is on top"


def test_equal_ratios_have_a_span_of_colours() -> None:
    ax = draw_misfit(Page.blank(4, 4).panel(0.2, 0.2, 3, 3), np.zeros((3, 2)), np.ones(3))
    low, high = ax.collections[0].get_clim()
    assert (low, high) == (1.0, 1.5)
    ax.figure.canvas.draw()


def test_a_large_scan_is_drawn_in_cells() -> None:
    places = np.random.default_rng(0).uniform(0, 500, (30_000, 2))
    ax = draw_misfit(Page.blank(4, 4).panel(0.2, 0.2, 3, 3), places, places[:, 0] / 500)
    assert len(ax.collections[0].get_array()) < 20_000
    drawn = ax.collections[0]
    centres, values = drawn.get_offsets(), drawn.get_array()
    np.testing.assert_allclose(values, centres[:, 1] / 500, atol=0.03)


def test_a_constant_course_is_a_flat_line() -> None:
    ax = draw_deviance(Page.blank(4, 4).panel(0.5, 0.5, 3, 3), [1.0, 1.0000001, 1.0])
    low, high = ax.get_ylim()
    assert high - low >= 0.04


def test_the_resolution_of_two_halves_is_named() -> None:
    """A curve that falls from 1 to 0 crosses the half-bit curve once; one that stays high is below a pixel."""
    rings = np.arange(1, 41)
    falling = FRCCurve(rings / 80, np.linspace(1, 0, 40), 8 * rings)
    high, low = (FRCCurve(rings / 80, np.full(40, value), 8 * rings) for value in (0.99, 0.0))
    ax = draw_halves(Page.blank(4, 4).panel(0.5, 0.5, 3, 3), {"a": falling, "b": high, "c": low}, pixel_size_m=1e-8)
    pixels = 0.5 / falling.crossing("half_bit")
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == [f"a: {pixels:.2f} px = {10 * pixels:.3g} nm", "b: below 1 px", "c: none"]
    assert 1.2 < pixels < 1.6


def test_a_flat_object_does_not_look_like_structure() -> None:
    figure = figure_reconstruction(image(object_=0.8 * np.exp(0.3j)))
    low, high = figure.axes[0].images[0].get_clim()
    assert high - low >= 0.999 * LEAST_AMPLITUDE * 0.8
    low, high = figure.axes[1].images[0].get_clim()
    assert high - low >= 0.999 * LEAST_RAD


def test_the_scored_region_is_outlined_where_it_is() -> None:
    figure = figure_reconstruction(image(), content=content(region=(5, 30, 6, 40)))
    for name in ("Amplitude", "Phase"):
        outline = panel(figure, name).lines[-1]
        assert (min(outline.get_xdata()), max(outline.get_xdata())) == (5.5, 39.5)
        assert (min(outline.get_ydata()), max(outline.get_ydata())) == (4.5, 29.5)
    assert [text.get_text() for text in panel(figure, "Amplitude").texts].count("scored region") == 1
    plain = figure_reconstruction(image(), content=content(region=None))
    assert [text.get_text() for text in panel(plain, "Amplitude").texts].count("scored region") == 0
    ax = draw_region(Page.blank(4, 4).panel(0.2, 0.2, 3, 3), (0, 4, 0, 9))
    assert len(ax.texts) == 0


def test_the_modulus_of_the_reference_is_not_changed() -> None:
    source = image()
    reference = 1.7 * source.object_ * np.exp(0.4j)
    figure = figure_reconstruction(source, reference=reference, content=content(reference_note="moved by (1, 2) px"))
    shown = panel(figure, "Reference amplitude").images[0].get_array()
    np.testing.assert_allclose(shown.compressed(), np.abs(reference)[4:-4, 4:-4].ravel(), rtol=1e-5)
    assert "moved by (1, 2) px" in words(figure)


@pytest.mark.parametrize("shape", [(20, 300), (300, 20), (60, 60)])
@pytest.mark.parametrize(("count", "has_history"), [(1, False), (5, True), (400, False)])
def test_panels_do_not_overlap_whatever_the_scan(shape: tuple[int, int], count: int, has_history: bool) -> None:
    source = image(shape, count)
    history = {"epoch": [1, 2], "train_loss": [2.0, 1.0]} if has_history else None
    ratio = np.linspace(1, 3, count)
    patterns = [pattern(label, number) for label, number in best_median_worst(ratio)]
    parts = content(ratio=ratio, patterns=patterns, region=(6, 18, 6, 18))
    figure = figure_reconstruction(source, history, source.object_, {"phase PSNR (dB)": 30.0}, content=parts)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    for number, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width + 1
        assert box.y1 <= height
        for other in boxes[:number]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 2 or along <= 2
