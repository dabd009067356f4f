r"""Object windows: extraction and placement, an adjoint pair.

A position \((y, x)\) is where element (H//2, W//2) of the patch lies on the canvas. For whole positions

\[ (E_n O)[i, j] = O[y_n - H//2 + i,\; x_n - W//2 + j], \qquad
   \sum_n E_n^\dagger p_n = \text{place}(p) . \]

Fractional positions are sampled bilinearly. Windows that leave the canvas are refused, never dropped.
"""

import torch
from torch import Tensor

from ptychopinn.errors import PtychoPINNError


def extract_patches(canvas: Tensor, positions_px: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut windows of `size` out of canvases.

    Args:
        canvas: (..., Y, X), complex or real.
        positions_px: (..., P, 2), whole (integer dtype) or fractional (bilinear); same leading axes.
        size: (H, W).

    Returns:
        (..., P, H, W).

    Raises:
        PtychoPINNError: a window leaves the canvas.
    """
    if positions_px.is_floating_point():
        whole, weights = _bilinear(positions_px, size, canvas.real.dtype)
        window = extract_patches(canvas, whole, (size[0] + 1, size[1] + 1))
        corners = _corners(window, size)
        return sum(weight * corner for weight, corner in zip(weights, corners, strict=True))  # type: ignore[return-value]
    index = _flat_index(positions_px, size, canvas.shape)
    return canvas.reshape(-1)[index.reshape(-1)].view(*positions_px.shape[:-1], *size)


def place_patches(patches: Tensor, positions_px: Tensor, shape: tuple[int, int]) -> Tensor:
    """Sum windows onto empty canvases: the adjoint of `extract_patches`.

    Args:
        patches: (..., P, H, W), complex or real.
        positions_px: (..., P, 2), whole or fractional.
        shape: (Y, X) of the canvases.

    Returns:
        (..., Y, X).
    """
    if positions_px.is_floating_point():
        size = (patches.shape[-2], patches.shape[-1])
        whole, weights = _bilinear(positions_px, size, patches.real.dtype)
        window = patches.new_zeros(*patches.shape[:-2], size[0] + 1, size[1] + 1)
        for weight, corner in zip(weights, _corners(window, size), strict=True):
            corner += weight * patches
        return place_patches(window, whole, shape)
    canvas_shape = (*patches.shape[:-3], *shape)
    index = _flat_index(positions_px, (patches.shape[-2], patches.shape[-1]), canvas_shape)
    canvas = torch.zeros(canvas_shape, dtype=patches.dtype, device=patches.device)
    return canvas.view(-1).index_add(0, index.reshape(-1), patches.reshape(-1)).view(canvas_shape)


def check_inside(positions_px: Tensor, size: tuple[int, int], shape: tuple[int, int]) -> None:
    """Raise unless every window lies on the canvas; kept out of the hot path, where it would wait for the device."""
    corner = positions_px - torch.tensor([size[0] // 2, size[1] // 2], device=positions_px.device)
    end = corner + torch.tensor(size, device=positions_px.device)
    limit = torch.tensor(shape, device=positions_px.device)
    outside = ((corner < 0) | (end > limit)).any(-1)
    if bool(outside.any()):
        raise PtychoPINNError(
            f"{int(outside.sum())} of {outside.numel()} patches of {size[0]}x{size[1]} px leave the canvas of "
            f"{shape[0]}x{shape[1]} px; shift the positions by the canvas origin or make the canvas larger"
        )


def _flat_index(
    positions_px: Tensor, size: tuple[int, int], canvas_shape: tuple[int, ...] | torch.Size
) -> Tensor:
    """Flat canvas index of every window element, (..., P, H, W)."""
    height, width = size
    rows_of_canvas, columns_of_canvas = canvas_shape[-2:]
    device = positions_px.device
    rows = positions_px[..., 0, None] - height // 2 + torch.arange(height, device=device)
    columns = positions_px[..., 1, None] - width // 2 + torch.arange(width, device=device)
    if device.type == "cpu" and positions_px.numel():
        check_inside(positions_px, size, (rows_of_canvas, columns_of_canvas))
    index = rows.unsqueeze(-1) * columns_of_canvas + columns.unsqueeze(-2)
    lead = positions_px.shape[:-2]
    if lead:
        count = int(torch.tensor(lead).prod())
        base = torch.arange(count, device=device).view(*lead, 1, 1, 1) * (rows_of_canvas * columns_of_canvas)
        index = index + base
    return index


def _bilinear(positions_px: Tensor, size: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """Whole positions of windows one pixel larger, and the four corner weights (..., P, 1, 1)."""
    floor = torch.floor(positions_px)
    rest = (positions_px - floor).to(dtype)
    rest_y, rest_x = rest[..., 0, None, None], rest[..., 1, None, None]
    grown = torch.tensor([(side + 1) // 2 - side // 2 for side in size], device=positions_px.device)
    weights = [(1 - rest_y) * (1 - rest_x), (1 - rest_y) * rest_x, rest_y * (1 - rest_x), rest_y * rest_x]
    return floor.to(torch.int64) + grown, weights


def _corners(window: Tensor, size: tuple[int, int]) -> list[Tensor]:
    height, width = size
    return [window[..., i : i + height, j : j + width] for i in (0, 1) for j in (0, 1)]
