r"""Translation of images by whole and fractional pixels.

A shift by \(d = (d_y, d_x)\) px moves the content towards larger indices: out[y, x] = in[y - d_y, x - d_x].

- `fourier_shift` multiplies the spectrum by \(e^{-2\pi i\, f \cdot d}\): exact for band-limited periodic
  images, unitary, and its adjoint is the shift by -d.
- `bilinear_shift` interpolates linearly and lets zeros in at the edges; its adjoint is the shift by -d too.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Bool, Complex, Float, Inexact, Int, Real
from torch import Tensor

from ptychopinn.physics.fourier import frequencies


def split_position(
    positions_px: Real[Tensor, "*batch 2"],
) -> tuple[Int[Tensor, "*batch 2"], Float[Tensor, "*batch 2"]]:
    """Nearest whole pixel (int64) and remainder in [-0.5, 0.5) of positions.

    >>> whole, rest = split_position(torch.tensor([[2.5, -1.25]], dtype=torch.float64))
    >>> whole.tolist(), rest.tolist()
    ([[3, -1]], [[-0.5, -0.25]])
    """
    whole = torch.floor(positions_px + 0.5)
    return whole.to(torch.int64), positions_px - whole


def shift_phase(
    shift_px: Float[Tensor, "*batch 2"], size: tuple[int, int], *, centred: bool = True
) -> Complex[Tensor, "*batch H W"]:
    """Spectrum factor exp(-2 pi i f.d) of `size` for shifts d; zero frequency at (H//2, W//2), or else at (0, 0)."""
    rows, columns = (_axis_phase(shift_px[..., axis], size[axis], centred) for axis in (0, 1))
    return rows.unsqueeze(-1) * columns.unsqueeze(-2)


def _axis_phase(shift: Tensor, size: int, centred: bool) -> Tensor:
    angle = shift.unsqueeze(-1) * _angles(size, shift.device, shift.dtype, centred)
    return torch.polar(torch.ones_like(angle), angle)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept must also serve where gradients are recorded
def _angles(size: int, device: torch.device, dtype: torch.dtype, centred: bool) -> Tensor:
    """-2 pi f of an axis, rad/px."""
    frequency = frequencies(size, device=device, dtype=dtype)
    return -2 * math.pi * (frequency if centred else torch.fft.ifftshift(frequency))


def fourier_shift(
    image: Inexact[Tensor, "*#batch H W"], shift_px: Float[Tensor, "*#batch 2"]
) -> Complex[Tensor, "... H W"]:
    """Shift images by whole or fractional pixels around the edges; leading axes broadcast.

    Args:
        image: periodic in the sense of the discrete Fourier transform.
        shift_px: (dy, dx), in the precision of the image.

    >>> dot = torch.zeros(3, 3, dtype=torch.complex64)
    >>> dot[0, 0] = 1
    >>> fourier_shift(dot, torch.tensor([1.0, 2.0])).real.round().argmax().item()  # element (1, 2)
    5
    """
    height, width = image.shape[-2:]
    return torch.fft.ifft2(torch.fft.fft2(image) * shift_phase(shift_px, (height, width), centred=False))


def bilinear_shift(
    image: Inexact[Tensor, "*#batch H W"], shift_px: Float[Tensor, "*#batch 2"]
) -> Inexact[Tensor, "... H W"]:
    """Shift images by (dy, dx) px with linear interpolation, zero outside; leading axes broadcast."""
    whole = torch.floor(shift_px)
    rest = (shift_px - whole).to(image.real.dtype)
    rest_y, rest_x = rest[..., 0, None, None], rest[..., 1, None, None]
    whole = whole.to(torch.int64)
    image = image.expand(*torch.broadcast_shapes(image.shape[:-2], whole.shape[:-1]), *image.shape[-2:])
    total = torch.zeros_like(image)
    for step_y, weight_y in ((0, 1 - rest_y), (1, rest_y)):
        for step_x, weight_x in ((0, 1 - rest_x), (1, rest_x)):
            step = torch.tensor([step_y, step_x], device=whole.device)
            total = total + weight_y * weight_x * _whole_shift(image, whole + step)
    return total


def _whole_shift(image: Tensor, shift: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device) - shift[..., 0, None]
    columns = torch.arange(width, device=image.device) - shift[..., 1, None]
    inside = _within(rows, height).unsqueeze(-1) & _within(columns, width).unsqueeze(-2)
    index = rows.clamp(0, height - 1).unsqueeze(-1) * width + columns.clamp(0, width - 1).unsqueeze(-2)
    index = index.expand(*image.shape).flatten(-2)
    moved = image.flatten(-2).gather(-1, index).view(image.shape)
    return torch.where(inside, moved, torch.zeros((), dtype=image.dtype, device=image.device))


def _within(index: Int[Tensor, "*batch size"], size: int) -> Bool[Tensor, "*batch size"]:
    return (index >= 0) & (index < size)
