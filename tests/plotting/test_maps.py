"""Maps are cropped, hatched where nothing was measured, and coloured by what is well covered."""

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ptychopinn.plotting import draw_amplitude, draw_coverage, draw_error, draw_phase, draw_positions
from ptychopinn.plotting.maps import Placement, robust_limits, shown_aspect
from ptychopinn.plotting.scalebar import round_length
from ptychopinn.plotting.style import HATCH_GROUND, HATCH_STROKE

SHAPE = (30, 40)


def axes() -> Axes:
    figure = Figure(figsize=(4, 3), dpi=100)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.1, 0.15, 0.7, 0.7))


def coverage() -> np.ndarray:
    values = np.zeros(SHAPE, np.float32)
    values[5:25, 8:36] = 0.02
    values[8:22, 12:32] = 1
    return values


def sample(phase_span: float = 0.8, offset: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (0.5 + y / 60) * np.exp(1j * (offset + phase_span * (x - 8) / 28))


def test_uncovered_pixels_are_masked_and_hatched() -> None:
    ax = axes()
    assert draw_amplitude(ax, sample(), coverage()) is ax
    image = ax.images[0]
    assert image.get_array().shape == (20, 28)
    assert ax.patch.get_hatch()
    holes = coverage()
    holes[10:12, 15] = 0
    second = draw_amplitude(axes(), sample(), holes)
    assert second.images[0].get_array().mask.sum() == 2


def test_uncovered_pixels_have_the_colours_of_the_hatching() -> None:
    holes = coverage()
    holes[10:20, 15:30] = 0
    ax = draw_phase(axes(), sample(), holes)
    ax.figure.canvas.draw()
    picture = np.asarray(ax.figure.canvas.buffer_rgba())[..., :3] / 255
    left, bottom = ax.transData.transform((17, 18))
    right, top = ax.transData.transform((28, 12))
    height = len(picture)
    hole = picture[int(height - top) : int(height - bottom), int(left) : int(right)].reshape(-1, 3)
    ground, stroke = np.array(to_rgb(HATCH_GROUND)), np.array(to_rgb(HATCH_STROKE))
    tolerance = 2.1 / 255
    between = (hole >= np.minimum(ground, stroke) - tolerance) & (hole <= np.maximum(ground, stroke) + tolerance)
    assert between.all()
    assert (np.abs(hole - ground).max(axis=1) > 5 / 255).any(), "no stroke of the hatching is there"


def test_the_window_is_the_covered_box_with_a_margin_in_the_object_frame() -> None:
    ax = draw_coverage(axes(), coverage(), place=Placement(origin_px=(100, -20)))
    margin = 0.03 * 28
    assert ax.get_ylim() == pytest.approx((100 + 24.5 + margin, 100 + 4.5 - margin))
    assert ax.get_xlim() == pytest.approx((-20 + 7.5 - margin, -20 + 35.5 + margin))
    height, width = np.abs(np.diff(ax.get_ylim())), np.abs(np.diff(ax.get_xlim()))
    assert shown_aspect(coverage()) == pytest.approx((height / width).item())


def test_limits_come_from_the_well_covered_pixels() -> None:
    object_ = sample()
    object_[coverage() < 0.1] = 1e6
    object_[10, 20] = 1e4
    low, high = draw_amplitude(axes(), object_, coverage()).images[0].get_clim()
    assert 0.5 < low < high < 1.0


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        (np.ones(SHAPE), coverage()),
        (np.full(SHAPE, np.nan), coverage()),
        (np.ones(SHAPE), np.zeros(SHAPE)),
        (np.where(np.arange(40) < 20, np.nan, np.ones(SHAPE)), coverage()),
    ],
)
def test_limits_are_finite_and_apart_whatever_comes(values: np.ndarray, weight: np.ndarray) -> None:
    low, high = robust_limits(values, weight)
    assert np.isfinite([low, high]).all()
    assert high - low >= 0.999e-3
    for draw in (draw_amplitude, draw_phase):
        ax = draw(axes(), values.astype(complex), weight)
        ax.figure.canvas.draw()
        assert np.isfinite(ax.images[0].get_clim()).all()


def test_few_covered_pixels_still_set_the_limits() -> None:
    weight = np.zeros(SHAPE)
    weight[3, 3:6] = 0.01
    values = np.full(SHAPE, 9.0)
    values[3, 3:6] = (1, 2, 3)
    low, high = robust_limits(values, weight)
    assert 1 <= low < high <= 3


@pytest.mark.parametrize("offset", [0.0, 1.5, 3.1, -2.9])
def test_a_global_phase_changes_nothing_and_never_wraps(offset: float) -> None:
    plain = draw_phase(axes(), sample(), coverage()).images[0]
    turned = draw_phase(axes(), sample(offset=offset), coverage()).images[0]
    np.testing.assert_allclose(turned.get_array(), plain.get_array(), atol=1e-9)
    low, high = turned.get_clim()
    assert -0.5 < low < 0 < high < 0.5
    assert turned.get_cmap().name == "viridis"


def test_a_phase_that_spans_more_than_pi_is_cyclic() -> None:
    image = draw_phase(axes(), sample(phase_span=9), coverage()).images[0]
    assert image.get_cmap().name == "twilight"
    assert image.get_clim() == pytest.approx((-np.pi, np.pi))


def test_given_limits_are_kept() -> None:
    assert draw_amplitude(axes(), sample(), coverage(), limits=(0.2, 0.3)).images[0].get_clim() == (0.2, 0.3)
    assert draw_phase(axes(), sample(), coverage(), limits=(-1, 1)).images[0].get_clim() == (-1, 1)


def test_error_is_the_modulus_of_the_difference_from_zero_up() -> None:
    ax = draw_error(axes(), sample() + 0.1j, sample(), coverage())
    np.testing.assert_allclose(ax.images[0].get_array().compressed(), 0.1)
    assert ax.images[0].get_clim()[0] == 0
    assert ax.images[0].get_clim()[1] == pytest.approx(0.1, abs=1e-3)


def test_the_colour_bar_is_as_tall_as_the_image() -> None:
    ax = draw_phase(axes(), sample(), coverage())
    ax.figure.canvas.draw()
    (bar,) = ax.child_axes
    own, beside = ax.get_window_extent(), bar.get_window_extent()
    assert (beside.y0, beside.y1) == pytest.approx((own.y0, own.y1))
    assert beside.x0 > own.x1
    assert bar.get_title(loc="left") == "rad"


@pytest.mark.parametrize(
    ("width", "pixel", "length", "label"),
    [
        (240, None, 50, "50 px"),
        (6, None, 1, "1 px"),
        (2, None, 1, "1 px"),
        (1000, 1e-9, 200, "200 nm"),
        (1000, 10e-9, 200, "2 µm"),
        (1000, 0.5e-12, 200, "0.1 nm"),
        (100, 1e-3, 20, "20 mm"),
        (334, 1e-9, 100, "100 nm"),
    ],
)
def test_scale_bars_have_round_lengths(width: float, pixel: float | None, length: float, label: str) -> None:
    got, text = round_length(width, pixel)
    assert got == pytest.approx(length)
    assert text == label


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    ax = draw_amplitude(axes(), sample(), coverage(), place=Placement(pixel_size_m=10e-9))
    (bar,) = ax.lines
    (text,) = ax.texts
    assert text.get_text() == "50 nm"
    assert np.ptp(bar.get_xdata()) == pytest.approx(5)


def test_positions_stand_at_column_and_row() -> None:
    positions = np.array([[1.0, 5.0], [2.0, 7.0], [4.0, 6.0]])
    ax = draw_positions(axes(), positions)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), positions[:, ::-1])
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "row 0 is on top"
    below = draw_coverage(axes(), coverage())
    window = below.get_xlim()
    assert draw_positions(below, positions + 10, title=None).get_xlim() == window
    assert below.get_title(loc="left") == "Coverage"


def test_global_settings_stay_as_they_are() -> None:
    before = dict(matplotlib.rcParams)
    draw_phase(axes(), sample(), coverage()).figure.canvas.draw()
    assert dict(matplotlib.rcParams) == before
