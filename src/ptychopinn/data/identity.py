"""A digest of arrays and settings, by which work that was done before is recognised."""

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest_of(*parts: str | NDArray[Any] | None) -> str:
    """Hexadecimal digest of texts and arrays (type, shape, values) in their order; None is left out."""
    digest = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        elif part is not None:
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
