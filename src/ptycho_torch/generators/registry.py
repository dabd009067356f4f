"""From a training configuration to its generator; `ptychopinn.generators.registry` holds the only dictionary."""

from ptycho.config.config import TrainingConfig
from ptycho_torch.generators.base import RegisteredGenerator
from ptycho_torch.generators.cnn import CnnGenerator


def resolve_generator(config: TrainingConfig) -> RegisteredGenerator:
    """The generator of `config.model.architecture`.

    Raises:
        ConfigError: the core has no such architecture; those that it has are listed.
    """
    from ptycho_torch.generators.fno import FnoGenerator, HybridGenerator
    from ptychopinn.generators.registry import resolve

    resolve(config.model.architecture)
    named = {kind.name: kind for kind in (CnnGenerator, FnoGenerator, HybridGenerator)}
    return named.get(config.model.architecture, RegisteredGenerator)(config)
