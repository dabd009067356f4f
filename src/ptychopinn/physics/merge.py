r"""Weighted averages of overlapping patches: the barycentric merge of a group and of a whole scan.

\[ O = \frac{\sum_n \mathrm{place}(w_n p_n)}{\sum_n \mathrm{place}(w_n) + \epsilon} \]

Patches cut from an object are merged to that object again, wherever the weight is well above \(\epsilon\).
"""

from typing import Literal

import torch
from torch import Tensor

from ptychopinn.physics.patches import place_patches

WeightKind = Literal["probe", "uniform", "central"]
EPSILON = 1e-6


def patch_weight(kind: WeightKind, probe: Tensor) -> Tensor:
    """Weights (..., H, W), largest value about 1, for probes (..., M, H, W).

    `probe`: summed intensity of the modes; `uniform`: ones; `central`: one on the central half of each axis.
    """
    power = probe.real.square().sum(-3) + probe.imag.square().sum(-3)
    if kind == "probe":
        return power / power.amax(dim=(-2, -1), keepdim=True)
    weight = torch.ones_like(power)
    if kind == "central":
        height, width = power.shape[-2:]
        weight.zero_()
        weight[..., height // 4 : height - height // 4, width // 4 : width - width // 4] = 1
    return weight


def accumulate(
    patches: Tensor, weight: Tensor, positions_px: Tensor, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Placed sum (..., Y, X) and placed weight (..., Y, X) of patches (..., P, H, W) at whole positions (..., P, 2)."""
    weight = weight.expand(patches.shape)
    return place_patches(weight * patches, positions_px, shape), place_patches(weight, positions_px, shape)


def average(placed: Tensor, weight: Tensor, *, fill: float = 1.0) -> Tensor:
    """Placed sum over placed weight, drawn to `fill` where there is no weight."""
    return (placed + EPSILON * fill) / (weight + EPSILON)


def merge_group(patches: Tensor, weight: Tensor, positions_px: Tensor, shape: tuple[int, int]) -> Tensor:
    """Weighted average (..., Y, X) of the patches (..., G, H, W) of each group on a canvas of its own."""
    return average(*accumulate(patches, weight, positions_px, shape))
