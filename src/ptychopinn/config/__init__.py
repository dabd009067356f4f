"""The recipe and its sections: validated, frozen values that import neither torch nor numpy."""

from ptychopinn.config.base import Section
from ptychopinn.config.data import DataConfig
from ptychopinn.config.model import GeneratorConfig, LossConfig, MergeConfig, ModelConfig, ProbeConfig
from ptychopinn.config.recipe import FittedStatistics, Recipe
from ptychopinn.config.reconstruction import ReconstructionConfig
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.config.training import TrainingConfig

__all__ = [
    "DataConfig",
    "FittedStatistics",
    "GeneratorConfig",
    "LossConfig",
    "MergeConfig",
    "ModelConfig",
    "ProbeConfig",
    "Recipe",
    "ReconstructionConfig",
    "Section",
    "SimulationConfig",
    "TrainingConfig",
]
