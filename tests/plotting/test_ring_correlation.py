"""Curves of several reconstructions, and the table of their resolutions."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptychopinn.metrics import FRCCurve
from ptychopinn.plotting import draw_frc_curves, figure_frc

RINGS = np.arange(1, 41)


def curve(crossing: float) -> FRCCurve:
    """Falls in a straight line through 0.5 at a frequency."""
    return FRCCurve(RINGS / 80, np.clip(1 - RINGS / 160 / crossing, -1, 1), 6 * RINGS)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def dots(ax: Axes) -> list[tuple[float, float]]:
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]


def test_each_curve_has_its_colour_and_its_crossing() -> None:
    ax = draw_frc_curves(Figure().add_subplot(), {"cnn": curve(0.2), "fno": curve(0.35)})
    assert [x for x, _ in dots(ax)] == pytest.approx([0.2, 0.35])
    assert [y for _, y in dots(ax)] == pytest.approx([0.5, 0.5])
    drawn = [line for line in ax.lines if len(line.get_xdata()) == 40 and line.get_alpha()]
    assert len({line.get_color() for line in drawn}) == 2
    np.testing.assert_array_equal(drawn[1].get_ydata(), curve(0.35).correlation)


def test_table_names_frequency_and_half_period() -> None:
    figure = figure_frc({"cnn": curve(0.2), "fno": curve(0.35)}, thresholds=(0.5, "half_bit"), pixel_size_m=8e-9)
    assert {"cnn", "fno", "0.5", "half bit"} <= set(words(figure))
    assert "0.200 cycles/px,  20 nm" in words(figure)
    assert "0.350 cycles/px,  11.4 nm" in words(figure)
    assert "0.200 cycles/px,  2.50 px" in words(figure_frc({"cnn": curve(0.2)}))


def test_upper_axis_is_the_half_period() -> None:
    figure = figure_frc({"cnn": curve(0.2)}, pixel_size_m=8e-9)
    figure.canvas.draw()
    (above,) = figure.axes[0].child_axes
    assert above.get_xlabel() == "half period (nm)"
    ticks = dict(zip([text.get_text() for text in above.get_xticklabels()], above.get_xticks(), strict=True))
    assert ticks["20"] == pytest.approx(0.2)
    assert all(0 < position <= 0.5 for position in ticks.values())


def test_curves_that_are_never_or_always_above_have_no_resolution() -> None:
    flat, perfect = FRCCurve(RINGS / 80, np.zeros(40), RINGS), FRCCurve(RINGS / 80, np.ones(40), RINGS)
    figure = figure_frc({"flat": flat, "perfect": perfect}, thresholds=(0.5,))
    assert {"nowhere above", "not below Nyquist"} <= set(words(figure))
    assert dots(figure.axes[0]) == []


def test_more_curves_than_colours_fit_on_the_page() -> None:
    figure = figure_frc({f"a reconstruction with a very long name {i}": curve(0.2 + i / 100) for i in range(11)})
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert min(box.y0 for box in boxes) > 0
    assert max(box.x1 for box in boxes) < width
    assert figure.axes[0].get_tightbbox().y1 < height
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_no_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="one reconstruction at least"):
        figure_frc({})
