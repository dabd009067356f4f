"""Distances of two real images: amplitude, or phase already made comparable."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.checks import checked_mask, checked_real_pair

SSIM_SIGMA_PX = 1.5
SSIM_WINDOW_PX = 11
MS_SSIM_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (Wang, Simoncelli and Bovik, Asilomar 2003)."""


def mse(image: NDArray[Any], reference: NDArray[Any], *, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean of (image - reference)^2 over the mask.

    Args:
        image: real (Y, X).
        reference: real (Y, X).
        mask: boolean (Y, X), True where a pixel counts.

    Raises:
        ValueError: complex, unequal or non-finite images, or an empty mask.
    """
    return float(np.mean(np.square(_differences(image, reference, mask))))


def mae(image: NDArray[Any], reference: NDArray[Any], *, mask: NDArray[np.bool_] | None = None) -> float:
    """Mean of |image - reference| over the mask; arguments and errors are those of `mse`."""
    return float(np.mean(np.abs(_differences(image, reference, mask))))


def psnr(image: NDArray[Any], reference: NDArray[Any], *, peak: float, mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio, 20 log10(peak / rms(image - reference)), dB; infinite for equal images.

    Args:
        image: real (Y, X).
        reference: real (Y, X).
        peak: the value that counts as full signal: 1 for an amplitude, 2 pi for a phase. There is no default,
            because a PSNR without its peak cannot be compared.
        mask: boolean (Y, X), True where a pixel counts.

    Raises:
        ValueError: also where the peak is not positive.

    >>> import numpy as np
    >>> round(psnr(np.full((8, 8), 0.9), np.ones((8, 8)), peak=1.0), 6)
    20.0
    """
    if not (np.isfinite(peak) and peak > 0):
        raise ValueError(f"peak is {peak}; must be a positive number, such as 1 for amplitudes")
    error = mse(image, reference, mask=mask)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def psnr_255(image: NDArray[Any], reference: NDArray[Any], *, mask: NDArray[np.bool_] | None = None) -> float:
    """PSNR with peak 255, 48.13 dB above `psnr(..., peak=1)`: to compare with numbers printed so."""
    return psnr(image, reference, peak=255.0, mask=mask)


def ssim(
    image: NDArray[Any], reference: NDArray[Any], *, data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean structural similarity with a Gaussian window of 1.5 px (Wang et al., IEEE TIP 13, 600, 2004).

    Pixels nearer than 5 px to the border never count, as in scikit-image, which computes the map.

    Args:
        image: real (Y, X), at least 11 px on each side.
        reference: real (Y, X).
        data_range: largest minus smallest possible value; it scales the constants of the measure.
        mask: boolean (Y, X), True where the map counts in the mean.

    Raises:
        ValueError: images too small, a range that is not positive, or no masked pixel inside the border.
    """
    from skimage.metrics import structural_similarity

    first, second = checked_real_pair(image, reference)
    _check_range(data_range)
    if min(first.shape) < SSIM_WINDOW_PX:
        raise ValueError(f"images are {first.shape}; SSIM needs {SSIM_WINDOW_PX} px on each side; take more")
    _, similarity = structural_similarity(
        first,
        second,
        data_range=data_range,
        gaussian_weights=True,
        sigma=SSIM_SIGMA_PX,
        use_sample_covariance=False,
        full=True,
    )
    border = SSIM_WINDOW_PX // 2
    inner = np.s_[border:-border, border:-border]
    counts = checked_mask(mask, first.shape)[inner]
    if not counts.any():
        raise ValueError(f"mask selects no pixel further than {border} px from the border; SSIM needs one")
    return float(similarity[inner][counts].mean())


def ms_ssim(image: NDArray[Any], reference: NDArray[Any], *, data_range: float) -> float:
    """Multi-scale structural similarity, on as many of five scales as fit the image (see `ms_ssim_betas`).

    The same as in torchmetrics, which costs two seconds more to import and 20 times as much to compute.

    Args:
        image: real (Y, X).
        reference: real (Y, X).
        data_range: largest minus smallest possible value.

    Raises:
        ValueError: images below 11 px, complex or unequal, or a range that is not positive.
    """
    first, second = checked_real_pair(image, reference)
    _check_range(data_range)
    value, betas = 1.0, ms_ssim_betas(first.shape)
    for scale, beta in enumerate(betas, 1):
        similarity, structure = _similarity(first, second, data_range)
        value *= (similarity if scale == len(betas) else structure) ** beta
        first, second = _halved(first), _halved(second)
    return value


def _similarity(first: NDArray[Any], second: NDArray[Any], data_range: float) -> tuple[float, float]:
    """Mean SSIM, and mean of its factor of contrast and structure inside the border; at least 0, as in torchmetrics."""
    mean_1, mean_2 = _windowed(first), _windowed(second)
    variances = sum(np.maximum(_windowed(image**2) - _windowed(image) ** 2, 0) for image in (first, second))
    covariance = _windowed(first * second) - mean_1 * mean_2
    small, large = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    structure = (2 * covariance + large) / (variances + large)
    brightness = (2 * mean_1 * mean_2 + small) / (mean_1**2 + mean_2**2 + small)
    border = SSIM_WINDOW_PX // 2
    inner = structure[border:-border, border:-border]
    return max(float((brightness * structure).mean()), 0.0), max(float(inner.mean()), 0.0)


def _windowed(image: NDArray[Any]) -> NDArray[Any]:
    """Means under the Gaussian window; beyond the edge the image is mirrored."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, SSIM_SIGMA_PX, radius=SSIM_WINDOW_PX // 2, mode="mirror")


def _halved(image: NDArray[Any]) -> NDArray[Any]:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (side - side % 2 for side in image.shape)
    return image[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))


def ms_ssim_betas(shape: tuple[int, ...]) -> tuple[float, ...]:
    """Exponents that `ms_ssim` uses for images of `shape`.

    All five scales from 176 px on, four from 99, three from 44, two from 22, one from 11: the 11 px window
    must fit at every scale. Fewer than five are divided by their sum, so that values keep their meaning.

    Raises:
        ValueError: a side below 11 px.

    >>> len(ms_ssim_betas((220, 220))), ms_ssim_betas((16, 300))
    (5, (1.0,))
    """
    side = min(shape)
    if side < SSIM_WINDOW_PX:
        raise ValueError(f"images are {shape}; MS-SSIM needs {SSIM_WINDOW_PX} px on each side; take more")
    scales = max(n for n in range(1, 6) if side >= _smallest_side(n))
    if scales == len(MS_SSIM_BETAS):
        return MS_SSIM_BETAS
    total = sum(MS_SSIM_BETAS[:scales])
    return tuple(beta / total for beta in MS_SSIM_BETAS[:scales])


def _smallest_side(scales: int) -> int:
    """The window must fit after scales - 1 halvings, and (scales - 1)^2 times, as torchmetrics asks."""
    return SSIM_WINDOW_PX * max(2 ** (scales - 1), (scales - 1) ** 2)


def _check_range(data_range: float) -> None:
    if not (np.isfinite(data_range) and data_range > 0):
        raise ValueError(f"data_range is {data_range}; must be positive, largest minus smallest")


def _differences(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    first, second = checked_real_pair(image, reference)
    return (first - second)[checked_mask(mask, first.shape)]
