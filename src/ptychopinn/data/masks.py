"""Masks of detector pixels: one (H, W) for all patterns of a scan, or one for each, (N, H, W)."""

from typing import Any, TypeVar

Mask = TypeVar("Mask")
"""A boolean array, numpy or torch, or None where every pixel was measured."""


def has_own_masks(mask: Any) -> bool:
    """Whether each pattern has a mask of its own."""
    return mask is not None and mask.ndim == 3


def masks_of(mask: Mask, index: Any) -> Mask:
    """Mask of the patterns that `index` selects, which broadcasts to them: (..., H, W), or (H, W) for all.

    >>> import numpy as np
    >>> masks_of(np.ones((5, 2, 2), bool), [0, 3]).shape, masks_of(np.ones((2, 2), bool), [0, 3]).shape
    ((2, 2, 2), (2, 2))
    """
    return mask[index] if has_own_masks(mask) else mask  # type: ignore[index]
