"""The Fourier networks by their legacy names; layers and networks are those of `ptychopinn.generators`."""

from torch import Tensor, nn

from ptycho_torch.generators.base import RegisteredGenerator
from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import resolve
from ptychopinn.generators.fourier import PtychoBlock as PtychoBlock
from ptychopinn.generators.fourier import SpatialLifter as SpatialLifter
from ptychopinn.generators.library import HAS_NEURALOPERATOR as HAS_NEURALOPERATOR


class FnoGenerator(RegisteredGenerator):
    """The architecture `fno` of the core."""

    name = "fno"


class HybridGenerator(RegisteredGenerator):
    """The architecture `hybrid` of the core."""

    name = "hybrid"


class _FourierNetwork(nn.Module):
    """(B, C, H, W) to (B, C', H, W), an architecture of the core with the legacy defaults.

    Args:
        in_channels: C.
        out_channels: C'.
        hidden_channels: channels at full resolution.
        n_blocks: PtychoBlocks in a row.
        modes: highest frequency of the spectral convolutions, cycles per image.
    """

    architecture: str

    def __init__(
        self, in_channels: int = 1, out_channels: int = 2, hidden_channels: int = 32, n_blocks: int = 4, modes: int = 12
    ) -> None:
        super().__init__()
        config = GeneratorConfig(
            architecture=self.architecture, width=hidden_channels, blocks=n_blocks, spectral_modes=modes, levels=2
        )
        self.network = resolve(self.architecture)(in_channels, out_channels, config)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H, W); zero before any training."""
        return self.network(image)


class CascadedFNOGenerator(_FourierNetwork):
    """`fno`: spatial lifter, PtychoBlocks, convolutional refiner."""

    architecture = "fno"


class HybridUNOGenerator(_FourierNetwork):
    """`hybrid`: spectral encoder, convolutional decoder with skip connections."""

    architecture = "hybrid"
