"""The `cnn` architecture: a U-Net with group normalisation."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig


class DoubleConvolution(nn.Sequential):
    """Twice: 3x3 convolution, group normalisation, GELU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        layers: list[nn.Module] = []
        for channels in (channels_in, channels_out):
            layers += [
                nn.Conv2d(channels, channels_out, 3, padding=1, bias=False),
                nn.GroupNorm(group_count(channels_out), channels_out),
                nn.GELU(),
            ]
        super().__init__(*layers)


def group_count(channels: int) -> int:
    """Normalisation groups: of four channels where that divides, else one."""
    return channels // 4 if channels % 4 == 0 else 1


class UNet(nn.Module):
    """U-Net from (B, C, H, W) to (B, C', H, W) for any H and W.

    Images are padded to a multiple of 2^levels and cropped back. The last layer starts at zero, so that the
    first output is zero everywhere.
    """

    def __init__(self, channels_in: int, channels_out: int, config: GeneratorConfig) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.levels + 1)]
        self.multiple = 2**config.levels
        self.encoder = nn.ModuleList(
            DoubleConvolution(before, after) for before, after in zip([channels_in, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            DoubleConvolution(deep + skip, skip) for skip, deep in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], channels_out, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        height, width = image.shape[-2:]
        image = functional.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        skips: list[Tensor] = []
        for block in self.encoder:
            image = block(functional.max_pool2d(skips[-1], 2) if skips else image)
            skips.append(image)
        skips.pop()
        for block in self.decoder:
            image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
            image = block(torch.cat((image, skips.pop()), dim=1))
        return self.head(image)[..., :height, :width]
