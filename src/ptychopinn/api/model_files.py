"""Trained models to and from bundles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ptychopinn.bundle import load_bundle, load_state_strictly, save_bundle
from ptychopinn.errors import BundleError
from ptychopinn.models import TrainedModel, build_model

BUNDLE_NAME = "wts.h5.zip"
SHIFTS = "shifts.raw"
"""Where the weights hold fitted positions."""
UNSEEN = "bad_pixels"
"""Entry of the bundle's dictionary: (H, W), True where training had no measurement."""


def save_model(path: Path, trained: TrainedModel, params: Mapping[str, Any] | None = None) -> Path:
    """Write a trained model as a bundle; `params` is a client's own dictionary that travels with it."""
    network = trained.network
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    probe = network.probe.detach().cpu().numpy()
    unseen = {} if trained.unseen is None else {UNSEEN: trained.unseen}
    return save_bundle(path, recipe=trained.recipe, state=state, probe=probe, params={**(params or {}), **unseen})


def load_model(path: str | Path) -> TrainedModel:
    """A trained model, on the CPU.

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
    network = build_model(recipe, torch.zeros(shape, dtype=torch.complex64))
    if SHIFTS in bundle.state:
        network.fit_positions(len(bundle.state[SHIFTS]))
    load_state_strictly(network, bundle.state, str(path))
    unseen = bundle.params.get(UNSEEN)
    return TrainedModel(network.eval(), recipe, None if unseen is None else np.asarray(unseen, np.bool_))
