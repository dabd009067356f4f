"""Training as the high-level API calls it."""

import logging
from dataclasses import dataclass, field
from typing import Any

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.data_loader import PtychoDataLoader
from ptycho_torch.api.model import PtychoModel, _no_mlflow
from ptycho_torch.api.task_log import CLIENT, client_log
from ptychopinn.errors import ConfigError

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

        Args:
            orchestration: `lightning`.
            experiment_name: named in the log.
        """
        _check_orchestration(orchestration)
        from ptycho_torch.lightning_utils import fit_client

        with client_log():
            if experiment_name:
                logger.info("experiment %s", experiment_name)
            place, callbacks = self.dataloader.output_dir, tuple(self._trainer.callbacks)
            self.history = fit_client(self.model, self.config_manager, self.dataloader.scans, place, callbacks)


def _check_orchestration(name: str) -> None:
    if name.casefold() == "mlflow":
        raise _no_mlflow("orchestration='lightning' and PtychoModel.save")
    if name.casefold() != "lightning":
        raise ConfigError(f"orchestration must be 'lightning', got {name!r}")
