"""The four PyTorch dataclasses as plain values, as a checkpoint stores them, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar, cast

from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.errors import ConfigError

Config = TypeVar("Config")
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


def config_of(kind: type[Config], value: Any) -> Config:
    """An object of a dataclass from itself or from a mapping of its fields; lists become tuples where these are meant.

    >>> config_of(DataConfig, {"x_bounds": [0.0, 0.5]}).x_bounds
    (0.0, 0.5)

    Raises:
        TypeError: neither, or a mapping with an unknown name.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"{kind.__name__} or a mapping of its fields is needed, not a {type(value).__name__}")
    pairs = {item.name for item in fields(kind) if isinstance(item.default, tuple)}  # type: ignore[arg-type]
    return kind(**{name: tuple(entry) if name in pairs else entry for name, entry in value.items()})


def as_dicts(*four: Any) -> dict[str, dict[str, Any]]:
    """The four as plain JSON values by name; tuples become lists, and a `ConfigError` names a field that cannot."""
    return {name: _plain(config) for name, config in zip(KINDS, configs_from(*four), strict=True)}


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


def _plain(config: Any) -> dict[str, Any]:
    values = asdict(config)
    for name, value in values.items():
        try:
            values[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            raise ConfigError(
                f"{name} is a {type(value).__name__}, which cannot be saved; give numbers, text or lists"
            ) from None
    return values
