"""A generator: input, network and output put together by a recipe."""

import torch
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.base import GroupView
from ptychopinn.generators.inputs import INPUTS
from ptychopinn.generators.registry import resolve


class Generator(nn.Module):
    r"""From groups of patterns to complex patches, \(O = 1 + f(x)_0 + i f(x)_1\).

    The network's last layer starts at zero, hence the object at 1: without that 1 the exit wave, and with it
    every gradient, would be exactly zero.

    Args:
        config: input, architecture and grouping.
        group_size: G; only the `stacked` grouping depends on it.
        precision: type of the network's arithmetic; the physics around it stays float32.
    """

    input_mean: Tensor
    input_deviation: Tensor

    def __init__(self, config: GeneratorConfig, group_size: int, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.present, channels = INPUTS[config.input]
        self.stack = group_size if config.grouping == "stacked" else 1
        self.network = resolve(config.architecture)(self.stack * channels, self.stack * 2, config)
        self.precision = precision
        self.register_buffer("input_mean", torch.zeros(()))
        self.register_buffer("input_deviation", torch.ones(()))

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Freeze the statistics that the input is normalised by."""
        self.input_mean.fill_(mean)
        self.input_deviation.fill_(deviation)

    def forward(self, view: GroupView) -> Tensor:
        """Patches (B, G, H, W), complex, on the whole-pixel grid of the positions."""
        return self.patches_from(self.network_input(view))

    def network_input(self, view: GroupView) -> Tensor:
        """(B, G, C, H, W), normalised."""
        return (self.present(view) - self.input_mean) / self.input_deviation

    def patches_from(self, image: Tensor) -> Tensor:
        """Run the network on normalised inputs (B, G, C, H, W); patches (B, G, H, W)."""
        batch, group, channels, height, width = image.shape
        stacked = image.reshape(batch * group // self.stack, self.stack * channels, height, width)
        stacked = stacked.contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.network(stacked)
        output = output.float().reshape(batch, group, 2, height, width)
        return torch.complex(1 + output[..., 0, :, :], output[..., 1, :, :])
