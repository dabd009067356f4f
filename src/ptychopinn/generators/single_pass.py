"""A generator that sees each pattern once: input, network and output put together by a recipe."""

from typing import final

import torch
from torch import Tensor

from ptychopinn.config import GeneratorConfig
from ptychopinn.config.training import CompileMode
from ptychopinn.generators.base import Generator, GroupView
from ptychopinn.generators.compiled import compile_network
from ptychopinn.generators.registry import build_network, resolve_part


@final
class SinglePass(Generator):
    """From groups of patterns to complex patches by one network.

    The network's last layer starts at zero, and every output makes an object of 1 of that: at 0 the exit wave, and
    with it every gradient, would be exactly zero.

    Args:
        config: input, architecture or parts, output and grouping.
        group_size: G; only the `stacked` grouping depends on it.
        precision: type of the network's arithmetic; the physics around it stays float32.
    """

    def __init__(self, config: GeneratorConfig, group_size: int, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.present, channels = resolve_part("input", config.input)
        self.read, self.channels_out = resolve_part("output", config.output)
        self.stack = group_size if config.grouping == "stacked" else 1
        self.network = build_network(self.stack * channels, self.stack * self.channels_out, config)
        self.precision = precision

    @property
    def scene_solver(self) -> None:
        """None: patches are merged afterwards."""
        return None

    def compile_networks(self, mode: CompileMode = "default") -> None:
        """Compile the network."""
        compile_network(self.network, mode)

    def forward(self, view: GroupView) -> Tensor:
        """Patches (B, G, H, W), complex, on the whole-pixel grid of the positions."""
        return self.patches_from(self.network_input(view))

    def stage_patches(self, view: GroupView) -> list[Tensor]:
        """The patches alone."""
        return [self(view)]

    def network_input(self, view: GroupView) -> Tensor:
        """(B, G, C, H, W), normalised."""
        return self.normalised(self.present(view))

    def patches_from(self, image: Tensor) -> Tensor:
        """Run the network on normalised inputs (B, G, C, H, W); patches (B, G, H, W)."""
        batch, group, channels, height, width = image.shape
        stacked = image.reshape(batch * group // self.stack, self.stack * channels, height, width)
        stacked = stacked.contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, self.precision, enabled=self.precision != torch.float32):
            output = self.network(stacked)
        return self.read(output.float().reshape(batch, group, self.channels_out, height, width))
