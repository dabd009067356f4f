"""The recipe and its sections: validated, frozen values that import neither torch nor numpy."""

from ptychopinn.config.base import Section
from ptychopinn.config.data import DataConfig
from ptychopinn.config.model import GeneratorConfig, LossConfig, MergeConfig, ModelConfig, PositionsConfig, ProbeConfig
from ptychopinn.config.recipe import FittedStatistics, Recipe, recipe_names
from ptychopinn.config.reconstruction import ReconstructionConfig
from ptychopinn.config.refine import RefineConfig
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.config.stages import FineTuneConfig, StagesConfig
from ptychopinn.config.training import TrainingConfig

__all__ = [
    "DataConfig",
    "FineTuneConfig",
    "FittedStatistics",
    "GeneratorConfig",
    "LossConfig",
    "MergeConfig",
    "ModelConfig",
    "PositionsConfig",
    "ProbeConfig",
    "Recipe",
    "ReconstructionConfig",
    "RefineConfig",
    "Section",
    "SimulationConfig",
    "StagesConfig",
    "TrainingConfig",
    "recipe_names",
]
