"""The one file of a trained model: recipe, weights and the client's configurations, plain values and tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.model_files import restored_network
from ptychopinn.bundle import load_bundle
from ptychopinn.bundle.checkpoint import UNREADABLE, reason_of
from ptychopinn.bundle.checkpoint import read_checkpoint as read_values
from ptychopinn.bundle.legacy import earlier_configs
from ptychopinn.bundle.recognise import is_earlier
from ptychopinn.config import Recipe
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.errors import BundleError
from ptychopinn.models import PatchModel

MODEL_NAME = "model.ckpt"
"""What the trained model is called inside a run's folder."""
_ORDER = (MODEL_NAME, "checkpoints/best.ckpt", "checkpoints/last.ckpt")
PREFIX = "model."
"""What the weights of the network begin with, as in the checkpoints that training writes for itself."""
BY_HAND = "network."
"""The same in checkpoints of a `lightning.Trainer` that a script runs itself."""


@dataclass(frozen=True)
class Checkpoint:
    """What a `.ckpt` file holds."""

    recipe: Recipe
    """Complete, with the statistics of training."""
    configs: dict[str, Any]
    """`data_config`, `model_config`, `training_config`, `inference_config` as mappings."""
    state: dict[str, torch.Tensor]
    """Weights of the network by name, on the CPU."""
    bad_pixels: torch.Tensor | None
    """(H, W) bool: pixels that training never saw."""

    def network(self, where: str) -> PatchModel:
        """The network with its weights, on the CPU."""
        return restored_network(self.recipe, self.state, where)


def write_checkpoint(
    path: Path, model: PatchModel, recipe: Recipe, configs: Mapping[str, Any], bad_pixels: torch.Tensor | None = None
) -> Path:
    """Write beside the target, then rename."""
    values = {
        "state_dict": {f"{PREFIX}{name}": value.detach().cpu() for name, value in model.state_dict().items()},
        "hyper_parameters": {"recipe": recipe.model_dump(mode="json"), "configs": dict(configs)},
        "bad_pixels": bad_pixels,
    }
    with atomic_path(path) as temporary:
        torch.save(values, temporary)
    return path


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file of `write_checkpoint`, one that training left in `checkpoints/`, or one of legacy PtychoPINN.

    Nothing of it is run.

    Raises:
        FileNotFoundError: no such file.
        BundleError: it is no checkpoint of a trained model, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; give the .ckpt file of a training run")
    if is_earlier(path) and (configs := earlier_configs(path)):
        bundle = load_bundle(path)
        return Checkpoint(bundle.recipe, configs, bundle.state, None)
    values = read_values(path, "a checkpoint", "give a .ckpt of a training run")
    try:
        hyper = values["hyper_parameters"]
        recipe = Recipe.from_mapping(hyper["recipe"], str(path))
        prefix = BY_HAND if all(name.startswith(BY_HAND) for name in values["state_dict"]) else PREFIX
        state = {name.removeprefix(prefix): value for name, value in values["state_dict"].items()}
        return Checkpoint(recipe, dict(hyper["configs"]), state, values.get("bad_pixels"))
    except UNREADABLE as error:
        raise BundleError(
            f"{path}: is a checkpoint, but not one of a model of this version ({reason_of(error)}); train again"
        ) from None


def find_best_checkpoint(run_dir: str | Path) -> Path | None:
    """The trained model of a run; of a run that did not end, the epoch with the lowest validation loss; else None.

    Args:
        run_dir: folder of the run, or one that holds folders `run_<timestamp>`, of which the newest counts.
    """
    folder = Path(run_dir)
    for place in (folder, *sorted(folder.glob("run_*"), reverse=True)):
        for name in _ORDER:
            if (place / name).is_file():
                return place / name
    return None
