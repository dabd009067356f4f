"""A reconstructed object as files hold it: plain arrays."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StoredObject:
    """An object with the beam and the positions that belong to it; the fields are those of `Reconstruction`."""

    object_: NDArray[np.complex64]
    """(Y, X)."""
    coverage: NDArray[np.float32]
    """(Y, X): weight relative to its maximum, 0 where not covered."""
    origin_px: NDArray[np.int64]
    """(2,), (y, x): frame coordinate of element (0, 0)."""
    positions_px: NDArray[np.float64]
    """(N, 2), (y, x): patch element (H//2, W//2) in the frame."""
    probe: NDArray[np.complex64]
    """(M, H, W)."""
    pixel_size_m: float | None = None
    """Object pixel, where known."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Plain JSON values."""
