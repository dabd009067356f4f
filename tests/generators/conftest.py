"""Views of made-up patterns, and generators whose last layer is not zero any more."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import GroupView, SinglePass
from ptychopinn.physics import DiffractionModel, shifted_probes


def random_wave(*shape: int, seed: int) -> Tensor:
    """Complex normal numbers."""
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def beam(modes: int, size: int) -> Tensor:
    """(M, H, W): Gaussian spots of falling power that a tilt and a random wave make asymmetric."""
    y, x = torch.meshgrid(*(torch.arange(size) - size // 2 for _ in range(2)), indexing="ij")
    spot = torch.exp(-(y**2 + x**2) / (2 * (size / 6) ** 2) + 0.3j * x - 0.1j * y)
    return spot * (5 + random_wave(modes, size, size, seed=9)) / torch.arange(1, modes + 1).view(-1, 1, 1)


@pytest.fixture
def make_view() -> Callable[..., GroupView]:
    """B groups of G random patterns under a probe of M modes, moved by fractions of a pixel."""

    def build(batch: int = 2, group: int = 4, modes: int = 1, size: int = 16, seed: int = 0) -> GroupView:
        random = torch.Generator().manual_seed(seed)
        amplitude = 3 * torch.rand(batch, group, size, size, generator=random)
        remainder = torch.rand(batch, group, 2, generator=random) - 0.5
        probes, detector_probes = shifted_probes(beam(modes, size), remainder)
        positions = torch.full((batch, group, 2), size // 2 + 1)
        canvas = (size + 2, size + 2)
        physics = DiffractionModel()
        return GroupView(amplitude, None, probes, detector_probes, remainder, positions, canvas, physics)

    return build


@pytest.fixture
def make_generator() -> Callable[..., SinglePass]:
    """A generator whose last layer has random weights, as after some training."""

    def build(group_size: int = 4, precision: torch.dtype = torch.float32, **settings: object) -> SinglePass:
        torch.manual_seed(4)
        config = GeneratorConfig(**{"width": 4, "levels": 2, **settings})
        generator = SinglePass(config, group_size, precision)
        nn.init.normal_(generator.network.head.weight, std=0.1)
        return generator

    return build
