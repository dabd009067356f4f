r"""Weighted averages of overlapping patches: the barycentric merge of a group and of a whole scan.

\[ O = \frac{\sum_n \mathrm{place}(w_n p_n) + \epsilon f}{\sum_n \mathrm{place}(w_n) + \epsilon} \]

Patches cut from an object are merged to that object again, wherever the weight is well above \(\epsilon\);
where there is no weight the result is the fill value f.
"""

from typing import Literal

import torch
from jaxtyping import Complex, Float, Inexact, Real
from torch import Tensor

from ptychopinn.physics.detection import intensity
from ptychopinn.physics.patches import place_patches

WeightKind = Literal["probe", "uniform", "central"]
EPSILON = 1e-6


def patch_weight(kind: WeightKind, probe: Complex[Tensor, "*batch M H W"]) -> Float[Tensor, "*batch H W"]:
    """Weights of a patch's pixels, largest value 1.

    `probe`: summed intensity of the modes; `uniform`: ones; `central`: one on the central half of each axis.
    """
    return power_weight(kind, intensity(probe))


def central_window(shape: tuple[int, int], window_px: int | None = None) -> Float[Tensor, "{shape[0]} {shape[1]}"]:
    """One on the central `window_px` elements of each axis (half of them by default), zero elsewhere.

    >>> central_window((4, 4)).sum(0)
    tensor([0., 2., 2., 0.])
    """
    rows, columns = (_central(size, window_px) for size in shape)
    return rows[:, None] * columns[None, :]


def _central(size: int, window_px: int | None) -> Tensor:
    window = size - 2 * (size // 4) if window_px is None else min(window_px, size)
    low = (size - window) // 2
    axis = torch.zeros(size)
    axis[low : low + window] = 1
    return axis


def power_weight(kind: WeightKind, power: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
    """`patch_weight` for the summed intensity of the modes."""
    if kind == "probe":
        return power / power.amax(dim=(-2, -1), keepdim=True)
    if kind == "central":
        return central_window((power.shape[-2], power.shape[-1])).to(power).expand(power.shape)
    return torch.ones_like(power)


def accumulate(
    patches: Inexact[Tensor, "*batch P H W"],
    weight: Float[Tensor, "... H W"],
    positions_px: Real[Tensor, "*batch P 2"],
    shape: tuple[int, int],
) -> tuple[Inexact[Tensor, "*batch Y X"], Float[Tensor, "*batch Y X"]]:
    """Placed sum and placed weight on canvases of `shape`, the two that `average` divides.

    Args:
        patches: what is averaged.
        weight: of every pixel of every patch, or one (H, W) for all.
        positions_px: whole, or fractional (bilinear).
        shape: (Y, X).

    Raises:
        PtychoPINNError: a patch leaves the canvas.
    """
    weight = weight.expand(patches.shape)
    return place_patches(weight * patches, positions_px, shape), place_patches(weight, positions_px, shape)


def average(
    placed: Inexact[Tensor, "*batch Y X"],
    weight: Float[Tensor, "*batch Y X"],
    *,
    fill: float = 1.0,
    epsilon: float = EPSILON,
) -> Inexact[Tensor, "*batch Y X"]:
    """Placed sum over placed weight, drawn to `fill` where the weight is not well above `epsilon`.

    >>> average(torch.tensor([[6.0, 0.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([[2.0000, 1.0000]])
    """
    return (placed + epsilon * fill) / (weight + epsilon)


def merge_group(
    patches: Inexact[Tensor, "*batch G H W"],
    weight: Float[Tensor, "... H W"],
    positions_px: Real[Tensor, "*batch G 2"],
    shape: tuple[int, int],
) -> Inexact[Tensor, "*batch Y X"]:
    """Weighted average of the patches of each group on a canvas of its own; arguments as in `accumulate`."""
    return average(*accumulate(patches, weight, positions_px, shape))
