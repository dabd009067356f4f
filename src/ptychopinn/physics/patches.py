r"""Object windows: extraction and placement, an adjoint pair.

A position \((y, x)\) is where element (H//2, W//2) of the patch lies on the canvas. For whole positions

\[ (E_n O)[i, j] = O[y_n - H//2 + i,\; x_n - W//2 + j], \qquad
   \sum_n E_n^\dagger p_n = \text{place}(p) . \]

Fractional positions are sampled bilinearly. Windows that leave the canvas are refused, never dropped. On an
accelerator the check would wait for the device: there the caller runs `check_inside` once, before the loop.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Inexact, Int, Real
from torch import Tensor

from ptychopinn.errors import PtychoPINNError

LARGE = 28 * 28
"""Pixels of a window from which on windows are added one at a time on the host."""


def extract_patches(
    canvas: Inexact[Tensor, "*batch Y X"], positions_px: Real[Tensor, "*batch P 2"], size: tuple[int, int]
) -> Inexact[Tensor, "*batch P H W"]:
    """Cut windows of `size` out of canvases.

    Args:
        canvas: complex or real.
        positions_px: whole (integer dtype) or fractional (bilinear).
        size: (H, W).

    Raises:
        PtychoPINNError: a window leaves the canvas.
        ValueError: canvases and positions differ in their leading axes.

    >>> canvas = torch.arange(12.0).reshape(3, 4)
    >>> extract_patches(canvas, torch.tensor([[1, 2]]), (2, 2))
    tensor([[[1., 2.],
             [5., 6.]]])
    """
    if canvas.shape[:-2] != positions_px.shape[:-2]:
        raise ValueError(
            f"canvases have leading axes {tuple(canvas.shape[:-2])} and positions "
            f"{tuple(positions_px.shape[:-2])}; both must have the same leading axes, so expand one of them"
        )
    shape = (canvas.shape[-2], canvas.shape[-1])
    if canvas.ndim == 2 and not positions_px.is_floating_point() and _is_plain(canvas):
        return _cut(canvas, positions_px, size)
    _check_on_host(positions_px, size, shape)
    if not positions_px.is_floating_point():
        return _gather(canvas, _flat_index(positions_px, size, shape))
    whole, rest_y, rest_x = _split(positions_px, size, canvas.real.dtype)
    window = _gather(canvas, _flat_index(whole, _grown(size), shape))
    return _between(_between(window, rest_y, -2), rest_x, -1)


def place_patches(
    patches: Inexact[Tensor, "*batch P H W"],
    positions_px: Real[Tensor, "*batch P 2"],
    shape: tuple[int, int],
    onto: Inexact[Tensor, "*batch Y X"] | None = None,
) -> Inexact[Tensor, "*batch Y X"]:
    """Sum windows onto empty canvases: the adjoint of `extract_patches`.

    Args:
        patches: complex or real.
        positions_px: whole or fractional.
        shape: (Y, X) of the canvases.
        onto: canvases, contiguous, of the type of the patches, which are changed and returned instead of empty ones.

    Raises:
        PtychoPINNError: a window leaves the canvas.
    """
    size = (patches.shape[-2], patches.shape[-1])
    by_rows = math.prod(size) >= LARGE and _is_plain(patches)  # small windows take half the time by index
    if patches.ndim == 3 and not positions_px.is_floating_point() and by_rows:
        return _added(patches, positions_px, shape, onto)
    _check_on_host(positions_px, size, shape)
    if not positions_px.is_floating_point():
        return _scatter(patches, _flat_index(positions_px, size, shape), shape, onto)
    whole, rest_y, rest_x = _split(positions_px, size, patches.real.dtype)
    window = _spread(_spread(patches, rest_x, -1), rest_y, -2)
    return _scatter(window, _flat_index(whole, _grown(size), shape), shape, onto)


def add_weighted(
    canvas: Inexact[Tensor, "Y X"],
    total: Float[Tensor, "Y X"],
    patches: Inexact[Tensor, "P H W"],
    weight: Float[Tensor, "P H W"],
    positions_px: Real[Tensor, "P 2"],
) -> None:
    r"""Add \(\sum_n \mathrm{place}(w_n p_n)\) to a canvas and \(\sum_n \mathrm{place}(w_n)\) to another, in place.

    Only the windows are touched, so that the cost of a patch does not grow with the canvas.

    Args:
        canvas: what was placed before, without a gradient.
        total: the weights that were placed before.
        patches: of the type of `canvas`.
        weight: of every pixel of every patch.
        positions_px: whole or fractional.

    Raises:
        PtychoPINNError: a window leaves the canvas.

    >>> canvas, total = torch.zeros(2, 3), torch.ones(2, 3)
    >>> add_weighted(canvas, total, torch.ones(1, 2, 2), torch.full((1, 2, 2), 0.5), torch.tensor([[1, 2]]))
    >>> canvas[0].tolist(), total[0].tolist()
    ([0.0, 0.5, 0.5], [1.0, 1.5, 1.5])
    """
    size, shape = (patches.shape[-2], patches.shape[-1]), (canvas.shape[0], canvas.shape[1])
    _check_on_host(positions_px, size, shape)
    if not positions_px.is_floating_point() and _is_plain(patches) and _is_plain(weight):
        sums, weights = canvas.numpy(), total.numpy()
        product = np.empty(size, sums.dtype)
        both = zip(patches.detach().resolve_conj().numpy(), weight.detach().numpy(), strict=True)
        for (window, share), place in zip(both, _places(positions_px, size, shape), strict=True):
            there, under = sums[place], weights[place]  # `sums[place] += ...` would write the window twice
            there += np.multiply(window, share, out=product)
            under += share
        return
    whole, grown, planes = positions_px, size, [weight * patches, weight]
    if positions_px.is_floating_point():
        whole, rest_y, rest_x = _split(positions_px, size, patches.real.dtype)
        grown, planes = _grown(size), [_spread(_spread(plane, rest_x, -1), rest_y, -2) for plane in planes]
    index = _flat_index(whole, grown, shape).reshape(-1)
    for onto, plane in zip((canvas, total), planes, strict=True):
        onto.view(-1).index_add_(0, index, plane.reshape(-1))


def centred_part(images: Any, shape: tuple[int, int]) -> Any:
    """The central `shape` of images (..., Y, X), an array or a tensor; all of an axis that is no longer than that.

    >>> centred_part(torch.arange(25).reshape(5, 5), (1, 3)).tolist()
    [[11, 12, 13]]
    """
    row, column = (max(0, (have - want) // 2) for have, want in zip(images.shape[-2:], shape, strict=True))
    return images[..., row : row + shape[0], column : column + shape[1]]


def check_inside(positions_px: Real[Tensor, "*batch 2"], size: tuple[int, int], shape: tuple[int, int]) -> None:
    """Raise `PtychoPINNError` unless every window of `size` lies on a canvas; positions may be fractional."""
    first = positions_px - torch.tensor([side // 2 for side in size], device=positions_px.device)
    room = torch.tensor(shape, device=positions_px.device) - torch.tensor(size, device=positions_px.device)
    inside = ((first >= 0) & (first <= room)).all(-1)
    if not bool(inside.all()):
        raise PtychoPINNError(
            f"{int((~inside).sum())} of {inside.numel()} patches of {size[0]}x{size[1]} px leave the canvas "
            f"of {shape[0]}x{shape[1]} px; shift the positions by the canvas origin or make the canvas larger"
        )


def _check_on_host(positions_px: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> None:
    if positions_px.device.type == "cpu":
        check_inside(positions_px, size, shape)


def _flat_index(
    positions_px: Int[Tensor, "*batch P 2"], size: tuple[int, int], shape: tuple[int, int]
) -> Int[Tensor, "*batch P H W"]:
    """Index of every window element in the flattened canvases.

    The limit is for the row and column that fractional windows have more: at the edge they weigh nothing.
    """
    device = positions_px.device
    rows, columns = (
        (positions_px[..., axis, None] - (size[axis] // 2) + torch.arange(size[axis], device=device)).clamp(
            max=shape[axis] - 1
        )
        for axis in (0, 1)
    )
    index = rows.unsqueeze(-1) * shape[1] + columns.unsqueeze(-2)
    lead = positions_px.shape[:-2]
    if not lead:
        return index
    canvases = torch.arange(math.prod(lead), device=device).view(*lead, 1, 1, 1)
    return index + canvases * (shape[0] * shape[1])


def _is_plain(values: Tensor) -> bool:
    """Whether windows may be cut or added row by row: on the host, with no gradient to record."""
    return values.device.type == "cpu" and not (values.requires_grad and torch.is_grad_enabled())


def _cut(canvas: Tensor, positions_px: Tensor, size: tuple[int, int]) -> Tensor:
    """Windows of one canvas (Y, X), copied row by row by NumPy, which takes a third of the time of torch."""
    source = canvas.detach().numpy()
    windows = np.empty((len(positions_px), *size), source.dtype)
    for window, place in zip(windows, _places(positions_px, size, source.shape), strict=True):
        window[...] = source[place]
    return torch.from_numpy(windows)


def _added(patches: Tensor, positions_px: Tensor, shape: tuple[int, int], onto: Tensor | None) -> Tensor:
    """The adjoint of `_cut`, in the order of the patches, so that the sum is always rounded alike."""
    windows = patches.detach().resolve_conj().numpy()
    canvas = np.zeros(shape, windows.dtype) if onto is None else onto.numpy()
    for window, place in zip(windows, _places(positions_px, windows.shape[1:], shape), strict=True):
        under = canvas[place]  # `canvas[place] += window` would write it twice
        under += window
    return torch.from_numpy(canvas) if onto is None else onto


def _places(positions_px: Tensor, size: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of windows (H, W) about whole positions (P, 2) on a canvas (Y, X); raises as `check_inside`."""
    height, width = size
    first = positions_px.numpy() - (height // 2, width // 2)
    if (first < 0).any() or (first > (shape[0] - height, shape[1] - width)).any():
        check_inside(positions_px, (height, width), (shape[0], shape[1]))
    return ((slice(y, y + height), slice(x, x + width)) for y, x in first.tolist())


def _gather(canvas: Tensor, index: Tensor) -> Tensor:
    return canvas.reshape(-1).index_select(0, index.reshape(-1)).view(index.shape)


def _scatter(patches: Tensor, index: Tensor, shape: tuple[int, int], onto: Tensor | None = None) -> Tensor:
    lead = patches.shape[:-3]
    if onto is not None:
        onto.view(-1).index_add_(0, index.reshape(-1), patches.reshape(-1))
        return onto
    canvas = torch.zeros(math.prod(lead) * shape[0] * shape[1], dtype=patches.dtype, device=patches.device)
    return canvas.index_add(0, index.reshape(-1), patches.reshape(-1)).view(*lead, *shape)


def _grown(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] + 1, size[1] + 1


def _split(
    positions_px: Float[Tensor, "*batch P 2"], size: tuple[int, int], dtype: torch.dtype
) -> tuple[Int[Tensor, "*batch P 2"], Float[Tensor, "*batch P 1 1"], Float[Tensor, "*batch P 1 1"]]:
    """Whole positions of windows one pixel larger, and how far beyond them the patches lie in y and x."""
    floor = torch.floor(positions_px)
    rest = (positions_px - floor).to(dtype)
    moved = [(side + 1) // 2 - side // 2 for side in size]
    whole = floor.to(torch.int64) + torch.tensor(moved, device=positions_px.device)
    return whole, rest[..., 0, None, None], rest[..., 1, None, None]


def _between(window: Tensor, rest: Tensor, axis: int) -> Tensor:
    """Linear interpolation between neighbours along one axis, which loses an element."""
    count = window.shape[axis] - 1
    return (1 - rest) * window.narrow(axis, 0, count) + rest * window.narrow(axis, 1, count)


def _spread(patches: Tensor, rest: Tensor, axis: int) -> Tensor:
    """Adjoint of `_between`."""
    edge = torch.zeros_like(patches.narrow(axis, 0, 1))
    return torch.cat(((1 - rest) * patches, edge), axis) + torch.cat((edge, rest * patches), axis)
