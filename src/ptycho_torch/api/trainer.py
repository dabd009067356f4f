"""Training as the high-level API calls it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import PtychoDataLoader
from ptycho_torch.api.devices import on_usable_device
from ptycho_torch.api.model import PtychoModel, _no_mlflow
from ptycho_torch.api.task_log import CLIENT, client_log
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from ptychopinn.training import Prepared

logger = logging.getLogger(f"{CLIENT}.training")


@dataclass
class LightningHandle:
    """What a client may change of Lightning before training starts."""

    callbacks: list[Any] = field(default_factory=list)
    """Lightning callbacks, read when training starts. They are called in this process, picklable or not."""


class Trainer:
    """Trains a model on the scans of a data loader."""

    def __init__(self, model: PtychoModel, dataloader: PtychoDataLoader, config_manager: ConfigManager) -> None:
        self.model = model
        self.dataloader = dataloader
        self.config_manager = config_manager
        self._trainer = LightningHandle()
        self.history: dict[str, list[float]] = {}
        """Column -> one number per epoch, once trained."""

    @classmethod
    def _from_lightning(
        cls,
        model: PtychoModel,
        dataloader: PtychoDataLoader,
        orchestration: str = "lightning",
        config_manager: ConfigManager | None = None,
    ) -> "Trainer":
        """A trainer by Lightning; `ImportError` where MLflow is asked for, `ValueError` for another orchestration."""
        _check_orchestration(orchestration)
        return cls(model, dataloader, config_manager or dataloader.config_manager)

    def train(self, orchestration: str = "lightning", experiment_name: str = "") -> None:
        """Train, and leave the model in memory and, where the data loader has a run folder, in that folder.

        The folder then holds `model.ckpt`, `recipe.yaml`, `history.csv`, `wts.h5.zip`, `checkpoints/`, `run.log`. The
        name of the experiment goes into the log.

        Raises:
            ValueError: the settings or the scans cannot be used; nothing has been written then.
            ImportError: MLflow is asked for.
        """
        _check_orchestration(orchestration)
        with client_log():
            self._train(experiment_name)

    def _train(self, name: str) -> None:
        from ptycho_torch.lightning_utils import MODEL_NAME, ClientTrainingModule
        from ptycho_torch.to_recipe import as_dicts, warn_ignored
        from ptychopinn.api.inputs import RunLog
        from ptychopinn.api.train import begin, write_training
        from ptychopinn.training import fit_prepared

        scans, configs = self.dataloader.scans, as_dicts(*self.config_manager.four)
        warn_ignored(*self.config_manager.four)
        with RunLog() as log:
            recipe = self.config_manager.recipe(min(map(len, scans)))
            recipe = on_usable_device(recipe, self.config_manager.training_config.device)
            start, folder = begin(scans, self.dataloader.output_dir, recipe, log)
            if name:
                logger.info("experiment %s", name)
            result = fit_prepared(
                with_validation(start),
                folder,
                callbacks=tuple(self._trainer.callbacks),
                module_type=partial(ClientTrainingModule, configs=configs),
            )
            self.model.module().take(result.model, result.recipe, unseen_pixels(scans))
            self.history = result.history
            if folder is not None:
                write_training(result, folder)
                self.model.save(folder / MODEL_NAME)
                logger.info("%s: the trained model", folder / MODEL_NAME)


def with_validation(start: "Prepared") -> "Prepared":
    """The same with at least one group for validation: where the region was too small, groups of the training.

    Clients show a validation loss after every epoch and count on it.
    """
    if any(len(part.validation_groups) for part in start.parts):
        return start
    logger.warning("too few patterns for a validation region: the validation loss is that of training patterns")
    first, *others = start.parts
    return replace(start, parts=(replace(first, validation_groups=first.train_groups), *others))


def unseen_pixels(scans: Sequence[Scan]) -> "Tensor | None":
    """(H, W) bool: the pixels that were bad in every pattern of a scan, of any of the scans; None without any.

    Clients hand such pixels over filled in, and without a mask, when they reconstruct.
    """
    import torch

    masks = [scan.always_bad for scan in scans if scan.always_bad is not None]
    return torch.from_numpy(np.logical_or.reduce(masks)) if masks else None


def _check_orchestration(name: str) -> None:
    if name.casefold() == "mlflow":
        raise _no_mlflow("orchestration='lightning' and PtychoModel.save")
    if name.casefold() != "lightning":
        raise ConfigError(f"orchestration must be 'lightning', got {name!r}")
