"""What training with Lightning needs on the client's side: names of losses, their history, checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ptycho_torch.model import loss_names
from ptychopinn.training.module import TrainingModule

MODEL_NAME = "model.ckpt"
"""What the trained model is called inside a run's folder."""
_ORDER = (MODEL_NAME, "checkpoints/best.ckpt", "checkpoints/last.ckpt")


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


class ClientTrainingModule(TrainingModule):
    """Logs the loss under the client's name too, and keeps the client's configurations in every checkpoint.

    Args:
        core: arguments of the core's module: model, optimiser, mean count, recipe.
        configs: the client's four configurations, plain values.
    """

    def __init__(self, *core: Any, configs: Mapping[str, Any]) -> None:
        super().__init__(*core)
        self.save_hyperparameters({"configs": dict(configs)})
        self.loss_name, self.val_loss_name = loss_names(self.model.config)

    def log_loss(self, stage: str, total: Tensor, count: int) -> None:
        """As the core does, and once more as `poisson_train_loss` and the like; with the learning rate."""
        super().log_loss(stage, total, count)
        values = {self.loss_name if stage == "train" else self.val_loss_name: total}
        if stage == "train":
            values["learning_rate"] = total.new_tensor(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)


class _LossHistoryCallback(Callback):
    """Collects the losses of each epoch in `history`: `train_loss` and `val_loss`, one number per epoch."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule, name: str = "train_loss") -> None:
        """Add the training loss."""
        value = trainer.callback_metrics.get(name)
        if value is not None:
            self.history[name].append(float(value))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the validation loss."""
        if not trainer.sanity_checking:
            self.on_train_epoch_end(trainer, pl_module, "val_loss")
