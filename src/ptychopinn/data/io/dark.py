"""Dark images (`data_dark` and the like): what a detector records without beam."""

import logging
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.io.hdf5 import array, checked_values, find_dataset, place
from ptychopinn.data.io.rules import DARK_NAMES
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

WHITE_NAMES = ("data_white", "flatfield", "flat_field", "white", "white_field")
"""Names of images of an even illumination, which are not applied."""

_SIGMAS = 4.0
"""Standard errors by which the mean pattern must lie below the dark image to show that it was subtracted before."""
_CORRECTED_FRACTION = 0.05
"""Fraction of such pixels from which patterns count as corrected. Noise alone gives less than 1e-4."""


def dark_of(
    groups: Sequence[h5py.Group], frames: tuple[int, ...] | None, rule: str
) -> tuple[str, NDArray[np.float64]] | None:
    """Where the dark image of a detector stands and its mean, (H, W), in counts; none where there is none to subtract.

    Images of an even illumination are named in a warning, as they are not applied.

    Args:
        groups: the detector, and others that hold its patterns.
        frames: (N, H, W) of the patterns, or none.
        rule: `subtract`, or `ignore`, with a warning.

    Raises:
        ScanError: a dark image of another size than the patterns, or with values that are not finite.
    """
    if frames is None:
        return None
    white = next((one for group in groups if (one := find_dataset(group, *WHITE_NAMES)) is not None), None)
    if white is not None and not any(_is_applied(group) for group in groups):
        logger.warning("%s is not applied: patterns are read as they were recorded", place(white))
    stored = next((one for group in groups if (one := find_dataset(group, *DARK_NAMES)) is not None), None)
    if stored is None:
        return None
    if rule == "ignore":
        logger.warning("%s is ignored, as asked for", place(stored))
        return None
    values = np.asarray(array(stored), np.float64)
    values = values.reshape(-1, *values.shape[-2:]).mean(axis=0) if values.ndim > 2 else values
    if values.ndim == 0 or values.size == 1:
        values = np.full(frames[1:], float(values.reshape(-1)[0]))
    if values.shape != frames[1:] or not np.isfinite(values).all():
        raise ScanError(
            f"{place(stored)} must be finite and of the size of the patterns, {frames[1:]}, got shape {values.shape}; "
            "correct it, or give --dark ignore (data.dark=ignore)"
        )
    return place(stored), values


def without_dark(
    patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, dark: tuple[str, NDArray[np.float64]]
) -> NDArray[Any]:
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
    kept = np.empty(patterns.shape, np.float32)
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


def _is_applied(group: h5py.Group) -> bool:
    stored = find_dataset(group, "flatfield_applied", "flat_field_applied")
    return stored is not None and stored.size == 1 and bool(np.asarray(checked_values(stored)).reshape(-1)[0])
