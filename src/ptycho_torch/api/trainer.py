"""Training as the high-level API calls it."""

import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import PtychoDataLoader
from ptycho_torch.api.model import PtychoModel
from ptycho_torch.api.strategies import Orchestration, TrainStrategy
from ptycho_torch.api.task_log import CLIENT, client_log
from ptycho_torch.config_params import TrainingConfig
from ptychopinn.errors import ConfigError

logger = logging.getLogger(f"{CLIENT}.training")


class Trainer:
    """Trains a model on the scans of a data loader.

    Args:
        dataloader: its scans and its folder.
        config_manager: settings of the run; those of the data loader by default.
        training_config: in place of that of the manager.
        strategy: has no effect; Lightning trains.
    """

    def __init__(
        self,
        model: PtychoModel,
        dataloader: PtychoDataLoader,
        config_manager: ConfigManager | None = None,
        training_config: TrainingConfig | None = None,
        strategy: TrainStrategy = TrainStrategy.LIGHTNING,
    ) -> None:
        self.model = model
        self.dataloader = dataloader
        self.config_manager = config_manager or dataloader.config_manager
        self.config_manager.update(training_config=training_config)
        self._trainer = SimpleNamespace(callbacks=[])
        """Takes callbacks of Lightning, read when training starts and called in this process, picklable or not."""
        self.history: dict[str, list[float]] = {}
        """Column -> one number per epoch, once trained."""

    @classmethod
    def _from_lightning(
        cls,
        model: PtychoModel,
        dataloader: PtychoDataLoader,
        orchestration: str | Orchestration = "lightning",
        config_manager: ConfigManager | None = None,
        training_config: TrainingConfig | None = None,
    ) -> "Trainer":
        """A trainer by Lightning, which records in MLflow where the orchestration is `mlflow`.

        Raises:
            ImportError: MLflow is asked for and not installed.
            ValueError: another orchestration.
        """
        _records_in_mlflow(orchestration)
        return cls(model, dataloader, config_manager, training_config)

    def train(self, orchestration: str | Orchestration = "lightning", experiment_name: str = "") -> None:
        """Train, and leave the model in memory and, where the data loader has a run folder, in that folder.

        The folder then holds `model.ckpt`, `recipe.yaml`, `history.csv`, `wts.h5.zip`, `checkpoints/`, `run.log`.

        Raises:
            ValueError: the settings or the scans cannot be used; nothing has been written then.
            ImportError: MLflow is asked for and not installed.

        Args:
            orchestration: `lightning`, or `mlflow` to record parameters, metrics, figures and the model there, as
                `training_config.orchestrator` asks for too.
            experiment_name: of MLflow, instead of that of the training settings; named in the log.
        """
        records = _records_in_mlflow(orchestration)
        from ptycho_torch.lightning_utils import fit_client

        with client_log():
            changes: dict[str, Any] = {"orchestrator": "Mlflow"} if records else {}
            if experiment_name:
                logger.info("experiment %s", experiment_name)
                changes["experiment_name"] = experiment_name
            manager = ConfigManager(*self.config_manager.four)
            manager.training_config = replace(manager.training_config, **changes)
            place, callbacks = self.dataloader.output_dir, tuple(self._trainer.callbacks)
            self.history = fit_client(self.model, manager, self.dataloader.scans, place, callbacks)


def _records_in_mlflow(orchestration: str | Orchestration) -> bool:
    name = orchestration.value if isinstance(orchestration, Orchestration) else orchestration
    if name.casefold() == "mlflow":
        from ptychopinn.training.mlflow_runs import check_store

        check_store()
        return True
    if name.casefold() not in ("lightning", "pytorch"):
        raise ConfigError(f"orchestration must be 'lightning' or 'mlflow', got {name!r}")
    return False
