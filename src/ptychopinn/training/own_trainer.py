"""The module for those who run a `lightning.Trainer` themselves, on batches of their own."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import Batch
from ptychopinn.errors import ConfigError
from ptychopinn.models import PatchModel, TrainedModel, build_model
from ptychopinn.training.by_hand import begin, finished
from ptychopinn.training.module import optimisation
from ptychopinn.training.stages import StageProgress


class OwnTrainerModule(LightningModule):
    """Trains the network of a recipe by `Trainer().fit(module, loader)`, with the probe of the batches.

    The network is built when the fit begins, normalised by the first batch, and complete when the fit ends. The probe
    is that of the batches and is not fitted.

    Args:
        recipe: what is trained, and how.
        pattern_size: rows (and columns) of the patterns.
        parts: makes the batches, one for each beam, of what the loader gives: plain tensors, such as the numbers of
            groups of `ptychopinn.training.by_hand.ScanGroups`, or arrays for `batch_of` there. Lightning cannot move
            a `Batch` to a device itself.
        names: under which the loss of training and that of validation are logged besides `train_loss` and `val_loss`.
    """

    def __init__(
        self,
        recipe: Recipe,
        pattern_size: int,
        parts: Callable[[Any], Iterable[Batch]],
        names: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.network: PatchModel | None = None
        self.bad_pixels: Tensor | None = None
        self.loss_name, self.val_loss_name = names or ("train_loss", "val_loss")
        self._size, self._parts = pattern_size, parts
        self._seen: tuple[Batch, tuple[float, float]] | None = None

    def take(self, network: PatchModel, recipe: Recipe, bad_pixels: Any = None) -> None:
        """Hold a trained network, its complete recipe, and the pixels (H, W), tensor or array, that it never saw."""
        self.network, self.recipe = network, recipe
        self.bad_pixels = None if bad_pixels is None else torch.as_tensor(bad_pixels)

    def as_trained(self) -> TrainedModel:
        """The trained network as a value, with its recipe and the pixels that training never saw.

        Raises:
            RuntimeError: it has not been built or loaded yet.
            BundleError: it has not been trained.
        """
        unseen = None if self.bad_pixels is None else self.bad_pixels.cpu().numpy()
        return TrainedModel(self.trained(), self.recipe, unseen)

    def trained(self) -> PatchModel:
        """The network.

        Raises:
            RuntimeError: it has not been built or loaded yet.
        """
        if self.network is None:
            raise RuntimeError("the network has not been built yet; train it, or load a checkpoint")
        return self.network

    def configure_model(self) -> None:
        """Build the network where there is none, with an even beam."""
        if self.network is None:
            self.network = untrained(self.recipe, self._size)

    def compute_loss(self, batch: Any) -> Tensor:
        """The weighted loss of a batch, its groups with the probe of their own scan."""
        return self._mean_loss(list(self._parts(batch)))

    def _mean_loss(self, parts: Sequence[Batch]) -> Tensor:
        losses = torch.stack([self._loss(part) for part in parts])
        weights = losses.new_tensor([len(part.index) for part in parts])
        return (losses * weights).sum() / weights.sum()

    def _loss(self, batch: Batch) -> Tensor:
        network = self.trained()
        if self._seen is None:
            self._seen = batch, (0.0, 1.0) if self.recipe.fitted is not None else begin(network, batch)
        return torch.stack(list(network.losses(batch, batch.mean_count or 1.0).values())).sum()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """One step, logged as `train_loss`."""
        return self._logged(batch, ("train_loss", self.loss_name))

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch, logged as `val_loss`."""
        return self._logged(batch, ("val_loss", self.val_loss_name))

    def _logged(self, batch: Any, names: Sequence[str]) -> Tensor:
        parts = list(self._parts(batch))
        total, size = self._mean_loss(parts), sum(len(part.index) for part in parts)
        self.log_dict(dict.fromkeys(names, total), on_step=False, on_epoch=True, batch_size=size)
        return total

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe.

        Raises:
            ConfigError: the recipe trains in stages, which a trainer of one's own does not follow.
        """
        if StageProgress(self.recipe.training).is_divided:
            raise ConfigError(
                "training.stages and training.fine_tune are followed by ptychopinn.train and the clients' own "
                "training, not by a trainer of your own; set their epochs to 0"
            )
        return optimisation(self.trained(), self.recipe.training, lambda: self.trainer)

    def complete(self) -> tuple[PatchModel, Recipe]:
        """The network with the probe of the first batch, and the recipe with what training has measured."""
        if self._seen is None or self.recipe.fitted is not None:
            return self.trained(), self.recipe
        batch, statistics = self._seen
        return finished(self.trained(), self.recipe, batch, *statistics)

    def on_fit_end(self) -> None:
        """Complete the model, so that it can be saved and reconstructs."""
        self.take(*self.complete(), self.bad_pixels)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the recipe with the weights, as plain values."""
        checkpoint["hyper_parameters"] = {"recipe": self.complete()[1].model_dump(mode="json")}


def untrained(recipe: Recipe, pattern_size: int) -> PatchModel:
    """The network of a recipe with initial weights and an even beam."""
    return build_model(recipe, torch.ones(1, pattern_size, pattern_size, dtype=torch.complex64))
