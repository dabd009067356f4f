"""Saving and loading trained models of the PyTorch workflows; the file is the bundle of the core."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptycho import params
from ptycho.backend import only_pytorch
from ptycho.config.config import update_legacy_dict
from ptychopinn.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from torch import Tensor

    from ptycho.config.config import TrainingConfig
    from ptycho.model import TrainedModel


PIP_LINE = "pip install torch==2.13.0"


def import_with_torch(name: str) -> ModuleType:
    """A module that needs PyTorch; a `MissingExtraError`, which is an `ImportError`, where that is not installed."""
    try:
        import_module("torch")
    except ImportError as error:
        raise MissingExtraError(f"ptycho_torch needs PyTorch, which cannot be imported here; {PIP_LINE}") from error
    return import_module(name)


class TorchModel:
    """`ptycho.model.TrainedModel` with tensors in the layout of the PyTorch workflows.

    Args:
        trained: the same model in the layout of the TensorFlow contract.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained

    network = property(lambda self: self.trained.network, doc="The trained module of the core.")
    recipe = property(lambda self: self.trained.recipe, doc="What it was trained with, complete.")

    def predict(self, inputs: Sequence[Any], batch_size: int | None = None) -> Tensor:
        """Object patches (B, C, H, W), complex64 on the CPU, of groups of patterns, with the model's own probe.

        Args:
            inputs: `X * intensity_scale` (B, C, H, W), sqrt(photons), and the local offsets (B, C, 1, 2); tensors or
                arrays.
            batch_size: patterns predicted at once; the recipe's by default.

        A `ValueError` for another pattern size than in training, or shapes that do not fit.

        Returns:
            (B, C, H, W) complex64, on the CPU.

        Raises:
            ValueError: another pattern size than in training, or shapes that do not fit.
        """
        torch = import_with_torch("torch")
        images, offsets = (torch.as_tensor(value).detach().cpu().numpy() for value in inputs)
        if images.ndim != 4 or offsets.shape != (*images.shape[:2], 1, 2):
            raise ValueError(
                f"inputs must have shapes (B, C, H, W) and (B, C, 1, 2), got {images.shape} and {offsets.shape}"
            )
        patches = self.trained.predict([np.moveaxis(images, 1, -1), offsets.transpose(0, 2, 3, 1)], batch_size)
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(patches), -1, 1)))


def save_torch_bundle(models: Mapping[str, Any], base_path: str | Path, config: TrainingConfig) -> Path:
    """Write a trained model by `ptycho.model_manager.ModelManager.save_multiple_models`, and return the path.

    Args:
        models: name -> the model, as the workflows, `load_torch_bundle` or a trained `PtychoPINN_Lightning` give it;
            a `TypeError` for anything else.
        base_path: such as `outputs/wts.h5`, or a folder, which gets `wts.h5.zip`.
        config: is copied into `ptycho.params.cfg`, which travels with the model.

    Returns:
        The file.

    Raises:
        BundleError: no model, or models with different networks.
        TypeError: something that is no trained model.
        OutputError: the file cannot be written.
    """
    manager = import_with_torch("ptycho.model_manager")
    trained = {name: _trained(model) for name, model in models.items()}
    update_legacy_dict(params.cfg, for_pytorch(config))
    path: Path = manager.ModelManager.save_multiple_models(trained, base_path)
    return path


def load_torch_bundle(base_path: str | Path) -> tuple[dict[str, TorchModel], dict[str, Any]]:
    """The model of `base_path` + ".zip" under each of its names, and a copy of `ptycho.params.cfg`.

    What was saved with the model replaces the same entries there. A `FileNotFoundError` for no such file, a
    `BundleError` for one that is no bundle of this system.

    Args:
        base_path: as for `save_torch_bundle`.

    Returns:
        The model under each of its names, and a copy of the restored dictionary.

    Raises:
        FileNotFoundError: no such file.
        BundleError: it is no bundle.
    """
    manager = import_with_torch("ptycho.model_manager")
    with only_pytorch():
        models = manager.ModelManager.load_multiple_models(base_path)
    return {name: TorchModel(model) for name, model in models.items()}, dict(params.cfg)


def for_pytorch(config: TrainingConfig) -> TrainingConfig:
    """A copy of a config with PyTorch as its backend, whatever it says: there is no other here."""
    config = copy(config)
    config.backend = "pytorch"
    return config


def _trained(model: Any) -> TrainedModel:
    """A model of any of these classes in the layout of the TensorFlow contract."""
    from ptycho.model import TrainedModel
    from ptycho_torch.api.model import trained_model
    from ptycho_torch.model import PtychoPINN_Lightning

    if isinstance(model, TorchModel):
        return model.trained
    if isinstance(model, PtychoPINN_Lightning):
        return TrainedModel(trained_model(model))
    if not isinstance(model, TrainedModel):
        raise TypeError(f"a {type(model).__name__} is no trained model; give one that a workflow or a bundle returned")
    return model
