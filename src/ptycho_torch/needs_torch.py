"""Modules that need PyTorch, imported when they are used; without it the error names the pip line."""

from importlib import import_module
from types import ModuleType

from ptychopinn.errors import MissingExtraError

PIP_LINE = "pip install torch==2.13.0"


def import_with_torch(name: str) -> ModuleType:
    """A module that needs PyTorch; a `MissingExtraError`, which is an `ImportError`, where that is not installed."""
    try:
        import_module("torch")
    except ImportError as error:
        raise MissingExtraError(f"ptycho_torch needs PyTorch, which cannot be imported here; {PIP_LINE}") from error
    return import_module(name)
