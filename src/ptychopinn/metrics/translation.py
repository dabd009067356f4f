"""Sub-pixel translation of an image that is not periodic: mirrored, tapered borders, then a Fourier shift."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.phase import Pair

PAD_PX = 24
"""Width of the mirrored and tapered border."""


def translate(image: NDArray[np.complex128], shift_px: Pair) -> NDArray[np.complex128]:
    """T f(x) = f(x - shift) by band-limited interpolation; positive shifts move to larger rows and columns.

    Args:
        image: complex (Y, X).
        shift_px: (y, x), px.

    Returns:
        complex (Y, X). What comes from outside the image is its mirror image and means nothing.
    """
    import scipy.fft
    from scipy.ndimage import fourier_shift

    spectrum = scipy.fft.fft2(_padded(image), overwrite_x=True)
    return _cropped(scipy.fft.ifft2(fourier_shift(spectrum, shift_px), overwrite_x=True), image.shape)


def translate_with_gradient(
    image: NDArray[np.complex128], shift_px: Pair
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.complex128]]:
    """The translated image and its derivatives by the two components (y, x) of the shift."""
    import scipy.fft
    from scipy.ndimage import fourier_shift

    spectrum = fourier_shift(scipy.fft.fft2(_padded(image), overwrite_x=True), shift_px)
    ky, kx = (-2j * np.pi * np.fft.fftfreq(size) for size in spectrum.shape)
    moved = _cropped(scipy.fft.ifft2(spectrum), image.shape)
    by_y = _cropped(scipy.fft.ifft2(spectrum * ky[:, None], overwrite_x=True), image.shape)
    by_x = _cropped(scipy.fft.ifft2(spectrum * kx[None, :], overwrite_x=True), image.shape)
    return moved, by_y, by_x


def fill_outside(image: NDArray[np.complex128], known: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Give every pixel that is not `known` the value of the nearest known one, so that no edge rings."""
    from scipy.ndimage import distance_transform_edt

    if known.all():
        return image
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return image[rows, columns]


def _padded(image: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Mirror the borders and let them fall to the mean, so that opposite sides meet without a step."""
    mean = image.mean()
    before_after = [_border(size) for size in image.shape]
    mirrored = np.pad(image - mean, before_after, mode="symmetric")
    rows, columns = (_taper(size) for size in image.shape)
    return mirrored * rows[:, None] * columns[None, :] + mean


def _cropped(padded: NDArray[np.complex128], shape: tuple[int, ...]) -> NDArray[np.complex128]:
    return padded[PAD_PX : PAD_PX + shape[0], PAD_PX : PAD_PX + shape[1]]


def _border(size: int) -> tuple[int, int]:
    import scipy.fft

    return PAD_PX, scipy.fft.next_fast_len(size + 2 * PAD_PX) - size - PAD_PX


@lru_cache(maxsize=32)
def _taper(size: int) -> NDArray[np.float64]:
    """One on the image, a raised cosine down to zero on both borders."""
    before, after = _border(size)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(before) + 0.5) / before)
    fall = 0.5 + 0.5 * np.cos(np.pi * (np.arange(after) + 0.5) / after)
    return np.concatenate([rise, np.ones(size), fall])
