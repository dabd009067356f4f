"""From a training configuration to its generator; `ptychopinn.generators.registry` holds the only dictionary."""

from ptycho.config.config import TrainingConfig
from ptycho_torch.generators.base import RegisteredGenerator
from ptycho_torch.generators.cnn import CnnGenerator
from ptycho_torch.generators.fno import FnoGenerator, HybridGenerator
from ptychopinn.generators.registry import resolve


def resolve_generator(config: TrainingConfig) -> RegisteredGenerator:
    """The generator of `config.model.architecture`; a `ConfigError` lists those of the core where it is none."""
    resolve(config.model.architecture)
    named = {kind.name: kind for kind in (CnnGenerator, FnoGenerator, HybridGenerator)}
    return named.get(config.model.architecture, RegisteredGenerator)(config)
