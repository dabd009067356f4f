"""The high-level API, whose use docs/specs/ptychodus_interface.md shows."""

from importlib import import_module
from typing import Any

from ptycho_torch.api.config_manager import ConfigManager as ConfigManager
from ptycho_torch.api.data_loader import DataloaderFormats as DataloaderFormats
from ptycho_torch.api.data_loader import DataLoaderProtocol as DataLoaderProtocol
from ptycho_torch.api.data_loader import PtychoDataLoader as PtychoDataLoader
from ptycho_torch.api.inference import InferenceEngine as InferenceEngine
from ptycho_torch.api.model import PtychoModel as PtychoModel
from ptycho_torch.api.strategies import Orchestration as Orchestration
from ptycho_torch.api.strategies import TrainStrategy as TrainStrategy
from ptycho_torch.api.trainer import Trainer as Trainer


def __getattr__(name: str) -> Any:
    """`Datagen`, which needs PyTorch, when it is first used."""
    if name != "Datagen":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("ptycho_torch.datagen").Datagen
