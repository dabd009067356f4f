"""Convolutional parts: the U-Net's encoder and decoder, a residual bottleneck, and a refiner at full resolution."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig


class DoubleConvolution(nn.Sequential):
    """Twice: 3x3 convolution, group normalisation, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        layers: list[nn.Module] = []
        for channels in (channels_in, channels_out):
            layers += [*normalised_convolution(channels, channels_out), nn.GELU()]
        super().__init__(*layers)


def normalised_convolution(channels_in: int, channels_out: int) -> tuple[nn.Module, nn.Module]:
    """3x3 convolution without a bias, and group normalisation."""
    return (
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.GroupNorm(group_count(channels_out), channels_out),
    )


def group_count(channels: int) -> int:
    """Normalisation groups: of four channels where that divides, else one."""
    return channels // 4 if channels % 4 == 0 else 1


def pyramid_widths(config: GeneratorConfig) -> list[int]:
    """Channels of every level, doubled where the resolution is halved."""
    return [config.width * 2**level for level in range(config.levels + 1)]


@final
class ConvolutionEncoder(nn.ModuleList):
    """Double convolutions, the resolution halved between them by the largest of four pixels (U-Net)."""

    def __init__(self, channels_in: int, config: GeneratorConfig) -> None:
        widths = pyramid_widths(config)
        super().__init__(
            DoubleConvolution(before, after) for before, after in zip([channels_in, *widths], widths, strict=False)
        )
        self.widths = widths

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) to maps of `widths` channels, each of half the resolution of the one before."""
        maps: list[Tensor] = []
        for block in self:
            maps.append(block(functional.max_pool2d(maps[-1], 2) if maps else image))
        return maps


@final
class ConvolutionDecoder(nn.ModuleList):
    """From the coarsest map up: nearest pixel, joined by the next finer map, double convolution (U-Net).

    A single map stays as it is.
    """

    def __init__(self, widths: Sequence[int], config: GeneratorConfig) -> None:
        super().__init__(
            DoubleConvolution(deep + skip, skip) for skip, deep in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.width = widths[0]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, fine to coarse, to (B, `width`, H, W)."""
        image = maps[-1]
        for block, skip in zip(self, maps[-2::-1], strict=True):
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(torch.cat((image, skip), dim=1))
        return image


class ResidualBlock(nn.Module):
    r"""\(y = x + N_2 C_2\, \mathrm{GELU}(N_1 C_1 x)\): 3x3 convolutions C, group normalisations N (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            *normalised_convolution(channels, channels), nn.GELU(), *normalised_convolution(channels, channels)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return image + self.change(image)


@final
class ResidualBottleneck(nn.Sequential):
    """`blocks` residual blocks at the coarsest resolution."""

    def __init__(self, width: int, config: GeneratorConfig) -> None:
        super().__init__(*(ResidualBlock(width) for _ in range(config.blocks)))


@final
class NoBottleneck(nn.Identity):
    """The coarsest map as it is."""

    def __init__(self, width: int, config: GeneratorConfig) -> None:
        super().__init__()


@final
class Refiner(nn.Module):
    """All maps brought to full resolution (1x1 convolution, nearest pixel), summed, then `refiner_blocks` double
    convolutions."""

    def __init__(self, widths: Sequence[int], config: GeneratorConfig) -> None:
        super().__init__()
        self.width = widths[0]
        self.lateral = nn.ModuleList(nn.Conv2d(width, self.width, 1) for width in widths[1:])
        self.refine = DoubleConvolution(self.width, self.width)
        further = range(config.refiner_blocks - 1)
        self.more = nn.Sequential(*(DoubleConvolution(self.width, self.width) for _ in further))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, fine to coarse, to (B, `width`, H, W)."""
        total, *coarse = maps
        for lateral, image in zip(self.lateral, coarse, strict=True):
            total = total + functional.interpolate(lateral(image), size=total.shape[-2:], mode="nearest")
        return self.more(self.refine(total))
