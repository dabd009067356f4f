r"""The CNNs of the earlier implementation, layer by layer, for its archives; its TensorFlow and PyTorch sides differ.

An encoder halves the resolution to an eighth of 64 px; one decoder makes the amplitude and another one the phase. Their
last maps are split: most channels make the central half of the patch, the others make the rest of it,

\[ f = \mathrm{pad}[s(C_1 u)] + B \cdot \mathrm{silu}(C_2 v), \qquad B = 0 \text{ in the central half, else } 1, \]

where s is `model.generator.amplitude_activation` for the amplitude and \(\pi \tanh\) for the phase. The output is read
by `polar`. `width` is 32 times the `n_filters_scale` of the earlier implementation, and `levels` is 3 for patterns of
64 px and one more for each doubling.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "relu": torch.relu,
}
"""Values of `model.generator.amplitude_activation`."""
TENSORFLOW_BORDER = 4
"""Channels that make the border on the TensorFlow side, whatever the group size; on the other side one per pattern."""
REDUCTION = 16
"""Part of the channels that the attention passes through."""


def tensorflow_layout(channels_in: int, channels_out: int, config: GeneratorConfig) -> "LegacyCNN":
    """The network that `ptycho` trained; a `NetworkFactory`."""
    first = encoder_widths(config)[0]
    return LegacyCNN(channels_in, channels_out, config, border=TENSORFLOW_BORDER, border_width=first, attention=False)


def pytorch_layout(channels_in: int, channels_out: int, config: GeneratorConfig) -> "LegacyCNN":
    """The network that `ptycho_torch` trained, with its attention after every block; a `NetworkFactory`."""
    width = config.width
    return LegacyCNN(channels_in, channels_out, config, border=channels_in, border_width=width, attention=True)


def encoder_widths(config: GeneratorConfig) -> list[int]:
    """Channels of the encoder, fine to coarse: 4 `width` at the end, half of it one level up, and so on.

    >>> encoder_widths(GeneratorConfig(width=32, levels=3)), encoder_widths(GeneratorConfig(width=64, levels=4))
    ([32, 64, 128], [32, 64, 128, 256])
    """
    return [max(1, 4 * config.width // 2**level) for level in reversed(range(config.levels))]


def decoder_widths(config: GeneratorConfig) -> list[int]:
    """Channels of a decoder, coarse to fine: `width` at the end.

    >>> decoder_widths(GeneratorConfig(width=32, levels=3)), decoder_widths(GeneratorConfig(width=64, levels=4))
    ([64, 32], [256, 128, 64])
    """
    return [config.width * 2**level for level in reversed(range(config.levels - 1))]


@final
class Attention(nn.Module):
    r"""Weights of channels, then of places (CBAM; Woo et al., 2018).

    \[ y = x \,\sigma(M(\mathrm{mean}\, x) + M(\max x)), \qquad z = y \,\sigma(K * [\max_c y, \mathrm{mean}_c\, y]) \]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(1, channels // REDUCTION))
        self.excite = nn.Linear(max(1, channels // REDUCTION), channels)
        self.place = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        channels = self._channels(image.mean((2, 3))) + self._channels(image.amax((2, 3)))
        image = image * torch.sigmoid(channels)[:, :, None, None]
        both = torch.cat((image.amax(1, keepdim=True), image.mean(1, keepdim=True)), dim=1)
        return image * torch.sigmoid(self.place(both))

    def _channels(self, pooled: Tensor) -> Tensor:
        return self.excite(torch.relu(self.squeeze(pooled)))


@final
class Block(nn.Module):
    """Twice a 3x3 convolution and ReLU, and an attention where there is one."""

    def __init__(self, channels_in: int, channels_out: int, *, attention: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.attention = Attention(channels_out) if attention else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W)."""
        image = torch.relu(self.second(torch.relu(self.first(image))))
        return self.attention(image)


@final
class Decoder(nn.Module):
    """From the coarsest map to the amplitude or the phase of the patches.

    Args:
        widths: channels of the encoder's last map and of each block.
        channels_out: patches.
        border: channels that make the border of the patches.
        border_width: channels of the block that makes it.
        activation: of the central half.
    """

    def __init__(
        self,
        widths: Sequence[int],
        channels_out: int,
        border: int,
        border_width: int,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(*pair) for pair in pairwise(widths))
        self.centre = nn.Conv2d(widths[-1] - border, channels_out, 3, padding=1)
        self.border_block = Block(border, border_width)
        self.border = nn.Conv2d(border_width, channels_out, 3, padding=1)
        self.activation = activation

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, h, w) to (B, `channels_out`, H, W)."""
        for block in self.blocks:
            image = _doubled(block(image))
        split = self.centre.in_channels
        centre = self.activation(self.centre(image[:, :split]))
        border = functional.silu(self.border(_doubled(self.border_block(image[:, split:]))))
        rows, columns = centre.shape[-2] // 2, centre.shape[-1] // 2
        inside = functional.pad(torch.ones_like(centre), (columns, columns, rows, rows))
        return functional.pad(centre, (columns, columns, rows, rows)) + border * (1 - inside)


@final
class LegacyCNN(nn.Module):
    """(B, C, H, W) to (B, 2 C, H, W): amplitude and phase of the patch of each pattern in turn.

    Images are padded with zeros to what the encoder halves without a remainder, and cropped back.

    Raises:
        ConfigError: another output than `polar`, or `levels` below 2.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        config: GeneratorConfig,
        *,
        border: int,
        border_width: int,
        attention: bool,
    ) -> None:
        super().__init__()
        _check(channels_in, channels_out, border, config)
        widths = encoder_widths(config)
        self.encoder = nn.ModuleList(Block(*pair, attention=attention) for pair in pairwise([channels_in, *widths]))
        decoder = [widths[-1], *decoder_widths(config)]
        activation = ACTIVATIONS[config.amplitude_activation]
        self.amplitude = Decoder(decoder, channels_in, border, border_width, activation)
        self.phase = Decoder(decoder, channels_in, border, border_width, _phase)
        self.multiple = 2**config.levels

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 2 C, H, W)."""
        height, width = image.shape[-2:]
        image = functional.pad(image, (0, -width % self.multiple, 0, -height % self.multiple))
        for block in self.encoder:
            image = functional.max_pool2d(block(image), 2)
        both = torch.stack((self.amplitude(image), self.phase(image)), dim=2)
        return both.flatten(1, 2)[..., :height, :width]


def _check(channels_in: int, channels_out: int, border: int, config: GeneratorConfig) -> None:
    """Refuse settings that the layout has no place for."""
    name = config.architecture
    if channels_out != 2 * channels_in:
        raise ConfigError(
            f"model.generator.architecture={name} makes an amplitude and a phase of one image of each pattern; set "
            "model.generator.input=relative_amplitude and model.generator.output=polar"
        )
    if config.levels < 2 or config.width <= border:
        raise ConfigError(
            f"model.generator.architecture={name} needs levels of at least 2 and a width above {border}, got "
            f"{config.levels} and {config.width}; set width=32 and levels=3"
        )


def _phase(values: Tensor) -> Tensor:
    return math.pi * torch.tanh(values)


def _doubled(image: Tensor) -> Tensor:
    return functional.interpolate(image, scale_factor=2.0, mode="nearest")
