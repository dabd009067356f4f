"""The high-level API: configurations, data, model, training, reconstruction.

A client trains with

    manager = ConfigManager(data_config=..., model_config=..., training_config=..., inference_config=...)
    loader = PtychoDataLoader(data_dir=..., config_manager=manager, output_dir=...)
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=manager)
    Trainer._from_lightning(model=model, dataloader=loader, config_manager=manager).train()

and reconstructs with

    model = PtychoModel.load(checkpoint)
    manager = ConfigManager.from_loaded_model(model)
    loader = PtychoDataLoader.from_np(diff_patterns=..., probe=..., positions=..., config_manager=manager)
    image = InferenceEngine(config_manager=manager, ptycho_model=model).predict_and_stitch(loader)
"""

from importlib import import_module
from typing import Any

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import DataloaderFormats, DataLoaderProtocol, PtychoDataLoader
from ptycho_torch.api.inference import InferenceEngine
from ptycho_torch.api.model import PtychoModel
from ptycho_torch.api.strategies import Orchestration, TrainStrategy
from ptycho_torch.api.trainer import Trainer

__all__ = [
    "ConfigManager",
    "DataLoaderProtocol",
    "DataloaderFormats",
    "InferenceEngine",
    "Orchestration",
    "PtychoDataLoader",
    "PtychoModel",
    "TrainStrategy",
    "Trainer",
]


def __getattr__(name: str) -> Any:
    """`Datagen`, which needs PyTorch, when it is first used."""
    if name != "Datagen":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("ptycho_torch.datagen").Datagen
