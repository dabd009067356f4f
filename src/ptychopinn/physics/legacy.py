"""Merge and stitch of legacy PtychoPINN, for clients that ask for its numbers; o are offsets, m is their mean."""

import torch
from jaxtyping import Complex, Float, Real
from torch import Tensor
from torch.nn.functional import pad

from ptychopinn.physics.merge import accumulate, average, central_window
from ptychopinn.physics.patches import place_patches
from ptychopinn.physics.shift import bilinear_shift

EPSILON = 1e-3
"""Added by legacy PtychoPINN to the sum of central windows that it divides by."""


def shift_and_sum(
    patches: Complex[Tensor, "B C M M"], offsets_px: Float[Tensor, "B C 2"]
) -> tuple[Complex[Tensor, "Y Y"], Float[Tensor, "Y Y"]]:
    """sum_p shift(patch_p, o_p - m) and the same sum of ones, over all patches on one canvas.

    Args:
        patches: the central windows of predicted patches.
        offsets_px: (y, x) of each patch; the canvas is a square of M plus the largest |o - m|, rounded up to even, on
            every side.
    """
    positions = (offsets_px - offsets_px.mean((0, 1))).flatten(0, 1)
    reach = int(positions.abs().max().ceil())
    rows = patches.shape[-1] + 2 * (reach + reach % 2)
    window = torch.ones(patches.shape[-2:])
    return accumulate(patches.flatten(0, 1), window, rows // 2 + positions, (rows, rows))


def merge_halves(
    patches: Complex[Tensor, "*batch G H W"], positions_px: Real[Tensor, "*batch G 2"], shape: tuple[int, int]
) -> Complex[Tensor, "*batch Y X"]:
    """sum_g place(p_g) / (sum_g place(central half) + 0.001), as the TensorFlow side merged the patches of a group."""
    return _quotient(*_placed(patches, positions_px, shape))


def merged_patches(patches: Complex[Tensor, "B C H W"], offsets_px: Float[Tensor, "B C 2"]) -> Complex[Tensor, "B H W"]:
    """The central H x W of the quotient of `merged_sums`: what the TensorFlow models of legacy PtychoPINN return."""
    size = patches.shape[-1]
    reach = int((offsets_px - offsets_px.mean((0, 1))).abs().max().ceil()) + 1
    merged = _quotient(*merged_sums(patches, offsets_px, size + 2 * reach))
    return merged[..., reach : reach + size, reach : reach + size]


def merged_sums(
    patches: Complex[Tensor, "B C H W"], offsets_px: Float[Tensor, "B C 2"], rows: int
) -> tuple[Complex[Tensor, "B Y Y"], Float[Tensor, "B Y Y"]]:
    """sum_c shift(p_c, -(o_c - m)) and the same sum of central windows, for each group on a canvas of `rows` squared.

    Legacy PtychoPINN divides the first by the second + 0.001, although the patches are not windowed.
    """
    return _placed(patches, rows // 2 - (offsets_px - offsets_px.mean((0, 1))), (rows, rows))


def merge_shifted(
    patches: Complex[Tensor, "B C H W"],
    weight: Float[Tensor, "... H W"],
    relative_px: Float[Tensor, "B C 2"],
    rows: int,
    epsilon: float,
) -> tuple[Complex[Tensor, "B Y Y"], Float[Tensor, "B Y Y"]]:
    """sum_c w_c p_c / (sum_c w_c + epsilon) of patches and weights moved by `relative_px`, and sum_c w_c.

    The canvas of `rows` squared lies about the centre of the group; what leaves it is lost.
    """
    margin = (rows - patches.shape[-1]) // 2
    images = (pad(image, (margin,) * 4) for image in (patches, weight.expand(patches.shape)))
    moved, weights = (bilinear_shift(image, relative_px) for image in images)
    total = weights.sum(1)
    return average((moved * weights).sum(1), total, fill=0, epsilon=epsilon), total


def _placed(patches: Tensor, positions_px: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Placed sums of patches and of their central halves."""
    window = central_window((patches.shape[-2], patches.shape[-1])).to(patches.device).expand(patches.shape)
    return place_patches(patches, positions_px, shape), place_patches(window, positions_px, shape)


def _quotient(placed: Tensor, windows: Tensor) -> Tensor:
    return average(placed, windows, fill=0, epsilon=EPSILON)
