"""Names that legacy clients import; loaded when they are first used."""

from importlib import import_module
from typing import Any

_NETWORKS = ("FnoGenerator", "HybridGenerator", "CascadedFNOGenerator", "HybridUNOGenerator")
_LAYERS = ("SpatialLifter", "PtychoBlock", "HAS_NEURALOPERATOR")
_HOMES = {"CnnGenerator": "cnn", "resolve_generator": "registry", **dict.fromkeys((*_NETWORKS, *_LAYERS), "fno")}


def __getattr__(name: str) -> Any:
    """Load a name from the module where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
