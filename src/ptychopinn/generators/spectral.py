r"""Convolutions in Fourier space, in real arithmetic, for images of any size.

An image is written by its slow waves alone, each is mixed over the channels, and the result is put together again:

\[ X_{rk} = \sum_{yx} x_{yx}\, e^{-2\pi i (ry/H + kx/W)}, \qquad Y_{rk} = X_{rk} W_{rk}, \qquad
   y_{yx} = \frac{1}{HW} \sum_{|r| \le m} \sum_{k=0}^{m} w_k\, \mathrm{Re}[Y_{rk}\, e^{2\pi i (ry/H + kx/W)}] \]

with \(w_0 = 1\) and \(w_k = 2\) else. Rows of both signs are kept; columns of negative sign are the conjugates of what
is kept already. Frequencies are counted in cycles per image, and those at or beyond Nyquist are left out, so that an
image which is sampled more finely gives the same result on the finer grid.

Few waves are kept, so that the transforms are small products of real matrices. They export and compile like any other
layer, and from 16 channels on they are quicker on a CPU than full complex transforms. Source: Li et al., ICLR 2021
(arXiv:2010.08895); along the axes: Tran et al., ICLR 2023 (arXiv:2111.13802).
"""

import math
from typing import final

import torch
from torch import Tensor, nn

from ptychopinn.generators import library


@final
class SpectralConvolution(nn.Module):
    r"""(B, C, H, W) to (B, C', H, W): every slow wave of an image mixed over the channels, without a bias.

    `weight` is ((2m + 1)(m + 1), C, 2C'): for each row frequency -m..m and each column frequency 0..m the real parts,
    then the imaginary parts, of the matrix that multiplies the channels.

    Args:
        channels_in: C.
        channels_out: C'.
        modes: m, the highest frequency, cycles per image.
        engine: `own`, or `neuraloperator` for the layer of that library with the same weights.

    Raises:
        MissingExtraError: the library is asked for and not installed.
    """

    def __init__(self, channels_in: int, channels_out: int, modes: int, engine: str = "own") -> None:
        super().__init__()
        self.modes = modes
        self.weight = _start((2 * modes + 1) * (modes + 1), channels_in, channels_out)
        self.layer = library.Layer(channels_in, channels_out, modes) if engine == "neuraloperator" else None

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W), in float32 also under autocast."""
        with torch.autocast(image.device.type, enabled=False):
            image = image.to(self.weight.dtype)
            if self.layer is not None:
                return self.layer(image, self.matrices())
            return self._mixed(image)

    def matrices(self) -> Tensor:
        """The weights as the library has them: complex (C, C', 2m + 1, m + 1)."""
        real, imaginary = self.weight.chunk(2, dim=-1)
        shape = (2 * self.modes + 1, self.modes + 1, *real.shape[1:])
        return torch.complex(real, imaginary).reshape(shape).permute(2, 3, 0, 1)

    def to_library(self) -> nn.Module:
        """A layer of the `neuraloperator` library with the weights of this one.

        Raises:
            MissingExtraError: the library is not installed.
        """
        return library.layer_with(self.matrices())

    @classmethod
    def from_library(cls, layer: nn.Module) -> "SpectralConvolution":
        """This layer with the weights of one of the `neuraloperator` library.

        Raises:
            ValueError: its spectrum has other rows than -m..m with columns 0..m, or it has a bias.
        """
        weight = library.weight_of(layer)
        channels_in, channels_out, _, columns = weight.shape
        made = cls(channels_in, channels_out, columns - 1)
        waves = weight.permute(2, 3, 0, 1).flatten(0, 1)
        made.load_state_dict({"weight": torch.cat((waves.real, waves.imag), dim=-1)})
        return made

    def _mixed(self, image: Tensor) -> Tensor:
        batch, _, height, width = image.shape
        rows, columns = _kept(self.modes, height), _kept(self.modes, width)
        to_rows, to_columns = _rows(height, rows, image), _columns(width, columns, image)
        n_rows, n_columns = 2 * rows + 1, columns + 1
        waves = torch.matmul(to_columns, image.permute(0, 2, 3, 1)).reshape(batch, 2 * height, -1)
        waves = torch.matmul(to_rows, waves).reshape(batch, n_rows, 2, n_columns, -1)
        waves = waves.permute(1, 3, 0, 2, 4).reshape(n_rows * n_columns, batch, -1)
        waves = torch.bmm(waves, _complex_product(self._weight_of(rows, columns)))
        waves = waves.reshape(n_rows, n_columns, batch, 2, -1).permute(2, 0, 3, 1, 4)
        waves = torch.matmul(to_rows.mT, waves.reshape(batch, 2 * n_rows, -1))
        waves = waves.reshape(batch, height, 2 * n_columns, -1)
        return torch.matmul(_back(to_columns) / height, waves).permute(0, 3, 1, 2)

    def _weight_of(self, rows: int, columns: int) -> Tensor:
        """The weights of frequencies up to those, where the image is too small for all."""
        kept = self.weight.unflatten(0, (2 * self.modes + 1, self.modes + 1))
        return kept[self.modes - rows : self.modes + rows + 1, : columns + 1].flatten(0, 1)


@final
class AxialConvolution(nn.Module):
    """(B, C, H, W) to (B, C', H, W): one spectral convolution along each axis, summed.

    `rows` and `columns` are (m + 1, C, 2C'), for the frequencies 0..m along y and along x.

    Args:
        channels_in: C.
        channels_out: C'.
        modes: m, the highest frequency, cycles per image.
    """

    def __init__(self, channels_in: int, channels_out: int, modes: int) -> None:
        super().__init__()
        self.rows = _start(modes + 1, channels_in, channels_out)
        self.columns = _start(modes + 1, channels_in, channels_out)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W), in float32 also under autocast."""
        with torch.autocast(image.device.type, enabled=False):
            pixels = image.to(self.rows.dtype).permute(0, 2, 3, 1)
            batch, height, width, channels = pixels.shape
            along_y = _along(pixels, self.rows)
            along_x = _along(pixels.reshape(batch * height, width, 1, channels), self.columns)
            return (along_y + along_x.reshape(along_y.shape)).permute(0, 3, 1, 2)


def _along(values: Tensor, weight: Tensor) -> Tensor:
    """(n, size, m, C) by (K, C, 2C') to (n, size, m, C'): a spectral convolution along the second axis."""
    count, size, rest, _ = values.shape
    n_waves = _kept(len(weight) - 1, size) + 1
    to_waves = _columns(size, n_waves - 1, values)
    waves = torch.matmul(to_waves, values.reshape(count, size, -1)).reshape(count, 2, n_waves, rest, -1)
    waves = waves.permute(2, 0, 3, 1, 4).reshape(n_waves, count * rest, -1)
    waves = torch.bmm(waves, _complex_product(weight[:n_waves]))
    waves = waves.reshape(n_waves, count, rest, 2, -1).permute(1, 3, 0, 2, 4).reshape(count, 2 * n_waves, -1)
    return torch.matmul(_back(to_waves), waves).reshape(count, size, rest, -1)


def _start(waves: int, channels_in: int, channels_out: int) -> nn.Parameter:
    """Random complex matrices (waves, C, 2C') that halve the mean amplitude of a wave."""
    return nn.Parameter(torch.randn(waves, channels_in, 2 * channels_out) / math.sqrt(8 * channels_in))


def _kept(modes: int, size: int) -> int:
    """The highest frequency that is kept: below Nyquist."""
    return min(modes, (size - 1) // 2)


def _angles(frequencies: Tensor, size: int, like: Tensor) -> Tensor:
    """(K, size), rad; whole turns are taken off as integers, so that float32 loses nothing."""
    turns = (frequencies[:, None] * torch.arange(size, device=like.device)) % size
    return turns.to(like.dtype) * (2 * math.pi / size)


def _columns(size: int, highest: int, like: Tensor) -> Tensor:
    """(2K, size): real, then imaginary parts of the waves 0..highest of a real row of pixels."""
    angles = _angles(torch.arange(highest + 1, device=like.device), size, like)
    return torch.cat((angles.cos(), -angles.sin()))


def _back(to_columns: Tensor) -> Tensor:
    """(size, 2K): the row of pixels whose waves these are; both signs of a frequency count."""
    count, size = to_columns.shape
    weight = torch.full((count // 2, 1), 2 / size, dtype=to_columns.dtype, device=to_columns.device)
    weight[0] = 1 / size
    return (to_columns * torch.cat((weight, weight))).mT


def _rows(size: int, highest: int, like: Tensor) -> Tensor:
    """(2R, 2 size): complex waves -highest..highest of complex columns, real and imaginary part interleaved."""
    angles = _angles(torch.arange(-highest, highest + 1, device=like.device), size, like)
    cosine, sine = angles.cos(), angles.sin()
    real, imaginary = torch.stack((cosine, sine), dim=-1), torch.stack((-sine, cosine), dim=-1)
    return torch.stack((real, imaginary), dim=1).reshape(2 * len(angles), 2 * size)


def _complex_product(weight: Tensor) -> Tensor:
    """(F, C, 2C') to (F, 2C, 2C'): right factors that multiply [real | imaginary] as complex numbers."""
    real, imaginary = weight.chunk(2, dim=-1)
    return torch.cat((weight, torch.cat((-imaginary, real), dim=-1)), dim=1)
