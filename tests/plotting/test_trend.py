"""Trials over a size: every one is seen, and the bar is their spread."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from ptychopinn.plotting import draw_trend, figure_trend

SERIES = {"cnn": {64: [30.0, 32.0], 256: [34.0, 35.0, 39.0]}, "fno": {64: [20.0]}}


def test_means_bars_and_dots_are_those_of_the_trials() -> None:
    ax = draw_trend(Figure().add_subplot(), SERIES, xlabel="patterns", title="PSNR")
    first, second = ax.containers
    assert list(first.lines[0].get_ydata()) == [31, 36]
    bars = [segment[:, 1] for segment in first.lines[2][0].get_segments()]
    np.testing.assert_allclose(bars[0], [31 - np.sqrt(2), 31 + np.sqrt(2)])
    assert list(second.lines[0].get_ydata()) == [20]
    dots = sorted(value for line in ax.lines if line.get_alpha() for value in line.get_ydata())
    assert dots == [20, 30, 32, 34, 35, 39]


def test_sizes_are_named_on_a_logarithmic_axis() -> None:
    ax = draw_trend(Figure().add_subplot(), SERIES, xlabel="patterns", title="PSNR", band=(31, 33))
    ax.figure.canvas.draw()
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["64", "256"]


def test_lines_stand_beside_each_other() -> None:
    ax = draw_trend(Figure().add_subplot(), {"a": {64: [1.0]}, "b": {64: [1.0]}}, xlabel="", title="")
    at = [container.lines[0].get_xdata()[0] for container in ax.containers]
    assert at[0] < 64 < at[1]


def test_panels_without_numbers_are_left_out() -> None:
    figure = figure_trend({"PSNR": SERIES, "SSIM": {}, "contrast": SERIES}, xlabel="patterns", title="T")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["PSNR", "contrast"]
    with pytest.raises(ValueError, match="one number at least"):
        figure_trend({"SSIM": {}}, xlabel="patterns", title="T")


def test_panels_fit_on_the_page() -> None:
    figure = figure_trend({f"score {i}": SERIES for i in range(5)}, xlabel="patterns", title="T")
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for box in (ax.get_tightbbox() for ax in figure.axes):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
