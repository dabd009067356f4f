"""The trackers by the value of `training.logger`: MLflow, TensorBoard, W&B, or figures beside the history as CSV."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ptychopinn.config import Recipe, TrainingConfig
from ptychopinn.errors import ConfigError, MissingExtraError
from ptychopinn.plotting import save_figure
from ptychopinn.training.figure_names import FIGURES, IMAGE, figure_name
from ptychopinn.training.mlflow_runs import MlflowRun, check_store

logger = logging.getLogger("ptychopinn.training")

PACKAGES = {"mlflow": "mlflow", "tensorboard": "tensorboard", "wandb": "wandb"}
"""Logger -> the package that it needs; the extra has the name of the logger."""


class Tracker(Protocol):
    """Where a training is recorded."""

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """Keep the settings: dotted key of the recipe -> value."""

    def log_numbers(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers after `epoch` epochs; all are finite."""

    def log_figure(self, epoch: int, figure: Any, name: str = IMAGE) -> None:
        """Keep a figure of matplotlib, such as the image after `epoch` epochs."""

    def add_file(self, path: Path) -> None:
        """Keep a file as it is, after the end of the training."""

    def end(self, outcome: str) -> None:
        """Close the record; the outcome is `finished`, `failed` or `interrupted`."""


def check_logger(config: TrainingConfig, patterns: int) -> None:
    """Refuse a logger whose package is missing, or figures that cannot be drawn, before any work.

    Args:
        config: of the training.
        patterns: of the (first) scan.

    Raises:
        ConfigError: with the line that installs the package.
    """
    name = PACKAGES.get(config.logger)
    if name is not None and not _is_installed(name):
        raise ConfigError(
            f"training.logger={config.logger} needs the package {name}, which is not installed; "
            f"pip install 'ptychopinn[{config.logger}]', or set training.logger=csv"
        )
    if config.logger == "mlflow":
        try:
            check_store()
        except MissingExtraError as error:
            raise ConfigError(str(error)) from None
    if config.figure_epochs is not None and config.devices > 1:
        raise ConfigError(
            f"training.figure_epochs draws figures with the model of one device, but training.devices is "
            f"{config.devices}; set training.figure_epochs=null or training.devices=1"
        )
    beyond = [one for one in config.figure_indices if one >= patterns]
    if config.figure_epochs is not None and beyond:
        raise ConfigError(
            f"training.figure_indices has {beyond[0]}, but the scan has {patterns} patterns; use numbers from 0 to "
            f"{patterns - 1}"
        )


def open_tracker(recipe: Recipe, sources: Sequence[str], folder: Path | None, resumed: bool) -> Tracker | None:
    """What records a training, or None.

    Args:
        recipe: of the training.
        sources: the files of its scans.
        folder: of the training. TensorBoard and the figures beside a CSV history go into it, and are left out
            without it.
        resumed: whether the training goes on from a checkpoint.

    Raises:
        ConfigError: the store of MLflow cannot be used.
    """
    config = recipe.training
    scans = [Path(source).name for source in sources]
    if config.logger == "mlflow":
        run = MlflowRun.resume(folder) if folder and resumed else None
        tags = {"backend": recipe.backend, "scan": ", ".join(scans)[:500]}
        run = run or MlflowRun.begin(config.experiment, folder.name if folder else scans[0], tags=tags)
        if folder is not None:
            run.remember(folder)
        return run
    if config.logger == "wandb":
        return WandbTracker(config.experiment, folder.name if folder else scans[0], folder)
    if folder is None:
        if config.logger == "tensorboard":
            logger.warning("training.logger=tensorboard writes nothing, since the training has no output folder")
        return None
    if config.logger == "tensorboard":
        return TensorBoardTracker(folder)
    return FigureFolder(folder / FIGURES) if config.logger == "csv" and config.figure_epochs else None


class FigureFolder:
    """Keeps the figures as `figures/epoch_0010.png`; the numbers stand in `history.csv`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """They stand in `recipe.yaml`."""

    def log_numbers(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """They stand in `history.csv`."""

    def log_figure(self, epoch: int, figure: Any, name: str = IMAGE) -> None:
        """Write it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        save_figure(figure, self._folder / figure_name(epoch, name))

    def add_file(self, path: Path) -> None:
        """The model stands beside."""

    def end(self, outcome: str) -> None:
        """There is nothing to close."""


class TensorBoardTracker:
    """Writes events into the folder `tensorboard` of a training, by Lightning's logger; a resumed one adds to them."""

    def __init__(self, folder: Path) -> None:
        from lightning.pytorch.loggers import TensorBoardLogger

        self._logger = TensorBoardLogger(folder, name="tensorboard", version="")

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """Keep them as hyperparameters."""
        self._logger.log_hyperparams(dict(settings))

    def log_numbers(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep them as scalars, with the epoch as their step."""
        self._logger.log_metrics(dict(numbers), step=epoch)

    def log_figure(self, epoch: int, figure: Any, name: str = IMAGE) -> None:
        """Keep it as an image."""
        self._logger.experiment.add_figure(name, figure, epoch, close=False)

    def add_file(self, path: Path) -> None:
        """TensorBoard holds no files; the model stands beside."""

    def end(self, outcome: str) -> None:
        """Write what is left."""
        self._logger.finalize("success" if outcome == "finished" else outcome)


class WandbTracker:
    """Sends to W&B by Lightning's logger, or writes into the folder `wandb` where `WANDB_MODE=offline`.

    Args:
        project: of W&B.
        name: of the run.
        folder: for the files of W&B; the current one without it.
    """

    def __init__(self, project: str, name: str, folder: Path | None) -> None:
        from lightning.pytorch.loggers import WandbLogger

        self._logger = WandbLogger(name=name, save_dir=folder or ".", project=project, log_model=False)
        self._run = self._logger.experiment

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """Keep them as the configuration of the run."""
        self._logger.log_hyperparams(dict(settings))

    def log_numbers(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep them, with the epoch as their step."""
        self._logger.log_metrics({**numbers, "epoch": epoch})

    def log_figure(self, epoch: int, figure: Any, name: str = IMAGE) -> None:
        """Keep it as an image."""
        with tempfile.TemporaryDirectory() as folder:
            path = save_figure(figure, Path(folder) / figure_name(epoch, name))
            self._logger.log_image(name, [str(path)], caption=[f"after {epoch} epochs"])

    def add_file(self, path: Path) -> None:
        """The run is closed; the model stands beside."""

    def end(self, outcome: str) -> None:
        """Close the run."""
        self._run.finish(exit_code=0 if outcome == "finished" else 1)


def _is_installed(name: str) -> bool:
    """Whether a package can be imported; a folder of that name, as W&B leaves behind, is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
