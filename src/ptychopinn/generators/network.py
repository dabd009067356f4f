"""A network put together of an encoder, a bottleneck and a decoder."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional


@final
class Network(nn.Module):
    """(B, C, H, W) to (B, C', H, W) for any H and W.

    Images are padded with zeros to what the encoder halves without a remainder, and cropped back. The last layer, a 3x3
    convolution, starts at zero, so that the first output is zero everywhere.

    Args:
        encoder: image to a list of maps, each of half the resolution of the one before; `widths` are their channels.
        bottleneck: changes the coarsest map and keeps its shape.
        decoder: the list of maps to one of full resolution, of `width` channels.
        channels_out: C'.
    """

    def __init__(self, encoder: nn.Module, bottleneck: nn.Module, decoder: nn.Module, channels_out: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder
        self.head = nn.Conv2d(decoder.width, channels_out, 3, padding=1)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.multiple = 2 ** (len(encoder.widths) - 1)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        height, width = image.shape[-2:]
        image = functional.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        *fine, coarse = self.encoder(image)
        image = self.decoder([*fine, self.bottleneck(coarse)])
        return self.head(image)[..., :height, :width]
