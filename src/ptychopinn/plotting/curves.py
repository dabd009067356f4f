"""Line plots: loss and learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ptychopinn.plotting.style import INK, MUTED, TEXT_PT, THIRD, TRAINING, VALIDATION, style_curves

History = Mapping[str, Sequence[float]]
"""Column name -> one number per epoch; NaN where there is none."""

LOG_RATIO = 4.0
"""A positive loss that spans more than this factor is drawn on a logarithmic axis."""
SETTLED = 0.1
"""On a linear axis the first part of the run may leave the figure, so that the rest can be read."""
LEAST_SPAN = 0.05
"""Least span of a linear axis, relative to the largest value: rounding must not look like a course."""


def draw_loss(ax: Axes, history: History, *, title: str = "Loss") -> Axes:
    """Training and validation loss over epochs, the least validation loss marked.

    Args:
        ax: Where to draw.
        history: Columns `epoch`, `train_loss`, `val_loss`, `stage`; any of them may be missing. A dotted line stands
            where a new stage begins, since its loss may be another quantity.
        title: Stands above the panel.
    """
    style_curves(ax, title, "epoch")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    training, validation = _finite(history, "train_loss"), _finite(history, "val_loss")
    stages = np.asarray(history.get("stage", ()), dtype=float)
    for done in 1 + np.flatnonzero(np.diff(stages)):
        ax.axvline(done + 0.5, color=MUTED, linewidth=0.8, linestyle=":")
    _draw_curve(ax, training, TRAINING, "training")
    if validation[1].size:
        best = int(np.argmin(validation[1]))
        least = f"{validation[1][best]:.4g}".replace("-", "−")
        _draw_curve(ax, validation, VALIDATION, f"validation, least {least}")
        ax.plot(validation[0][best], validation[1][best], "o", color=VALIDATION, markersize=5, zorder=3)
    losses = [values for _, values in (training, validation) if values.size]
    if losses:
        set_loss_axis(ax, losses)
        add_legend(ax)
    return ax


def draw_learning_rate(ax: Axes, history: History, *, title: str = "Learning rate") -> Axes:
    """Learning rate over epochs, column `learning_rate`."""
    style_curves(ax, title, "epoch")
    epochs, rates = _finite(history, "learning_rate")
    ax.plot(epochs, rates, color=THIRD, linewidth=1.5)
    ax.set_ylim(bottom=0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    ax.yaxis.get_offset_text().set(fontsize=TEXT_PT, color=MUTED)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    return ax


def _finite(history: History, column: str) -> tuple[NDArray[Any], NDArray[Any]]:
    values = np.asarray(history.get(column, ()), dtype=float)
    epochs = np.asarray(history.get("epoch", np.arange(1, len(values) + 1)), dtype=float)[: len(values)]
    kept = np.isfinite(values)
    return epochs[kept], values[kept]


def _draw_curve(ax: Axes, curve: tuple[NDArray[Any], NDArray[Any]], color: str, label: str) -> None:
    epochs, values = curve
    if values.size:
        marker = "o" if values.size == 1 else None
        ax.plot(epochs, values, color=color, linewidth=1.5, marker=marker, markersize=4, label=label)


def set_loss_axis(ax: Axes, losses: list[NDArray[Any]], settled: float = SETTLED) -> None:
    """Logarithmic if values span more than `LOG_RATIO`; else linear, scaled by what follows the part `settled`."""
    everything = np.concatenate(losses)
    low = float(everything.min())
    ratio = float(everything.max()) / low if low > 0 else 0.0
    if ratio > LOG_RATIO:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,), numticks=8))
        ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        ax.yaxis.set_minor_locator(NullLocator())
        return
    high = float(np.concatenate([curve[int(settled * curve.size) :] for curve in losses]).max())
    margin = max(0.08 * (high - low), (LEAST_SPAN * abs(high) - (high - low)) / 2) or 1.0
    ax.set_ylim(low - margin, high + margin)
    ax.yaxis.set_major_locator(MaxNLocator(5))


def add_legend(ax: Axes, where: Literal["upper right", "lower left", "lower right"] = "upper right") -> None:
    """Names of the labelled lines, without a frame."""
    ax.legend(loc=where, fontsize=TEXT_PT, labelcolor=INK, frameon=False, handlelength=1.6, borderaxespad=0.2)
