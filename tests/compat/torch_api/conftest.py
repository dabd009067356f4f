"""Scans as the client exports them, and its own sequence of calls."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ptycho_torch.api.base_api import ConfigManager, DataloaderFormats, PtychoDataLoader, PtychoModel, Trainer
from ptycho_torch.config_params import DataConfig, DatagenConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.model import PtychoPINN_Lightning
from ptychopinn.physics import DiffractionModel, count_photons
from ptychopinn.simulation.probes import make_probe

PX = 16


@dataclass(frozen=True)
class Measured:
    """What the client holds: counts, probe, positions (y, x) of the geometric centre, object."""

    patterns: NDArray[np.uint16]
    probe: NDArray[np.complex64]
    positions: NDArray[np.float64]
    object_: NDArray[np.complex64]

    def export(self, path: Path, **changes: Any) -> Path:
        """Write the file of `save_ptychopinn_training_data`."""
        y, x = self.positions.T
        bad = np.zeros((PX, PX), bool)
        arrays = {
            "diff3d": self.patterns,
            "bad_pixels": bad,
            "xcoords": x,
            "ycoords": y,
            "xcoords_start": x,
            "ycoords_start": y,
            "probeGuess": self.probe,
            "objectGuess": self.object_,
            "scan_index": np.zeros(len(x), int),
            **changes,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
        return path


def measure(modes: int = 1, seed: int = 0, photons: float = 1e5, size: int = PX, step: float = 4.0) -> Measured:
    """Jittered positions (48 of them) on an object that is wider than high, its box centred as the client's."""
    rng = np.random.default_rng(seed)
    rows, columns = size + 26, size + 34
    grid = np.mgrid[0:24:step, 0:32:step].reshape(2, -1).T
    positions = grid + rng.uniform(-0.8, 0.8, grid.shape)
    positions += (np.array([rows - 1, columns - 1]) - positions.min(0) - positions.max(0)) / 2
    grains = gaussian_filter(rng.normal(size=(2, rows, columns)), (0, 2, 2))
    grains /= grains.std()
    object_ = ((1 - 0.1 * np.abs(grains[0])) * np.exp(0.4j * grains[1])).astype(np.complex64)
    probe = torch.from_numpy(np.asarray(make_probe("gaussian", size, modes=modes, photons_per_pattern=photons)))
    model = DiffractionModel()
    expected = model(torch.from_numpy(object_), torch.from_numpy(positions + 0.5), probe.to(torch.complex64))
    counts = count_photons(expected, torch.Generator().manual_seed(seed))
    return Measured(counts.numpy().astype(np.uint16), probe.numpy().astype(np.complex64), positions, object_)


class Losses(Callback):
    """Takes notes as the client's callback does."""

    def __init__(self, train_name: str, val_name: str) -> None:
        self.names = (train_name, val_name)
        self.calls: list[tuple[str, int, float]] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.calls.append(("train", trainer.current_epoch, float(trainer.callback_metrics[self.names[0]])))

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.calls.append(("val", trainer.current_epoch, float(trainer.callback_metrics[self.names[1]])))


@dataclass(frozen=True)
class Run:
    """A finished training."""

    model: PtychoModel
    loader: PtychoDataLoader
    trainer: Trainer
    losses: list[tuple[str, int, float]]

    @property
    def folder(self) -> Path:
        assert self.loader.output_dir is not None
        return self.loader.output_dir


def manager(**changes: Any) -> ConfigManager:
    """Small settings on the CPU; fields by name, or `training_config={...}` for those of two classes."""
    small = ConfigManager(
        data_config=DataConfig(N=PX, C=4, K=6, n_subsample=1, x_bounds=(0.0, 1.0), y_bounds=(0.0, 1.0)),
        model_config=ModelConfig(n_filters_scale=1, cbam_encoder=False),
        training_config=TrainingConfig(epochs=2, batch_size=2, learning_rate=0.01, device="cpu", num_workers=0),
        inference_config=InferenceConfig(),
        datagen_config=DatagenConfig(),
    )
    small.update(**changes)
    return small


def client_training(data_dir: Path, output_dir: Path | None, config_manager: ConfigManager) -> Run:
    """The client's calls, in its order, with a callback whose class no other process could import."""

    class Local(Losses):
        pass

    loader = PtychoDataLoader(
        data_dir=data_dir,
        config_manager=config_manager,
        data_format=DataloaderFormats("lightning_only_module"),
        output_dir=output_dir,
    )
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=config_manager)
    trainer = Trainer._from_lightning(
        model=model, dataloader=loader, orchestration="lightning", config_manager=config_manager
    )
    assert model.model is not None
    collector = Local(model.model.loss_name, model.model.val_loss_name)
    trainer._trainer.callbacks.append(collector)
    trainer.train(orchestration="lightning", experiment_name="")
    return Run(model, loader, trainer, collector.calls)


@pytest.fixture(scope="session")
def measured() -> Measured:
    return measure()


@pytest.fixture(scope="session")
def finished(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A training of three epochs on one file; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    measured.export(folder / "in" / "train_data.npz")
    return client_training(folder / "in", folder / "out", manager(epochs=3))


@pytest.fixture
def make() -> Callable[..., Measured]:
    return measure


@pytest.fixture(scope="session")
def settings() -> Callable[..., ConfigManager]:
    return manager


@pytest.fixture
def train() -> Callable[[Path, Path | None, ConfigManager], Run]:
    return client_training
