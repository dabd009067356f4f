"""Images in square bins, for steps of what varies slowly."""

import math

import torch
from torch import Tensor
from torch.nn import functional

BINS = 1.5
"""Bins in the standard deviation of the illuminated intensity."""


def bin_side(power: Tensor) -> int:
    """Side of the bins, px, under a beam of intensities (H, W)."""
    rows, columns = (torch.arange(n, dtype=power.dtype, device=power.device) for n in power.shape)
    total = power.sum()
    squares = []
    for axis, line in ((1, rows), (0, columns)):
        along = power.sum(axis) / total
        middle = (along * line).sum()
        squares.append(float((along * (line - middle).square()).sum()))
    return side_of(math.sqrt(sum(squares) / 2))


def side_of(width: float) -> int:
    """Side of the bins, px, under a beam of a standard deviation, px."""
    return max(1, int(width / BINS)) if math.isfinite(width) else 1


def binned(image: Tensor, side: int) -> Tensor:
    """Means of images (..., Y, X) over squares of `side` pixels; the last ones are filled with zeros."""
    height, width = image.shape[-2:]
    full = functional.pad(image, (0, -width % side, 0, -height % side))
    return full.unfold(-2, side, side).unfold(-2, side, side).mean((-2, -1))


def on_pixels(bins: Tensor, side: int, shape: tuple[int, ...]) -> Tensor:
    """(Y, X): an image in bins of `side` pixels, interpolated."""
    full = functional.interpolate(bins[None, None], scale_factor=side, mode="bicubic")[0, 0]
    return full[: shape[-2], : shape[-1]]
