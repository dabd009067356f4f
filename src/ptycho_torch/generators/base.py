"""An architecture of the core's registry, as scripts of the earlier system ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from ptycho.config.config import TrainingConfig


class RegisteredGenerator:
    """Builds the trainable module of the architecture that a training configuration names."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config

    @property
    def name(self) -> str:
        """Name in the registry of the core."""
        return self.config.model.architecture

    def build_model(self, pt_configs: Mapping[str, Any]) -> nn.Module:
        """The Lightning module of this architecture.

        Args:
            pt_configs: `data_config`, `model_config`, `training_config`, `inference_config` of
                `ptycho_torch.config_params`; the architecture is this one, whatever `model_config` says.

        Raises:
            KeyError: one of the four is missing.
            ConfigError: a setting breaks a rule.
        """
        from dataclasses import replace

        from ptycho_torch.model import PtychoPINN_Lightning

        names = ("data_config", "model_config", "training_config", "inference_config")
        configs = {name: pt_configs[name] for name in names}
        configs["model_config"] = replace(configs["model_config"], architecture=self.name)
        return PtychoPINN_Lightning(**configs)
