"""Scans as the high-level API hands them around."""

import logging
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.api.task_log import CLIENT, client_log
from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptychopinn.api.client_scans import client_scan, scan_files
from ptychopinn.data import Scan, check_sizes, read_scan
from ptychopinn.data.dose import with_photons

logger = logging.getLogger(f"{CLIENT}.data")
VALIDATION_STEP = 10
"""One group of so many is for validation in the loaders of dictionaries."""


class DataloaderFormats(Enum):
    """How patterns reach the training; here all three mean the same scans in memory."""

    LIGHTNING_ONLY_MODULE = "lightning_only_module"
    LIGHTNING_MODULE = "lightning_module"
    PYTORCH = "pytorch"


class DataLoaderProtocol(Protocol):
    """What training and reconstruction ask of a data loader."""

    scans: list[Scan]
    config_manager: ConfigManager
    output_dir: Path | None


class PtychoDataLoader:
    """The scans of a folder, in the order of their names, or of one file; they may have different probes and objects.

    `data_config.N` takes the size of the patterns. Each training makes a folder `run_<timestamp>` in `output_dir`.

    Raises:
        FileNotFoundError: no `*.npz` there.
        ValueError: a file that is no scan, or patterns of different sizes.

    Args:
        data_dir: a folder with one or more scans as `*.npz`, or one such file.
        config_manager: settings of the run.
        data_config: instead of that of the manager, as the next two.
        data_format: has no effect, as `memory_map_dir`; large scans stay in their own files.
        timestamp: of that folder; the present time by default.
    """

    def __init__(
        self,
        data_dir: str | Path,
        config_manager: ConfigManager | None = None,
        data_config: DataConfig | None = None,
        model_config: ModelConfig | None = None,
        training_config: TrainingConfig | None = None,
        data_format: DataloaderFormats = DataloaderFormats.LIGHTNING_MODULE,
        output_dir: str | Path | None = None,
        timestamp: str | None = None,
        memory_map_dir: str | Path = "data/memmap",
    ) -> None:
        config_manager = ConfigManager() if config_manager is None else config_manager
        config_manager.update(data_config, model_config, training_config)
        self.config_manager = config_manager
        self.data_format = DataloaderFormats(data_format)
        self.output_dir = _run_folder(output_dir, timestamp)
        with client_log():
            settings, photons = config_manager.recipe().data, config_manager.data_config.nphotons
            self.scans = [with_photons(read_scan(path, settings), photons) for path in scan_files(Path(data_dir))]
        check_sizes(self.scans)
        size, given = self.pattern_size, config_manager.data_config.N
        if given != size:
            logger.warning("N is %d, but the patterns have %d px: N is taken from them", given, size)
            config_manager.data_config.N = size

    @classmethod
    def from_np(
        cls,
        diff_patterns: NDArray[Any],
        probe: NDArray[Any],
        positions: NDArray[Any],
        config_manager: ConfigManager,
        bad_pixels: NDArray[np.bool_] | None = None,
        output_dir: str | Path | None = None,
    ) -> "PtychoDataLoader":
        """One scan from arrays, as a client holds it.

        The image gets the frame of the client's own object, see `ptychopinn.api.client_scans.client_scan`.

        Args:
            diff_patterns: (N, H, W) counts, in any real type.
            probe: (H, W) or (M, H, W) complex.
            positions: (N, 2), (y, x), object pixels, of the geometric centre of each patch.
            bad_pixels: (H, W) or (N, H, W), True where nothing was measured.

        Raises:
            ValueError: arrays that make no scan.
        """
        loader = cls.__new__(cls)
        loader.config_manager, loader.output_dir = config_manager, _run_folder(output_dir, None)
        loader.data_format = DataloaderFormats.LIGHTNING_ONLY_MODULE
        with client_log():
            loader.scans = [client_scan(diff_patterns, probe, positions, bad_pixels)]
        return loader

    def __len__(self) -> int:
        return sum(map(len, self.scans))

    @property
    def pattern_size(self) -> int:
        """Rows (and columns) of a pattern."""
        return self.scans[0].pattern_size

    def module_train_dataloader(self) -> Any:
        """The groups for training as a `TensorDictDataLoader`, shuffled: all but those of `module_val_dataloader`."""
        return self._dictionaries(validation=False)

    def module_val_dataloader(self) -> Any:
        """Every tenth group, in order. Its patterns also occur in other groups: the trainer's own split is regional."""
        return self._dictionaries(validation=True)

    def _dictionaries(self, validation: bool) -> Any:
        from torch.utils.data import Subset

        from ptycho_torch.dataloader import PtychoDataset, TensorDictDataLoader

        training = self.config_manager.training_config
        data = PtychoDataset(self.scans, self.config_manager.data_config)
        rows = [row for row in range(len(data)) if (row % VALIDATION_STEP == 0) == validation]
        workers: dict[str, Any] = {"num_workers": training.num_workers, "persistent_workers": training.num_workers > 0}
        return TensorDictDataLoader(Subset(data, rows), training.batch_size, shuffle=not validation, **workers)

    def batches(self) -> Iterator[dict[str, Any]]:
        """Batches of groups as dictionaries, see `ptycho_torch.dataloader.PtychoDataset`."""
        from ptycho_torch.dataloader import batches_of

        manager = self.config_manager
        return batches_of(self.scans, manager.data_config, manager.training_config.batch_size)


def _run_folder(output_dir: str | Path | None, timestamp: str | None) -> Path | None:
    """The folder of a run in a folder, if there is one."""
    return None if output_dir is None else Path(output_dir) / f"run_{timestamp or f'{datetime.now():%Y%m%d_%H%M%S_%f}'}"
