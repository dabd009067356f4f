"""The four PyTorch dataclasses as plain values, as a checkpoint stores them, and back."""

from collections.abc import Mapping
from typing import Any, cast

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.api.client_settings import config_of, plain_of
from ptychopinn.errors import ConfigError

Four = tuple[DataConfig, ModelConfig, TrainingConfig, InferenceConfig]

KINDS = {
    "data_config": DataConfig,
    "model_config": ModelConfig,
    "training_config": TrainingConfig,
    "inference_config": InferenceConfig,
}
"""The four by name, in the order in which every function takes them."""


def configs_from(*four: Any) -> Four:
    """The four as objects; each may be an object of its class, or a mapping of its fields; see `config_of`."""
    return cast(Four, tuple(config_of(kind, value) for kind, value in zip(KINDS.values(), four, strict=True)))


def as_dicts(*four: Any) -> dict[str, dict[str, Any]]:
    """The four as plain JSON values by name; tuples become lists, and a `ConfigError` names a field that cannot."""
    return {name: plain_of(config) for name, config in zip(KINDS, configs_from(*four), strict=True)}


def from_dicts(plain: Mapping[str, Mapping[str, Any]]) -> Four:
    """Undo `as_dicts`.

    Raises:
        ConfigError: one of the four is missing.
        TypeError: an unknown name.
    """
    missing = [name for name in KINDS if name not in plain]
    if missing:
        raise ConfigError(f"the saved settings lack {', '.join(missing)}; the file is damaged or of another kind")
    return configs_from(*(plain[name] for name in KINDS))
