"""An image beside the object of its scan, and the colours of a phase."""

import logging
from pathlib import Path

from ptychopinn.data import read_scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.metrics import align
from ptychopinn.plotting import figure_comparison, save_figure

logger = logging.getLogger("ptychopinn")


def phase_limits(lowest: float | None, highest: float | None) -> tuple[float, float] | None:
    """The phases between which colours are spread, rad; one that is not given mirrors the other.

    Raises:
        ConfigError: the first is not the lower one.

    >>> phase_limits(None, 0.5), phase_limits(None, None)
    ((-0.5, 0.5), None)
    """
    if lowest is None and highest is None:
        return None
    low = -highest if lowest is None and highest is not None else lowest
    high = -lowest if highest is None and lowest is not None else highest
    if low is None or high is None or not low < high:
        raise ConfigError(f"the phase range is {low} to {high} rad; the first must be the lower one")
    return low, high


def comparison_figure(image: Reconstruction, scan: Path, folder: Path) -> Path | None:
    """Draw an image, aligned, beside the object of its scan: `comparison.png`; None where it has none in that frame."""
    truth = read_scan(scan).object_guess
    if truth is None or truth.shape != image.object_.shape:
        logger.warning("no comparison is drawn: the scan has no object in the frame of the image")
        return None
    aligned = align(image.object_, truth, mask=image.covered, support=image.covered).object_
    figure = figure_comparison({"reconstruction": aligned}, truth, covered=image.covered)
    return save_figure(figure, folder / "comparison.png")
