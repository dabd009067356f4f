"""Walking through patterns that may be larger than the memory that is left."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ptychopinn.data.large_arrays import is_large, new_array
from ptychopinn.data.masks import has_own_masks, masks_of

CHUNK_VALUES = 1 << 18
"""Pattern values looked at together: 1 MiB in float32, so that intermediate results stay in the cache of a processor.
For 516 patterns of 128 x 128 the checks take 12 ms; with 32 times as many values they take 31 ms."""

COPIED_VALUES = 1 << 21
"""Values that are copied together: of an array whose first axis runs fastest, at least a cache line of each pixel."""


def frame_chunks(
    patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None = None, values: int = CHUNK_VALUES
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Runs of whole frames, with bad pixels set to zero.

    Args:
        patterns: (N, H, W).
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        values: about how many values a run holds.

    >>> [(run.start, run.stop) for run, _ in frame_chunks(np.ones((5, 2, 2)), values=8)]
    [(0, 2), (2, 4), (4, 5)]
    """
    n, *frame = patterns.shape
    step = max(1, values // max(1, int(np.prod(frame))))
    for start in range(0, n, step):
        run = slice(start, min(start + step, n))
        frames = patterns[run]
        if not patterns.flags.aligned:  # in a map of a file values may begin anywhere
            frames = frames.copy()
        if bad_pixels is not None:
            frames = np.where(masks_of(bad_pixels, run), 0, frames)
        yield run, frames


def changed_frames(
    patterns: NDArray[Any], change: Callable[[NDArray[Any]], NDArray[Any]], values: int = CHUNK_VALUES
) -> NDArray[Any]:
    """`change(patterns)` for a change of each frame by itself, made a run of frames at a time.

    Args:
        patterns: (N, H, W).
        change: from (n, H, W) to (n, H', W'), of one type for all frames.
        values: about how many values a run holds.

    >>> changed_frames(np.ones((5, 2, 2)), lambda frames: frames.sum((1, 2)), values=8).tolist()
    [4.0, 4.0, 4.0, 4.0, 4.0]
    """
    kept: NDArray[Any] | None = None
    for run, frames in frame_chunks(patterns, values=values):
        new = change(frames)
        if kept is None:
            kept = new_array((len(patterns), *new.shape[1:]), new.dtype)
        kept[run] = new
    return change(patterns) if kept is None else kept


def changed_masks(masks: NDArray[Any], change: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
    """The same for masks, of which there may be one, (H, W), for all frames."""
    return changed_frames(masks, change) if has_own_masks(masks) else change(masks)


def as_contiguous(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """`numpy.ascontiguousarray`, which copies a large array (N, ...) into a scratch file, a part at a time."""
    if array.ndim < 2 or not is_large(array.shape, dtype) or (array.dtype == dtype and array.flags.c_contiguous):
        return np.ascontiguousarray(array, dtype)
    return changed_frames(array, lambda frames: np.asarray(frames, dtype), COPIED_VALUES)
