"""Trained models to and from bundles."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptychopinn.api.backends import run_by
from ptychopinn.bundle import Bundle, load_bundle, load_state_strictly, save_bundle
from ptychopinn.bundle.fits import check_fits, empty_model
from ptychopinn.bundle.layouts import obstacle
from ptychopinn.config import Recipe
from ptychopinn.config.backend import loading_backend
from ptychopinn.errors import BundleError
from ptychopinn.models import PatchModel, TrainedModel

logger = logging.getLogger("ptychopinn")

BUNDLE_NAME = "wts.h5.zip"
UNSEEN = "bad_pixels"
"""Entry of the bundle's dictionary: (H, W), True where training had no measurement."""


def save_model(path: Path, trained: TrainedModel, params: Mapping[str, Any] | None = None) -> Path:
    """Write a trained model as a bundle; `params` is a client's own dictionary that travels with it."""
    network = trained.network
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    probe = network.probe.detach().cpu().numpy()
    unseen = {} if trained.unseen is None else {UNSEEN: trained.unseen}
    return save_bundle(path, recipe=trained.recipe, state=state, probe=probe, params={**(params or {}), **unseen})


@contextmanager
def files_of(trained: TrainedModel, notes: Mapping[str, str] | None = None) -> Iterator[list[Path]]:
    """The bundle of a trained model, and texts by file name, in a folder that is removed after the block."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (notes or {}).items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        save_model(Path(folder) / BUNDLE_NAME, trained)
        yield sorted(Path(folder).iterdir())


def load_model(path: str | Path, backend: str | None = None) -> TrainedModel:
    """A trained model, on the CPU.

    Args:
        path: a bundle, or the folder that holds one under the name `wts.h5.zip`; also of the earlier implementation.
        backend: that shall run it; see `ptychopinn.config.backend.loading_backend` for none.

    Raises:
        BundleError: the archive is damaged, or its weights do not fit its recipe.
        ConfigError: the backend is not installed, or cannot run the model.
    """
    return model_of(load_bundle(path), backend)


def model_of(bundle: Bundle, backend: str | None = None) -> TrainedModel:
    """The trained model of a loaded bundle, on the CPU; arguments and errors as for `load_model`."""
    recipe, where = bundle.recipe, str(bundle.path)
    if recipe.fitted is None:
        raise BundleError(f"{where}: its recipe holds no statistics of a training run; train the model again")
    if bundle.origin is not None:
        logger.info("%s: %s, run by PyTorch as %s", where, bundle.origin.kind, recipe.model.generator.architecture)
    unseen = bundle.params.get(UNSEEN)
    chosen = loading_backend(bundle.manifest.backends, backend, obstacle=obstacle(recipe.model))
    network = restored_network(recipe, bundle.states.get(chosen, bundle.state), where)
    recipe = recipe.changed(backend="pytorch")
    return run_by(TrainedModel(network, recipe, None if unseen is None else np.asarray(unseen, np.bool_)), chosen)


def restored_network(recipe: Recipe, state: Mapping[str, torch.Tensor], where: str) -> PatchModel:
    """The network of a recipe with its weights by name, on the CPU.

    Raises:
        BundleError: the weights do not fit the recipe; the message begins with `where`.
    """
    check_fits(recipe, state, where)
    network = empty_model(recipe, state)
    load_state_strictly(network, state, where)
    return network.eval()
