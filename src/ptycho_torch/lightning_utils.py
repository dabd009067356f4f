"""What training with Lightning needs on the client's side: names of losses, their history, checkpoints."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ptycho_torch.api.checkpoint import MODEL_NAME as MODEL_NAME
from ptycho_torch.api.checkpoint import find_best_checkpoint as find_best_checkpoint
from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.mlflow_store import notes_of
from ptycho_torch.api.model import PtychoModel
from ptycho_torch.model import loss_names
from ptycho_torch.to_recipe import as_dicts, warn_ignored
from ptychopinn.api.inputs import RunLog
from ptychopinn.api.train import begin, record_model, write_training
from ptychopinn.data import Scan
from ptychopinn.data.device import on_usable_device
from ptychopinn.training import History, fit_prepared
from ptychopinn.training.callbacks import EpochLosses
from ptychopinn.training.module import TrainingModule
from ptychopinn.training.prepare import with_some_validation

logger = logging.getLogger("ptychopinn-torch.training")
_LossHistoryCallback = EpochLosses


def fit_client(
    model: PtychoModel,
    manager: ConfigManager,
    scans: Sequence[Scan],
    output_dir: Path | None,
    callbacks: tuple[Any, ...],
) -> History:
    """Train a client's model on scans, and write all that a run leaves into the folder, if there is one."""
    warn_ignored(*manager.four)
    with RunLog() as log:
        recipe = on_usable_device(manager.recipe(min(map(len, scans))), manager.training_config.device)
        start, folder = begin(scans, output_dir, recipe, log)
        module = partial(ClientTrainingModule, configs=as_dicts(*manager.four))
        result = fit_prepared(with_some_validation(start), folder, callbacks=tuple(callbacks), module_type=module)
        model.module().take(result.model, result.recipe, result.unseen)
        if folder is not None:
            write_training(result, folder)
            model.save(folder / MODEL_NAME)
            logger.info("%s: the trained model", folder / MODEL_NAME)
        recorded = result.tracking is not None and result.tracking.is_open
        model.run_id = result.tracking.run_id if recorded and result.tracking is not None else None
        record_model(result, notes=notes_of(model.four))
    return result.history


class ClientTrainingModule(TrainingModule):
    """The core's module, which also logs the loss under the client's name and keeps the client's four `configs`."""

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
