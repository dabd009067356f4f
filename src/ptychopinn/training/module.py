"""The Lightning module: optimiser, schedule and what is logged."""

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
)

from ptychopinn.config import TrainingConfig
from ptychopinn.data.dataset import Batch
from ptychopinn.models import PatchModel


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
        self._probe_photons = model.probe_parts.detach().square().sum()
        self.save_hyperparameters({"recipe": recipe})

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One optimiser step."""
        return self._total(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The same loss on the region kept for validation."""
        return self._total(batch, "val")

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Hold the photons of a probe that is fitted, so that it exchanges no factor with the network."""
        if self.model.probe_parts.requires_grad:
            self.model.hold_photons(self._probe_photons.to(self.model.probe_parts.device))

    def _total(self, batch: Batch, stage: str) -> Tensor:
        terms = self.model.losses(batch, batch.mean_count or self.mean_count)
        total = torch.stack(list(terms.values())).sum()
        count = batch.index.numel()
        self.log_loss(stage, total, count)
        if len(terms) > 1:
            named = {f"{stage}_{name}": value for name, value in terms.items()}
            self.log_dict(named, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)
        return total

    def log_loss(self, stage: str, total: Tensor, count: int) -> None:
        """Log the loss of a batch of `count` patterns; `stage` is `train` or `val`."""
        self.log(f"{stage}_loss", total, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Batches are gathered on the device already."""
        return batch

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser over what is trainable, with the schedule of the recipe."""
        return optimisation(self.model, self.config, lambda: self.trainer)

    def on_train_start(self) -> None:
        """Give a cosine schedule the length of this run; a checkpoint brings that of the run before."""
        schedule = self.lr_schedulers()
        if isinstance(schedule, LRScheduler):
            stretch_cosine(schedule, int(self.trainer.estimated_stepping_batches))

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
    network = [parameter for parameter in model.generator.parameters() if parameter.requires_grad]
    physics = [value for name, value in model.named_parameters() if _is_fitted_physics(name, value)]
    groups = [{"params": network, "weight_decay": config.weight_decay}]
    if physics:  # decay would pull a probe towards darkness
        groups.append({"params": physics, "weight_decay": 0.0})
    optimizer = _optimizer(groups, config)
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


def stretch_cosine(schedule: LRScheduler, steps: int) -> None:
    """Let the cosine of a schedule end after `steps` in all, and put its learning rates where they belong then."""
    warmup = schedule._milestones[0] if isinstance(schedule, SequentialLR) else 0
    main = schedule._schedulers[-1] if isinstance(schedule, SequentialLR) else schedule
    length = max(1, steps - warmup)
    if not isinstance(main, CosineAnnealingLR) or main.T_max == length:
        return
    main.T_max = length
    part = (1 + math.cos(math.pi * main.last_epoch / length)) / 2
    for group, base in zip(main.optimizer.param_groups, main.base_lrs, strict=True):
        group["lr"] = main.eta_min + (base - main.eta_min) * part


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
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    main: LRScheduler
    if config.scheduler == "cosine":
        lowest = config.learning_rate * config.min_lr_ratio
        main = CosineAnnealingLR(optimizer, T_max=max(1, steps - warmup), eta_min=lowest)
    elif config.scheduler == "exponential":
        main = ExponentialLR(optimizer, gamma=config.exponential_gamma ** (1 / steps_per_epoch))
    else:
        main = ConstantLR(optimizer, factor=1.0)
    if warmup < 1:
        return main
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, main], milestones=[warmup])
