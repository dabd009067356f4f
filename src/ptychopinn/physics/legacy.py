"""Merge and stitch of legacy PtychoPINN, for clients that ask for its numbers; o are offsets, m is their mean."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn.functional import pad

from ptychopinn.physics.merge import accumulate, average, central_window
from ptychopinn.physics.patches import place_patches
from ptychopinn.physics.shift import bilinear_shift


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


def merged_sums(
    patches: Complex[Tensor, "B C H W"], offsets_px: Float[Tensor, "B C 2"], rows: int
) -> tuple[Complex[Tensor, "B Y Y"], Float[Tensor, "B Y Y"]]:
    """sum_c shift(p_c, -(o_c - m)) and the same sum of central windows, for each group on a canvas of `rows` squared.

    Legacy PtychoPINN divides the first by the second + 0.001, although the patches are not windowed.
    """
    positions = rows // 2 - (offsets_px - offsets_px.mean((0, 1)))
    window = central_window((patches.shape[-2], patches.shape[-1])).expand(patches.shape)
    return place_patches(patches, positions, (rows, rows)), place_patches(window, positions, (rows, rows))


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
