"""Checks of single values of the settings."""

from __future__ import annotations

from ptychopinn.errors import ConfigError

ARCHITECTURES = ("cnn", "ffno", "fno", "fno_vanilla", "hybrid", "neuralop_uno")
MODEL_TYPES = ("pinn", "supervised")
BACKENDS = ("pytorch", "tensorflow")


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


def positive(name: str, value: float) -> None:
    """Raise a `ConfigError` unless the value is above 0."""
    if not value > 0:
        raise ConfigError(f"{name} must be positive, got {value}")


def non_negative(name: str, value: float) -> None:
    """Raise a `ConfigError` unless the value is 0 or above."""
    if not value >= 0:
        raise ConfigError(f"{name} must be non-negative, got {value}")
