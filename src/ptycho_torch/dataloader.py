"""Groups of patterns as PyTorch batches: dictionaries of tensors in the layout (B, C, H, W)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ptycho.config.execution import PyTorchExecutionConfig
from ptycho_torch.config_params import DataConfig
from ptycho_torch.to_recipe import recipe_of
from ptychopinn.api.client_scans import client_scan
from ptychopinn.api.client_scans import scans_of as scans_of
from ptychopinn.data.dataset import scaling_constants
from ptychopinn.training.by_hand import ScanGroups


class PtychoDataset(Dataset[dict[str, Tensor]]):
    """The groups of one or several scans; an item is one group.

    Items hold `images` (C, H, W) float32, amplitudes, sqrt(photons); `coords_relative` (C, 1, 2) and `coords_center`
    (1, 1, 2), [x, y] in px of the object, relative ones as group centre minus position; `nn_indices` (C,) int64 into
    the scan; `experiment_id`, number of the scan; `rms_scaling_constant` and `physics_scaling_constant` (1, 1, 1), one
    number for each scan; `probe` (modes, H, W) complex64, sqrt(photons).

    Args:
        scans: a folder or file, `RawData`, a container, a `Scan`, or several of them.
        data_config: grouping; a `DataConfig`, or a mapping of its fields.

    Raises:
        ScanError: a file that is no scan, or a container of arrays that came without their scan.
        TypeError: anything else.
    """

    def __init__(self, scans: Any, data_config: Any = None) -> None:
        self.data_config = DataConfig() if data_config is None else data_config
        self.scans = scans_of(scans)
        self._parts: list[ScanGroups] = []
        self._scales: list[tuple[float, float]] = []
        for scan in self.scans:
            part = ScanGroups(scan, recipe_of(self.data_config, {}, {}, {}, n_patterns=len(scan)))
            self._parts.append(part)
            self._scales.append(scaling_constants(part.tensors))
        self._ends = np.cumsum([len(part) for part in self._parts])

    @classmethod
    def from_np(
        cls,
        diff_patterns: NDArray[Any],
        probe: NDArray[Any],
        positions: NDArray[Any],
        model_config: Any = None,
        data_config: Any = None,
        scaling_constant: float | None = None,
    ) -> Self:
        """One scan of arrays as ptychodus has them; see `ptycho_torch.api.data_loader.PtychoDataLoader.from_np`.

        `model_config` and `scaling_constant` have no effect: the scale follows from the counts.
        """
        return cls([client_scan(diff_patterns, probe, positions)], data_config)

    def calculate_length(self) -> tuple[int, list[int]]:
        """Groups of all scans, and the number of the first group of each scan and of the end."""
        return len(self), [0, *self._ends.tolist()]

    def memory_map_data(self, image_paths: Sequence[str | Path]) -> list[NDArray[Any]]:
        """The patterns (N, H, W) of the scans in files or folders; large ones are mapped into memory."""
        return [scan.patterns for path in image_paths for scan in scans_of(path)]

    def get_experiment_dataset(self, experiment_idx: int) -> Self:
        """The groups of one scan.

        Raises:
            IndexError: no such scan.
        """
        if not 0 <= experiment_idx < len(self.scans):
            raise IndexError(f"experiment {experiment_idx} of {len(self.scans)}; count from 0")
        return type(self)([self.scans[experiment_idx]], self.data_config)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, item: int) -> dict[str, Tensor]:
        if not 0 <= item < len(self):
            raise IndexError(f"group {item} of {len(self)}")
        number = int(np.searchsorted(self._ends, item, side="right"))
        part = self._parts[number]
        group = part[item - int(self._ends[number]) + len(part)]
        index = group.index[0]
        centre = part.tensors.positions_px[index].mean(0).flip(-1).float()
        rms, physics = (torch.full((1, 1, 1), scale) for scale in self._scales[number])
        return {
            "images": group.amplitude[0],
            "coords_relative": -group.relative_px[0].flip(-1)[:, None],
            "coords_center": centre[None, None],
            "nn_indices": index,
            "experiment_id": torch.tensor(number),
            "rms_scaling_constant": rms,
            "physics_scaling_constant": physics,
            "probe": part.probe,
        }


class TensorDictDataLoader(DataLoader[dict[str, Tensor]]):
    """A `torch.utils.data.DataLoader` of dictionaries of tensors."""


def loading(execution: PyTorchExecutionConfig) -> dict[str, Any]:
    """Arguments of a `DataLoader` by the execution settings: workers, pinned memory, and what they fetch ahead."""
    names = ["num_workers", "pin_memory"]
    if execution.num_workers:
        names += ["persistent_workers", "prefetch_factor"]
    return {name: getattr(execution, name) for name in names}


def batches_of(scans: Any, data_config: Any, batch_size: int, shuffle: bool = False) -> Iterator[dict[str, Tensor]]:
    """Batches of `batch_size` groups; keys as in `PtychoDataset`, with a first axis B."""
    return iter(TensorDictDataLoader(PtychoDataset(scans, data_config), batch_size=batch_size, shuffle=shuffle))
