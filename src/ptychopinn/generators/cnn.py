"""The `cnn` architecture: a U-Net with group normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig


class Convolution(nn.Sequential):
    """3x3 convolution, group normalisation, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.GroupNorm(group_count(channels_out), channels_out),
            nn.GELU(),
        )


class DoubleConvolution(nn.Sequential):
    """Two of them."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(Convolution(channels_in, channels_out), Convolution(channels_out, channels_out))


def group_count(channels: int) -> int:
    """Normalisation groups: of four channels where that divides, else one."""
    return channels // 4 if channels % 4 == 0 else 1


class Pyramid(nn.Module):
    """A plain U-Net: double convolutions on `len(widths)` grids, each half as fine as the one before.

    Args:
        channels_in: of the image.
        channels_out: of the result, on the grid of the image.
        widths: channels on each grid, finest first.
    """

    def __init__(self, channels_in: int, channels_out: int, widths: list[int]) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            DoubleConvolution(before, after)
            for before, after in zip([channels_in, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            DoubleConvolution(deep + skip, skip)
            for skip, deep in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], channels_out, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W); H and W are multiples of 2^(len(widths) - 1)."""
        skips: list[Tensor] = []
        for block in self.encoder:
            image = block(functional.max_pool2d(skips[-1], 2) if skips else image)
            skips.append(image)
        skips.pop()
        for block in self.decoder:
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(torch.cat((image, skips.pop()), dim=1))
        return self.head(image)


class UNet(nn.Module):
    """U-Net from (B, C, H, W) to (B, C', H, W) for any H and W, with a light finest level.

    The finest grid holds most pixels and little that the next one does not: going down, 2x2 blocks of pixels
    become channels, and going up, channels become 2x2 blocks again, joined by the image itself. That halves the
    time of a step and, for the same time, gives the better image (docs/measurements.md).

    Images are padded to a multiple of 2^levels and cropped back. The last layer starts at zero, so that the
    first output is zero everywhere.
    """

    def __init__(self, channels_in: int, channels_out: int, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.width
        self.multiple = 2**config.levels
        coarse = [width * 2**level for level in range(1, config.levels + 1)]
        self.pyramid = Pyramid(4 * channels_in, 4 * width, coarse)
        self.fuse = Convolution(width + channels_in, width)
        self.head = nn.Conv2d(width, channels_out, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        height, width = image.shape[-2:]
        image = functional.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        coarse = self.pyramid(functional.pixel_unshuffle(image, 2))
        fine = self.fuse(torch.cat((functional.pixel_shuffle(coarse, 2), image), dim=1))
        return self.head(fine)[..., :height, :width]
