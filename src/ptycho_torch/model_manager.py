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

    `trained` is the same model in the layout of the TensorFlow contract.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained

    network = property(lambda self: self.trained.network, doc="The trained module of the core.")
    recipe = property(lambda self: self.trained.recipe, doc="What it was trained with, complete.")

    def predict(self, inputs: Sequence[Any], batch_size: int | None = None) -> Tensor:
        """Object patches, complex64 on the CPU, in the layout of the patterns, with the model's own probe.

        Args:
            inputs: `X * intensity_scale`, sqrt(photons), and the local offsets; tensors or arrays, (B, H, W, C) and
                (B, 1, 2, C) as in the containers, or (B, C, H, W) and (B, C, 1, 2) as in batches.
            batch_size: patterns predicted at once; the recipe's by default.

        Raises:
            ValueError: another pattern size than in training, or shapes that do not fit.
        """
        torch = import_with_torch("torch")
        images, offsets = (torch.as_tensor(value).detach().cpu().numpy() for value in inputs)
        return torch.from_numpy(np.ascontiguousarray(self.trained.predict([images, offsets], batch_size)))

    def __call__(self, *inputs: Any) -> Tensor:
        """The same as `predict`, of a pair or of two arguments."""
        return self.predict(inputs[0] if len(inputs) == 1 else inputs)

    def __getitem__(self, name: str) -> TorchModel:
        """The model itself under its names, for callers that expect a dictionary of models."""
        if name not in self.keys():
            raise KeyError(f"no model {name!r}; the names are {', '.join(self.keys())}")
        return self

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def keys(self) -> tuple[str, ...]:
        """Names of the model."""
        names: tuple[str, ...] = import_with_torch("ptychopinn.bundle.store").MODELS
        return names

    def eval(self) -> TorchModel:
        """The model itself: a trained network always predicts."""
        self.trained.eval()
        return self

    def to(self, device: Any) -> TorchModel:
        """The model itself; it predicts on the device of its recipe."""
        self.trained.to(device)
        return self

    state_dict = property(lambda self: self.trained.state_dict, doc="Gives the weights by name.")
    parameters = property(lambda self: self.trained.parameters, doc="Gives the trained weights.")
    summary = property(lambda self: self.trained.summary, doc="Prints architecture and weights.")


def save_torch_bundle(
    models_dict: Mapping[str, Any], base_path: str | Path, config: TrainingConfig, intensity_scale: float | None = None
) -> Path:
    """Write a trained model by `ptycho.model_manager.ModelManager.save_multiple_models`, and return the path.

    Args:
        models_dict: name -> model of a workflow or of `load_torch_bundle`, or a trained `PtychoPINN_Lightning`.
        base_path: such as `outputs/wts.h5`, or a folder, which gets `wts.h5.zip`.
        config: is copied into `ptycho.params.cfg`, which travels with the model.
        intensity_scale: of the saved dictionary; by default that of `ptycho.params.cfg`.

    Raises:
        BundleError: no model, or models with different networks.
        TypeError: something that is no trained model.
        OutputError: the file cannot be written.
    """
    manager = import_with_torch("ptycho.model_manager")
    trained = {name: _trained(model) for name, model in models_dict.items()}
    update_legacy_dict(params.cfg, for_pytorch(config))
    path: Path = manager.ModelManager.save_multiple_models(trained, base_path, None, intensity_scale)
    return path


def load_torch_bundle(
    base_path: str | Path, model_name: str | None = None
) -> tuple[dict[str, TorchModel], dict[str, Any]]:
    """The model of `base_path` + ".zip" under each of its names, and a copy of `ptycho.params.cfg`.

    What was saved with the model replaces the same entries there; `model_name` asks for one name only.

    Raises:
        FileNotFoundError: no such file.
        BundleError: it is no bundle, or holds no model of that name.
    """
    manager = import_with_torch("ptycho.model_manager")
    with only_pytorch():
        models = manager.ModelManager.load_multiple_models(base_path, None if model_name is None else [model_name])
    return {name: TorchModel(model) for name, model in models.items()}, dict(params.cfg)


def create_torch_model_with_gridsize(gridsize: int, N: int, params_dict: Mapping[str, Any] | None = None) -> Any:
    """A `PtychoPINN_Lightning` with initial weights, for groups of gridsize^2 patterns of N px.

    `params_dict` holds entries of the legacy dictionary that name fields of `ptycho.config.config.ModelConfig`.
    """
    from ptycho.config.config import KEY_MAPPINGS, ModelConfig, TrainingConfig
    from ptycho_torch.config_factory import torch_configs

    registry = import_with_torch("ptycho_torch.generators.registry")
    fields = {KEY_MAPPINGS.get(name, name): name for name in ModelConfig.__dataclass_fields__}
    known = {fields[key]: value for key, value in (params_dict or {}).items() if key in fields}
    config = TrainingConfig(model=ModelConfig(**{**known, "gridsize": gridsize, "N": N}))
    return registry.resolve_generator(config).build_model(torch_configs(config))


def for_pytorch(config: TrainingConfig) -> TrainingConfig:
    """A copy of a config with PyTorch as its backend, whatever it says: there is no other here."""
    config = copy(config)
    config.backend = "pytorch"
    return config


def _trained(model: Any) -> TrainedModel:
    """A model of any of these classes in the layout of the TensorFlow contract."""
    from ptycho.model import TrainedModel
    from ptycho_torch.model import PtychoPINN_Lightning

    if isinstance(model, TorchModel):
        return model.trained
    if isinstance(model, PtychoPINN_Lightning):
        return TrainedModel(model.as_trained())
    if not isinstance(model, TrainedModel):
        raise TypeError(f"a {type(model).__name__} is no trained model; give one that a workflow or a bundle returned")
    return model
