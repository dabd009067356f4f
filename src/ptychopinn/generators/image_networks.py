"""Networks from images to images: the Fourier architectures by their own numbers, without a recipe."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators import fourier
from ptychopinn.generators.outputs import OUTPUTS
from ptychopinn.generators.registry import resolve

_TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda image: image,
    "sqrt": lambda image: image.clamp_min(0).sqrt(),
    "log1p": lambda image: image.clamp_min(0).log1p(),
    "instancenorm": functional.instance_norm,
}
_MODES = {"real_imag": "real_imaginary", "amp_phase": "amplitude_phase", "amp_phase_logits": ""}


def _known(name: str, value: str, choices: object) -> str:
    if value not in choices:  # type: ignore[operator]
        raise ConfigError(f"{name} is {value!r}; must be one of {', '.join(choices)}")  # type: ignore[arg-type]
    return value


class SpatialLifter(nn.Module):
    """(B, in_channels, H, W) to (B, out_channels, H, W): two 3x3 convolutions, a GELU after each.

    `hidden_channels` lie between them; `input_transform` (none, sqrt, log1p, instancenorm) comes first.
    """

    def __init__(
        self, in_channels: int, out_channels: int, hidden_channels: int | None = None, input_transform: str = "none"
    ) -> None:
        super().__init__()
        self.transform = _TRANSFORMS[_known("input_transform", input_transform, _TRANSFORMS)]
        self.layers = fourier.SpatialLifter(in_channels, out_channels, hidden_channels)

    def forward(self, x: Tensor) -> Tensor:
        """The lifted image."""
        return self.layers(self.transform(x))


class _FourierNetwork(nn.Module):
    """(B, C in_channels, H, W) to (B, H, W, C, out_channels), an architecture of the core with the legacy defaults.

    The last axis is real and imaginary part (`real_imag`), amplitude and phase (`amp_phase`), or what the network gives
    (`amp_phase_logits`). `hidden_channels` holds at full resolution; `fno_blocks` PtychoBlocks and `cnn_blocks`
    convolutions of the refiner follow; `modes` is the highest spectral frequency, cycles per image.
    """

    architecture: str

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        hidden_channels: int = 32,
        fno_blocks: int = 4,
        cnn_blocks: int = 2,
        modes: int = 12,
        C: int = 4,
        input_transform: str = "none",
        output_mode: str = "real_imag",
    ) -> None:
        super().__init__()
        self.transform = _TRANSFORMS[_known("input_transform", input_transform, _TRANSFORMS)]
        self.output = _MODES[_known("output_mode", output_mode, _MODES)]
        self.shape = C, out_channels
        config = GeneratorConfig(
            architecture=self.architecture,
            width=hidden_channels,
            blocks=fno_blocks,
            refiner_blocks=max(1, (cnn_blocks + 1) // 2),
            spectral_modes=modes,
            levels=2,
        )
        self.network = resolve(self.architecture)(C * in_channels, C * out_channels, config)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C in_channels, H, W) to (B, H, W, C, out_channels); an object of 1 before any training."""
        values = self.network(self.transform(x))
        values = values.reshape(len(values), *self.shape, *values.shape[-2:])
        if self.output:
            patches = OUTPUTS[self.output].patches(values)
            as_planes = self.output == "real_imaginary"
            first, second = (patches.real, patches.imag) if as_planes else (patches.abs(), patches.angle())
            values = torch.stack((first, second), dim=2)
        return values.permute(0, 3, 4, 1, 2)


class CascadedFNOGenerator(_FourierNetwork):
    """`fno`: spatial lifter, PtychoBlocks, convolutional refiner."""

    architecture = "fno"


class HybridUNOGenerator(_FourierNetwork):
    """`hybrid`: spectral encoder, convolutional decoder with skip connections."""

    architecture = "hybrid"
