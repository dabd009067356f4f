"""The Lightning module: optimiser, schedule and what is logged."""

import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from ptychopinn.config import TrainingConfig
from ptychopinn.data.dataset import Batch
from ptychopinn.generators import weights_of_parts
from ptychopinn.models import PatchModel, PtychoPINN
from ptychopinn.training.stages import StageProgress

logger = logging.getLogger("ptychopinn.training")

RateFactor = Callable[[int], float]
"""Optimiser steps done -> factor on the highest learning rate."""


class TrainingModule(LightningModule):
    """Fits a model to batches of groups.

    Args:
        model: what is fitted.
        config: optimiser and schedule.
        mean_count: mean count of a pixel; makes losses comparable between doses.
        recipe: plain values, stored in every checkpoint.
    """

    def __init__(self, model: PatchModel, config: TrainingConfig, mean_count: float, recipe: dict[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.mean_count = mean_count
        self.progress = StageProgress(config)
        self._parts: list[str] = []
        self._probe_photons = model.probe_parts.detach().square().sum()
        self.save_hyperparameters({"recipe": recipe})

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One optimiser step."""
        return self._total(batch, "train")

    def on_train_epoch_start(self) -> None:
        """Name a stage that begins, and give every part of the network the learning rate of this epoch."""
        if self.progress.is_divided and self.progress.begins(self.current_epoch):
            logger.info("epoch %d: %s", self.current_epoch + 1, self.progress.describe())
        schedule = self.lr_schedulers()
        if isinstance(schedule, LambdaLR):  # set for an epoch before, or for a shorter run that is resumed
            for group, base, factor in zip(
                schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
            ):
                group["lr"] = base * factor(schedule.last_epoch)

    def on_after_backward(self) -> None:
        """Drop the gradients of parts that the stage keeps: no step, no momentum, no share in the clipped norm."""
        if self.progress.stage.parts is None:
            return
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        for group, part in zip(optimizer.param_groups, self._parts, strict=True):
            if not self.progress.rate_factor(part, self.current_epoch, 1.0):
                for parameter in group["params"]:
                    parameter.grad = None

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The same loss on the region kept for validation."""
        return self._total(batch, "val")

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Hold the photons of a probe that was changed, so that it exchanges no factor with the network."""
        if self.model.probe_parts.grad is not None:
            self.model.hold_photons(self._probe_photons.to(self.model.probe_parts.device))

    def _total(self, batch: Batch, stage: str) -> Tensor:
        mean_count, count = batch.mean_count or self.mean_count, batch.index.numel()
        if self.progress.has_data_loss:
            total, terms = self._blended(batch, mean_count)
        else:
            terms = self.model.losses(batch, mean_count)
            total = torch.stack(list(terms.values())).sum()
        self.log_loss(stage, total, count)
        if len(terms) > 1:
            named = {f"{stage}_{name}": value for name, value in terms.items()}
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)
        if self.progress.is_divided and stage == "train":
            self.log_dict(self._stage_numbers(), on_step=False, on_epoch=True, batch_size=count)
        return total

    def _stage_numbers(self) -> dict[str, float]:
        """Number of the stage, weight of the physics, and learning rates of parts, for the history."""
        numbers = {"stage": self.progress.index + 1.0}
        if self.progress.has_data_loss:
            numbers["physics_weight"] = self.progress.physics_weight(self.current_epoch)
        if self.progress.has_parts:
            for group, part in zip(self.trainer.optimizers[0].param_groups, self._parts, strict=True):
                numbers[f"learning_rate_{part}"] = float(group["lr"])
        return numbers

    def _blended(self, batch: Batch, mean_count: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the stage; the data loss and that of the physics, without their weights in it."""
        assert isinstance(self.model, PtychoPINN)
        kind = self.config.stages.data_loss
        assert kind != "auto"
        data, terms = self.model.data_and_physics(batch, mean_count, kind)
        physics = torch.stack(list(terms.values())).sum()
        weight = self.progress.physics_weight(self.current_epoch)
        total = physics if weight == 1 else data if weight == 0 else (1 - weight) * data + weight * physics
        return total, {"data": data, "physics": physics, **(terms if len(terms) > 1 else {})}

    def log_loss(self, stage: str, total: Tensor, count: int) -> None:
        """Log the loss of a batch of `count` patterns; `stage` is `train` or `val`."""
        self.log(f"{stage}_loss", total, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Batches are gathered on the device already."""
        return batch

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser over what is trainable, with the schedule of the recipe."""
        if not self.progress.is_divided:
            return optimisation(self.model, self.config, lambda: self.trainer)
        groups = parameter_groups(self.model, self.config, by_parts=self.progress.has_parts)
        self._parts = list(groups)
        optimizer = _optimizer(list(groups.values()), self.config)
        per_epoch = max(1, int(self.trainer.estimated_stepping_batches) // self.progress.epochs)
        scheduled = schedule_factor(self.config, per_epoch * max(1, self.progress.scheduled_epochs), per_epoch)

        def factor_of(part: str) -> RateFactor:
            return lambda step: self.progress.rate_factor(part, self.current_epoch, scheduled(step))

        schedule = LambdaLR(optimizer, [factor_of(part) for part in groups])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """As Lightning does, and `agc`, which it does not know."""
        if self.config.gradient_clip_algorithm == "agc" and self.config.gradient_clip is not None:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    clip_adaptively(parameter, self.config.gradient_clip)
            return
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)


def optimisation(model: PatchModel, config: TrainingConfig, trainer: Callable[[], Trainer]) -> OptimizerLRScheduler:
    """The optimiser over what is trainable of a model, and the schedule of its learning rate.

    Args:
        model: what is trained.
        config: of the training.
        trainer: gives the trainer, which is asked only where the schedule needs the number of steps.
    """
    optimizer = _optimizer(list(parameter_groups(model, config).values()), config)
    if config.scheduler == "plateau":
        plateau = ReduceLROnPlateau(
            optimizer,
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            threshold=config.plateau_threshold,
            threshold_mode="abs",  # losses may be negative, where a relative threshold calls everything better
            min_lr=config.plateau_min_lr,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "interval": "epoch", "monitor": "train_loss"},
        }
    steps = int(trainer().estimated_stepping_batches)
    schedule = make_schedule(optimizer, config, steps, max(1, steps // (trainer().max_epochs or 1)))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(model: PatchModel, config: TrainingConfig, *, by_parts: bool = False) -> dict[str, dict[str, Any]]:
    """Groups of an optimiser by name: `network`, or the parts of the network, and `beam` where one is fitted.

    Args:
        model: what is trained.
        config: of the training.
        by_parts: a group for every part; see `ptychopinn.generators.weights_of_parts`.

    Raises:
        ConfigError: the network has no such parts.
    """
    parts = weights_of_parts(model.generator) if by_parts else {"network": list(model.generator.parameters())}
    groups: dict[str, dict[str, Any]] = {}
    for part, parameters in parts.items():
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        groups[part] = {"params": trainable, "weight_decay": config.weight_decay}
    physics = [value for name, value in model.named_parameters() if _is_fitted_physics(name, value)]
    if physics:  # decay would pull a probe towards darkness
        groups["beam"] = {"params": physics, "weight_decay": 0.0}
    return groups


@torch.no_grad()
def clip_adaptively(parameter: Tensor, largest: float, least_norm: float = 1e-3) -> None:
    """Limit the gradient of each output unit to `largest` times the norm of its weights, in place.

    Brock et al. 2021, adaptive gradient clipping (arXiv:2102.06171, equation 3). `least_norm` stands for the norm of
    weights that are about zero, which could not be trained otherwise.
    """
    if parameter.grad is None:
        return
    axes = tuple(range(1, parameter.ndim)) if parameter.ndim > 1 else None
    kept = parameter.ndim > 1
    weight = torch.linalg.vector_norm(parameter, dim=axes, keepdim=kept).clamp_min(least_norm)
    gradient = torch.linalg.vector_norm(parameter.grad, dim=axes, keepdim=kept)
    parameter.grad.mul_((largest * weight / gradient.clamp_min(1e-12)).clamp_max(1.0))


def _optimizer(groups: list[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, betas=config.betas)


def _is_fitted_physics(name: str, parameter: Tensor) -> bool:
    return parameter.requires_grad and not name.startswith("generator.")


def make_schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, steps: int, steps_per_epoch: int
) -> LRScheduler:
    """Linear warm-up, then cosine, exponential or constant; counted in steps."""
    return LambdaLR(optimizer, schedule_factor(config, steps, steps_per_epoch))


def schedule_factor(config: TrainingConfig, steps: int, steps_per_epoch: int) -> RateFactor:
    """Factor on the highest learning rate after some steps: a linear warm-up, then the schedule of the recipe.

    Args:
        config: of the training.
        steps: of the whole training; a cosine ends with them.
        steps_per_epoch: of one epoch.
    """
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    length = max(1, steps - warmup)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = step - warmup
        if config.scheduler == "cosine":
            part = (1 + math.cos(math.pi * min(done / length, 1.0))) / 2
            return config.min_lr_ratio + (1 - config.min_lr_ratio) * part
        return config.exponential_gamma ** (done / steps_per_epoch) if config.scheduler == "exponential" else 1.0

    return factor
