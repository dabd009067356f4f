"""The Fourier networks by their legacy names; layers and networks are those of `ptychopinn.generators`."""

from torch import Tensor, nn

from ptycho_torch.generators.registry import FnoGenerator as FnoGenerator
from ptycho_torch.generators.registry import HybridGenerator as HybridGenerator
from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import resolve
from ptychopinn.generators.fourier import PtychoBlock as PtychoBlock
from ptychopinn.generators.fourier import SpatialLifter as SpatialLifter
from ptychopinn.generators.library import HAS_NEURALOPERATOR as HAS_NEURALOPERATOR


class _FourierNetwork(nn.Module):
    """(B, in_channels, H, W) to (B, out_channels, H, W), an architecture of the core with the legacy defaults.

    `hidden_channels` holds at full resolution; `modes` is the highest spectral frequency, cycles per image.
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
