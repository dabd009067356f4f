"""Names that clients of the earlier system import; loaded when they are first used."""

from importlib import import_module
from typing import Any

_HOME = {
    "CnnGenerator": "cnn",
    "FnoGenerator": "fno",
    "HybridGenerator": "fno",
    "SpatialLifter": "fno",
    "PtychoBlock": "fno",
    "CascadedFNOGenerator": "fno",
    "HybridUNOGenerator": "fno",
    "HAS_NEURALOPERATOR": "fno",
    "resolve_generator": "registry",
}


def __getattr__(name: str) -> Any:
    """Load a name from the module where it lives."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
