"""The sample of the grid-lines study: straight lines, blurred at three scales and added."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

LINES = 400
BLURS = ((1.0, 1.0), (2.0, 5.0), (5.0, 10.0))
"""Weight and standard deviation, px, of each scale."""


def draw_lines(size: int, random_state: np.random.RandomState) -> NDArray[np.float64]:
    r"""The modulus of one sample, (size, size), up to 8, without unit.

    \[ O = g_1 * L + 2\, g_5 * L + 5\, g_{10} * L \]

    with L, 1 on `LINES` straight lines one pixel wide and 0 elsewhere, on a picture of twice the size, of which the
    middle is kept. The end points (row, column, row, column) of each line are whole parts of four uniform draws. The
    stream of a legacy `RandomState` is consumed as by the earlier system: 4 draws for each line.

    >>> sample = draw_lines(32, np.random.RandomState(1))
    >>> sample.shape, bool(sample.min() > 0), bool(sample.max() < 8)
    ((32, 32), True, True)
    """
    from skimage.draw import line

    picture = np.zeros((2 * size, 2 * size))
    for ends in (random_state.rand(LINES, 4) * 2 * size).astype(int):
        picture[line(*ends)] = 1
    blurred = sum(weight * gaussian_filter(picture, deviation) for weight, deviation in BLURS)
    low = size // 2
    return np.asarray(blurred)[low : low + size, low : low + size]


def phase_of_lines(modulus: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""A phase that follows the modulus, (Y, X), rad: \(\pi \tanh((O - \max O / 2) / (3\, \bar O))\)."""
    return np.pi * np.tanh((modulus - modulus.max() / 2) / (3 * modulus.mean()))
