"""Training that begins with the weights of a trained model (fine-tuning)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from ptychopinn.bundle import BUNDLE_NAME, Bundle, bundle_file, load_bundle, load_state_strictly
from ptychopinn.config import FineTuneConfig, GeneratorConfig, Recipe, StagesConfig
from ptychopinn.data.identity import digest_of
from ptychopinn.data.scan import Scan
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.models import PatchModel

logger = logging.getLogger("ptychopinn.training")

_NETWORK = "generator."
"""Prefix of the weights of the network; the rest (probe, scale, positions) belongs to one scan."""
_FREE = ("spectral", "physics_steps")
"""Settings of a generator that its weights do not depend on."""


@final
@dataclass(frozen=True)
class TrainedStart:
    """The network of a trained model, whose weights another training begins with."""

    name: str
    """The file, as it was named."""
    recipe: Recipe
    """With the statistics of its training."""
    state: dict[str, torch.Tensor]
    """Weights of the network by name, on the CPU, with the mean and deviation by which its input is normalised."""

    @classmethod
    def of(cls, path: str) -> "TrainedStart":
        """Read a trained model; the formats are those of `ptychopinn.bundle.load_bundle`.

        Raises:
            BundleError: the file is missing or damaged, or holds no statistics of a training.
        """
        bundle: Bundle = load_bundle(path)
        if bundle.recipe.fitted is None:
            raise BundleError(f"{path}: its recipe holds no statistics of a training; train the model again")
        state = bundle.states.get("pytorch", bundle.state)
        network = {name.removeprefix(_NETWORK): value for name, value in state.items() if name.startswith(_NETWORK)}
        return cls(str(path), bundle.recipe, network)

    @property
    def label(self) -> str:
        """Name of the file, with its folder where all models have that name, and a digest of the weights."""
        path = bundle_file(self.name)
        file = str(Path(path.parent.name, path.name)) if path.name == BUNDLE_NAME else path.name
        named = (part for name, value in sorted(self.state.items()) for part in (name, value.numpy()))
        return f"{file} (weights {digest_of(*named)[:16]})"

    def check(self, recipe: Recipe, scans: Sequence[Scan]) -> None:
        """Refuse a recipe or scans that the network does not fit.

        Raises:
            ConfigError: the recipe names another network.
            BundleError: the patterns have another size than those of its training.
        """
        theirs, ours = self.recipe, recipe
        differing = _differing(theirs.model.generator, ours.model.generator)
        stacked = ours.model.generator.grouping == "stacked"
        if stacked and theirs.data.group_size != ours.data.group_size:
            differing.append(f"data.group_size ({theirs.data.group_size} instead of {ours.data.group_size})")
        if differing:
            raise ConfigError(
                f"{self.name}: its network differs from that of the recipe: {', '.join(differing)}; set these as in "
                "the model (train --from does so), or leave training.start_from null"
            )
        assert theirs.fitted is not None
        size = theirs.fitted.pattern_size
        for scan in scans:
            if scan.pattern_size != size:
                raise BundleError(
                    f"{scan.source}: its patterns are {scan.pattern_size}x{scan.pattern_size} px, but the model "
                    f"{self.name} was trained on {size}x{size} px; crop, pad or bin the patterns, or train from the "
                    "start without --from"
                )

    def into(self, model: PatchModel) -> tuple[float, float]:
        """Copy the weights into a model; returns the mean and deviation by which the input is normalised.

        Raises:
            BundleError: names or shapes of weights differ.
        """
        load_state_strictly(model.generator, self.state, self.name)
        logger.info("training begins with the weights of %s", self.label)
        return float(model.generator.input_mean), float(model.generator.input_deviation)


def recipe_of_start(path: str) -> Recipe:
    """The recipe for training a finished model further: its own, with stages, length and device chosen anew.

    Raises:
        BundleError: the file is missing or damaged, or holds no statistics of a training.
    """
    recipe = TrainedStart.of(path).recipe
    training = recipe.training
    schedule = "cosine" if training.scheduler in ("multi_stage", "adaptive") else training.scheduler
    lengths = {"epochs": None, "scheduler": schedule, "stages": StagesConfig(), "fine_tune": FineTuneConfig()}
    training = training.changed(start_from=str(path), **lengths, device="auto", devices=1, threads=None)
    return recipe.changed(training=training, fitted=None)


def _differing(theirs: GeneratorConfig, ours: GeneratorConfig) -> list[str]:
    """Settings of the network that differ, with both values."""
    values = ours.model_dump()
    return [
        f"model.generator.{key} ({value} instead of {values[key]})"
        for key, value in theirs.model_dump().items()
        if key not in _FREE and value != values[key]
    ]
