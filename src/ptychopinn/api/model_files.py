"""Trained models to and from bundles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ptychopinn.bundle import load_bundle, load_state_strictly, save_bundle
from ptychopinn.config import Recipe
from ptychopinn.errors import BundleError
from ptychopinn.models import PatchModel, build_model

BUNDLE_NAME = "wts.h5.zip"
SHIFTS = "shifts.raw"
"""Where the weights hold fitted positions."""


def save_model(path: Path, model: PatchModel, recipe: Recipe, params: Mapping[str, Any] | None = None) -> Path:
    """Write a trained model as a bundle; `params` is a client's own dictionary that travels with it."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return save_bundle(path, recipe=recipe, state=state, probe=model.probe.detach().cpu().numpy(), params=params)


def load_model(path: str | Path) -> tuple[PatchModel, Recipe]:
    """A trained model, on the CPU, and its recipe.

    Args:
        path: a bundle, or the folder that holds one under the name `wts.h5.zip`.

    Raises:
        BundleError: the archive is damaged, or its weights do not fit its recipe.
    """
    bundle = load_bundle(path)
    recipe = bundle.recipe
    if recipe.fitted is None:
        raise BundleError(f"{path}: its recipe holds no statistics of a training run; train the model again")
    try:
        shape = bundle.state["probe_parts"].shape[:-1]
    except KeyError:
        raise BundleError(f"{path}: holds no probe among its weights; train the model again") from None
    model = build_model(recipe, torch.zeros(shape, dtype=torch.complex64))
    if SHIFTS in bundle.state:
        model.fit_positions(len(bundle.state[SHIFTS]))
    load_state_strictly(model, bundle.state, str(path))
    return model.eval(), recipe
