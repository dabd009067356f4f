"""Dark images: what a detector records without beam, and its subtraction."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.large_arrays import new_array
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

DARK_NAMES = (
    "data_dark",
    "dark",
    "darks",
    "dark_field",
    "darkfield",
    "dark_frame",
    "dark_frames",
    "dark_image",
    "background",
    "data_background",
    "backgrounds",
)
"""Names of dark images in CXI, NeXus, NPZ and the files of other programs."""
WHITE_NAMES = ("data_white", "flatfield", "flat_field", "white", "white_field", "qe_mask")
"""Names of images of an even illumination, which are not applied; the last one is that of cdtools."""

Dark = tuple[str, NDArray[np.float64]]
"""Where a dark image stands, and its mean, (H, W), in counts."""

_SIGMAS = 4.0
"""Standard errors by which the mean pattern must lie below the dark image to show that it was subtracted before."""
_CORRECTED_FRACTION = 0.05
"""Fraction of such pixels from which patterns count as corrected. Noise alone gives less than 1e-4."""


def mean_dark(values: NDArray[Any], frames: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """(H, W): the mean of dark images, of one image, or one number for all pixels.

    Args:
        values: (H, W), (..., H, W) or a number.
        frames: (N, H, W) of the patterns.
        where: file and name, for messages.

    Raises:
        ScanError: another size than the patterns, or values that are not finite.
    """
    image = np.asarray(values, np.float64) if values.dtype.kind in "buif" else np.full(1, np.nan)
    image = image.reshape(-1, *image.shape[-2:]).mean(axis=0) if image.ndim > 2 else image
    if image.size == 1:
        image = np.full(frames[1:], float(image.reshape(-1)[0]))
    if image.shape != frames[1:] or not np.isfinite(image).all():
        raise ScanError(
            f"{where} must be finite and of the size of the patterns, {frames[1:]}, got shape {values.shape}; "
            "correct it, or give --dark ignore (data.dark=ignore)"
        )
    return image


def without_dark(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, dark: Dark) -> NDArray[Any]:
    """The patterns minus the dark image, float32, not below zero; unchanged where that would be wrong, with a warning.

    Args:
        patterns: (N, H, W), counts.
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        dark: where it stands, and its mean, (H, W).
    """
    where, image = dark
    if not image.any():
        return patterns
    if _is_corrected(patterns, bad_pixels, image):
        logger.warning(
            "%s (mean %.4g counts) is not subtracted: the mean pattern lies below it, so that the patterns seem to be "
            "corrected already",
            where,
            image.mean(),
        )
        return patterns
    kept = new_array(patterns.shape, np.float32)
    for run, frames in frame_chunks(patterns):
        kept[run] = np.maximum(frames - image, 0)
    logger.warning(
        "%s (mean %.4g counts) is subtracted from the patterns, and what falls below 0 is set to 0; give --dark ignore "
        "(data.dark=ignore) to keep the recorded counts",
        where,
        image.mean(),
    )
    return kept


def _is_corrected(patterns: NDArray[Any], bad: NDArray[np.bool_] | None, dark: NDArray[np.float64]) -> bool:
    """Whether the mean pattern is below the dark image by more than noise, at more than a few good pixels."""
    total = np.zeros(dark.shape)
    for _, frames in frame_chunks(patterns):
        total += np.nan_to_num(frames).sum(axis=0, dtype=np.float64)
    mean, marked = total / len(patterns), np.zeros((1, *dark.shape), np.bool_)
    if bad is not None and bad.shape[-2:] == dark.shape:
        marked = bad.reshape(-1, *dark.shape)
    good = ~np.logical_or.reduce(marked)
    below = mean < dark - _SIGMAS * np.sqrt(np.maximum(dark, 1) / len(patterns))
    return bool(good.any()) and float(below[good].mean()) > _CORRECTED_FRACTION
