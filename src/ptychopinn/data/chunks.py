"""Walking through patterns that may be larger than the memory that is left."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.masks import masks_of

CHUNK_VALUES = 1 << 18
"""Pattern values looked at together: 1 MiB in float32, so that intermediate results stay in the cache of a processor.
For 516 patterns of 128 x 128 the checks take 12 ms; with 32 times as many values they take 31 ms."""


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
        if bad_pixels is not None:
            frames = np.where(masks_of(bad_pixels, run), 0, frames)
        yield run, frames
