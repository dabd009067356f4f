"""Objects with a known truth, and honest perturbations of them: shifted on a larger frame, then cropped."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import fourier_shift, gaussian_filter

BORDER = 24
SIZE = 128


def _leaves(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Values 0..1: overlapping disks with soft edges, so that a Fourier shift is exact to 1e-3."""
    y, x = np.mgrid[:size, :size]
    leaves = np.zeros((size, size))
    for _ in range(120):
        cy, cx = rng.uniform(0, size, 2)
        leaves[np.hypot(y - cy, x - cx) < rng.uniform(3, 16)] = rng.uniform()
    return gaussian_filter(leaves, 0.8)


@pytest.fixture
def wide_object() -> Callable[..., NDArray[np.complex128]]:
    """Makes an object (176, 176) of given amplitude contrast and phase range, related but not equal."""

    def make(contrast: float = 0.4, phase_range: float = 1.6, seed: int = 3) -> NDArray[np.complex128]:
        rng = np.random.default_rng(seed)
        first, second = (_leaves(rng, SIZE + 2 * BORDER) for _ in range(2))
        return (1 - contrast * first) * np.exp(1j * phase_range * (0.7 * first + 0.3 * second - 0.5))

    return make


@pytest.fixture
def crop() -> Callable[[NDArray], NDArray]:
    """The frame (128, 128) in the middle of a wide array."""
    return lambda wide: wide[BORDER:-BORDER, BORDER:-BORDER]


@pytest.fixture
def perturbed(crop: Callable[[NDArray], NDArray]) -> Callable[..., NDArray[np.complex128]]:
    """Moves a wide object, then lays ramp and scale on it; (Y, X) = (128, 128)."""

    def make(
        wide: NDArray[np.complex128],
        shift: tuple[float, float] = (0, 0),
        ramp: tuple[float, float] = (0, 0),
        scale: complex = 1,
    ) -> NDArray[np.complex128]:
        moved = crop(np.fft.ifft2(fourier_shift(np.fft.fft2(wide), shift)))
        y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
        return scale * moved * np.exp(1j * (ramp[0] * y + ramp[1] * x))

    return make
