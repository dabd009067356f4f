r"""Parts that mix waves over the whole image: spatial lifter, PtychoBlock, and what is built of them.

Waves are kept up to `spectral_modes` cycles per image at full resolution, up to half as many wherever a map is twice as
wide, and so half as fine: each level keeps about the same part of its own Nyquist frequency.
"""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.cnn import pyramid_widths
from ptychopinn.generators.spectral import AxialConvolution, SpectralConvolution


@final
class SpatialLifter(nn.Sequential):
    """(B, C, H, W) to (B, C', H, W): two 3x3 convolutions, a GELU after each, `channels_between` (C') between."""

    def __init__(self, channels_in: int, channels_out: int, channels_between: int | None = None) -> None:
        between = channels_between or channels_out
        super().__init__(
            _convolution(channels_in, between, 3), nn.GELU(), _convolution(between, channels_out, 3), nn.GELU()
        )


@final
class PtychoBlock(nn.Module):
    r"""\(y = x + \mathrm{GELU}(S x + C x)\): spectral convolution S for the whole image, 3x3 convolution C for detail.

    Args:
        channels: of x and y.
        modes: highest frequency of S, cycles per image.
        engine: of S, see `SpectralConvolution`.
    """

    def __init__(self, channels: int, modes: int = 12, engine: str = "own") -> None:
        super().__init__()
        self.spectral = SpectralConvolution(channels, channels, modes, engine)
        self.local = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + functional.gelu(self.spectral(x) + self.local(x))


@final
class FactorisedBlock(nn.Module):
    r"""\(y = x + F_2\, \mathrm{GELU}(F_1 A x)\): axial convolution A, 1x1 convolutions F, 2C channels between.

    Source: Tran et al., ICLR 2023 (arXiv:2111.13802).
    """

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self.axial = AxialConvolution(channels, channels, modes)
        self.mix = nn.Sequential(
            _convolution(channels, 2 * channels, 1), nn.GELU(), _convolution(2 * channels, channels, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return image + self.mix(self.axial(image))


@final
class FourierEncoder(nn.Sequential):
    """Spatial lifter and `blocks` PtychoBlocks, all at full resolution: one map."""

    def __init__(self, channels_in: int, config: GeneratorConfig) -> None:
        super().__init__(
            SpatialLifter(channels_in, config.width), *(_block(config.width, config) for _ in range(config.blocks))
        )
        self.widths = [config.width]

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) to one map."""
        return [super().forward(image)]


@final
class FactorisedEncoder(nn.Sequential):
    """Spatial lifter and `blocks` factorised blocks, all at full resolution: one map."""

    def __init__(self, channels_in: int, config: GeneratorConfig) -> None:
        blocks = (FactorisedBlock(config.width, config.spectral_modes) for _ in range(config.blocks))
        super().__init__(SpatialLifter(channels_in, config.width), *blocks)
        self.widths = [config.width]

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) to one map."""
        return [super().forward(image)]


@final
class FourierPyramid(nn.Module):
    """Spatial lifter, then a PtychoBlock at every level; 2x2 convolutions of stride 2 halve the resolution between."""

    def __init__(self, channels_in: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.widths = pyramid_widths(config)
        self.lifter = SpatialLifter(channels_in, config.width)
        self.blocks = nn.ModuleList(_block(width, config) for width in self.widths[:-1])
        self.halve = nn.ModuleList(
            _convolution(fine, coarse, 2, stride=2) for fine, coarse in zip(self.widths, self.widths[1:], strict=False)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, C, H, W) to maps of `widths` channels, each of half the resolution of the one before."""
        maps, image = [], self.lifter(image)
        for block, halve in zip(self.blocks, self.halve, strict=True):
            maps.append(block(image))
            image = functional.gelu(halve(maps[-1]))
        return [*maps, image]


@final
class FourierBottleneck(nn.Sequential):
    """`blocks` PtychoBlocks at the coarsest resolution."""

    def __init__(self, width: int, config: GeneratorConfig) -> None:
        super().__init__(*(_block(width, config) for _ in range(config.blocks)))


@final
class FourierDecoder(nn.Module):
    """From the coarsest map up: nearest pixel, joined by the next finer map (1x1 convolution), PtychoBlock."""

    def __init__(self, widths: Sequence[int], config: GeneratorConfig) -> None:
        super().__init__()
        self.width = widths[0]
        pairs = list(zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.join = nn.ModuleList(nn.Conv2d(deep + skip, skip, 1) for skip, deep in pairs)
        self.blocks = nn.ModuleList(_block(skip, config) for skip, _ in pairs)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, fine to coarse, to (B, `width`, H, W)."""
        image = maps[-1]
        for join, block, skip in zip(self.join, self.blocks, maps[-2::-1], strict=True):
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(join(torch.cat((image, skip), dim=1)))
        return image


def _convolution(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the mean power through a GELU (He et al., 2015), as nothing here is normalised."""
    layer = nn.Conv2d(channels_in, channels_out, size, stride, padding=(size - 1) // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _block(width: int, config: GeneratorConfig) -> PtychoBlock:
    """A PtychoBlock of a map that is `width` channels wide."""
    modes = max(1, config.spectral_modes * config.width // width)
    return PtychoBlock(width, modes, config.spectral)
