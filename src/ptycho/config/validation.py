"""Rules for the values of the settings; imports nothing but types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig

ARCHITECTURES = ("cnn", "ffno", "fno", "fno_vanilla", "hybrid", "neuralop_uno")
MODEL_TYPES = ("pinn", "supervised")
BACKENDS = ("pytorch", "tensorflow")


def validate_model_config(config: ModelConfig) -> None:
    """Check a model's settings; any pattern size and `probe_scale=0` pass.

    Raises:
        ConfigError: a value breaks a rule.
    """
    _positive("gridsize", config.gridsize)
    _positive("n_filters_scale", config.n_filters_scale)
    _non_negative("probe_scale", config.probe_scale)
    _non_negative("gaussian_smoothing_sigma", config.gaussian_smoothing_sigma)
    one_of("architecture", config.architecture, ARCHITECTURES)
    one_of("model_type", config.model_type, MODEL_TYPES)


def validate_training_config(config: TrainingConfig) -> None:
    """Check a training run's settings and its model's; any batch size from 1 passes.

    Raises:
        ConfigError: a value breaks a rule.
    """
    validate_model_config(config.model)
    _positive("batch_size", config.batch_size)
    _positive("nepochs", config.nepochs)
    for name in ("mae_weight", "nll_weight", "realspace_mae_weight", "realspace_weight"):
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} must be in [0,1], got {value}")
    _positive("nphotons", config.nphotons)
    one_of("backend", config.backend, BACKENDS)


def validate_inference_config(config: InferenceConfig) -> None:
    """Check a reconstruction's settings and its model's.

    Raises:
        ConfigError: a value breaks a rule.
    """
    validate_model_config(config.model)
    one_of("backend", config.backend, BACKENDS)


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """The allowed spelling of a text, whatever its case.

    >>> one_of("scheduler", "exponential", ("Default", "Exponential"))
    'Exponential'

    Raises:
        ConfigError: not one of them.
    """
    spelling = {item.casefold(): item for item in allowed}
    found = spelling.get(str(value).casefold())
    if found is None:
        raise ConfigError(f"Invalid {name} {value!r}. Expected one of {list(allowed)}.")
    return found


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} must be positive, got {value}")


def _non_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ConfigError(f"{name} must be non-negative, got {value}")
