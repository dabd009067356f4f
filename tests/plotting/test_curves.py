"""Curves: what is missing is left out, what matters can be read."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.plotting import draw_frc, draw_learning_rate, draw_loss

NAN = float("nan")


def axes() -> Axes:
    return Figure().add_subplot()


def labels(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def test_loss_draws_both_curves_and_marks_the_least() -> None:
    history = {
        "epoch": [1, 2, 3, 4],
        "train_loss": [-0.5, -0.8, -0.9, -1],
        "val_loss": [NAN, -0.7, -0.85, -0.8],
    }
    ax = axes()
    assert draw_loss(ax, history) is ax
    training, validation, mark = ax.lines
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(validation.get_xdata(), [2, 3, 4])
    assert (mark.get_xdata(), mark.get_ydata()) == ([3], [-0.85])
    assert labels(ax) == ["training", "validation, least −0.85"]


@pytest.mark.parametrize(
    ("history", "curves"),
    [
        ({}, 0),
        ({"epoch": []}, 0),
        ({"epoch": [1], "train_loss": [NAN]}, 0),
        ({"train_loss": [3.0, 2.0]}, 1),
        ({"epoch": [1], "train_loss": [0.0]}, 1),
        ({"epoch": [1, 2], "train_loss": [2.0, 1.0], "val_loss": [NAN, NAN]}, 1),
    ],
)
def test_missing_columns_are_left_out(history: dict, curves: int) -> None:
    ax = draw_loss(axes(), history)
    assert len(labels(ax)) == curves
    low, high = ax.get_ylim()
    assert low < high
    ax.figure.canvas.draw()


def test_a_positive_loss_that_falls_far_is_logarithmic() -> None:
    ax = draw_loss(axes(), {"train_loss": [100.0, 10.0, 1.0]})
    assert ax.get_yscale() == "log"
    assert draw_loss(axes(), {"train_loss": [3.0, 2.0, 1.0]}).get_yscale() == "linear"
    assert draw_loss(axes(), {"train_loss": [100.0, 10.0, -1.0]}).get_yscale() == "linear"


def test_a_steep_start_does_not_flatten_the_rest() -> None:
    losses = [1000.0, 5.0, *np.linspace(-1, -2, 18)]
    low, high = draw_loss(axes(), {"train_loss": losses}).get_ylim()
    assert high < 0
    assert low < -2


def test_learning_rate_starts_at_zero() -> None:
    ax = draw_learning_rate(axes(), {"epoch": [1, 2], "learning_rate": [1e-3, 5e-4]})
    assert ax.get_ylim()[0] == 0
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1e-3, 5e-4])


def curve(correlation: np.ndarray) -> FRCCurve:
    rings = np.arange(1, len(correlation) + 1)
    return FRCCurve(rings / (2 * len(rings)), correlation, 6 * rings)


def test_frc_names_the_resolution_of_each_threshold() -> None:
    falling = curve(np.linspace(1, 0, 41)[1:])
    ax = draw_frc(axes(), falling, thresholds=(0.5, "half_bit"), pixel_size_m=10e-9)
    first, second = labels(ax)
    assert first == "0.5: 2.00 px half period = 20 nm"
    assert second.startswith("half bit: 1.")
    mark = next(line for line in ax.lines if line.get_marker() == "o")
    assert mark.get_xdata()[0] == pytest.approx(0.25)
    assert mark.get_ydata()[0] == pytest.approx(0.5)


def test_frc_draws_every_threshold_that_is_asked_for() -> None:
    """More of them than there are colours; none may be dropped in silence."""
    thresholds = (0.5, 1 / 7, "half_bit", 0.3, 0.2)
    assert len(labels(draw_frc(axes(), curve(np.linspace(1, 0, 41)[1:]), thresholds=thresholds))) == len(thresholds)


def test_frc_says_when_nothing_is_crossed() -> None:
    assert labels(draw_frc(axes(), curve(np.ones(20)))) == ["0.5: not crossed"]
    ax = draw_frc(axes(), curve(np.full(20, -0.3)))
    assert labels(ax) == ["0.5: never above"]
    assert ax.get_ylim()[0] == pytest.approx(-0.3)
    assert not [line for line in ax.lines if line.get_marker() == "o"]
