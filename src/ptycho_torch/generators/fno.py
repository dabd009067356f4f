"""The Fourier networks by their legacy names; layers and networks are those of `ptychopinn.generators`."""

from ptycho_torch.generators.registry import FnoGenerator as FnoGenerator
from ptycho_torch.generators.registry import HybridGenerator as HybridGenerator
from ptychopinn.generators.fourier import PtychoBlock as PtychoBlock
from ptychopinn.generators.image_networks import CascadedFNOGenerator as CascadedFNOGenerator
from ptychopinn.generators.image_networks import HybridUNOGenerator as HybridUNOGenerator
from ptychopinn.generators.image_networks import SpatialLifter as SpatialLifter
from ptychopinn.generators.library import HAS_NEURALOPERATOR as HAS_NEURALOPERATOR
