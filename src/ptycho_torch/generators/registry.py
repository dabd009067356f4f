"""The architectures of the core's registry, as legacy scripts ask for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ptycho.config.config import TrainingConfig
from ptycho_torch.model import PtychoPINN_Lightning
from ptycho_torch.plain_configs import KINDS
from ptychopinn.generators.registry import resolve


class RegisteredGenerator:
    """Builds the trainable module of the architecture that a training configuration names."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """Name in the registry of the core."""
        return self.config.model.architecture

    def build_model(self, pt_configs: Mapping[str, Any]) -> PtychoPINN_Lightning:
        """A module with initial weights, for patterns of `data_config.N` px; the beam is even until it is set.

        `Trainer().fit(module, loader)` trains it on batches of `ptycho_torch.dataloader`. `pt_configs` holds
        `data_config`, `model_config`, `training_config`, `inference_config`; the architecture is this one.
        """
        configs = {name: pt_configs[name] for name in KINDS}
        configs["model_config"] = replace(configs["model_config"], architecture=self.name)
        module = PtychoPINN_Lightning(**configs)
        module.configure_model()
        return module


NAMED = {
    name: type(f"{name.title()}Generator", (RegisteredGenerator,), {"name": name, "__doc__": f"The network `{name}`."})
    for name in ("cnn", "fno", "hybrid")
}
CnnGenerator, FnoGenerator, HybridGenerator = NAMED.values()


def resolve_generator(config: TrainingConfig) -> RegisteredGenerator:
    """The generator of `config.model.architecture`.

    Raises:
        ConfigError: the core has no such architecture; those that it has are listed.
    """
    resolve(config.model.architecture)
    return NAMED.get(config.model.architecture, RegisteredGenerator)(config)
