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
from ptycho_torch.helper import physics_scaling_constant, rms_scaling_constant
from ptycho_torch.patch_generator import get_relative_coords, group_coords
from ptycho_torch.to_recipe import recipe_of
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.models import prepare_probe, scan_scale


class PtychoDataset(Dataset[dict[str, Tensor]]):
    """The groups of one or several scans in memory; an item is one group.

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
        recipe = recipe_of(self.data_config, {}, {}, {})
        self._amplitudes = [torch.from_numpy(scan.amplitudes()) for scan in self.scans]
        self._scales = [(rms_scaling_constant(part), physics_scaling_constant(part)) for part in self._amplitudes]
        tables = [
            group_coords(scan.positions_px[:, 1], scan.positions_px[:, 0], self.data_config) for scan in self.scans
        ]
        probes = [prepare_probe(scan.probe, recipe.model.probe) for scan in self.scans]
        pairs = zip(self.scans, probes, strict=True)
        self._probes = [probe * scan_scale(recipe, ScanTensors(scan), probe)[0] for scan, probe in pairs]
        self._index = [torch.from_numpy(index) for index, _ in tables]
        self._coords = [get_relative_coords(coords) for _, coords in tables]
        self._ends = np.cumsum([len(index) for index in self._index])

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

        Args:
            diff_patterns: (N, H, W) counts.
            probe: (H, W) or (modes, H, W) complex.
            positions: (N, 2), (y, x), px.
            model_config: not used; nothing of a network decides a batch.
            data_config: grouping.
            scaling_constant: not used; the scale follows from the counts.
        """
        from ptycho_torch.api.scans import client_scan

        return cls([client_scan(diff_patterns, probe, positions)], data_config)

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
        scan = int(np.searchsorted(self._ends, item, side="right"))
        row = item - int(self._ends[scan]) + len(self._index[scan])
        center, relative = self._coords[scan]
        rms, physics = self._scales[scan]
        return {
            "images": self._amplitudes[scan][self._index[scan][row]],
            "coords_relative": torch.from_numpy(relative[row].astype(np.float32)),
            "coords_center": torch.from_numpy(center[row].astype(np.float32)),
            "nn_indices": self._index[scan][row],
            "experiment_id": torch.tensor(scan),
            "rms_scaling_constant": torch.full((1, 1, 1), rms),
            "physics_scaling_constant": torch.full((1, 1, 1), physics),
            "probe": self._probes[scan],
        }


class TensorDictDataLoader(DataLoader[dict[str, Tensor]]):
    """A `torch.utils.data.DataLoader` of dictionaries of tensors."""


def loading(execution: PyTorchExecutionConfig) -> dict[str, Any]:
    """Arguments of a `DataLoader` by the execution settings: workers, pinned memory, and what they fetch ahead."""
    plain = {"num_workers": execution.num_workers, "pin_memory": execution.pin_memory}
    if not execution.num_workers:
        return plain
    return {
        **plain,
        "persistent_workers": execution.persistent_workers,
        "prefetch_factor": execution.prefetch_factor,
    }


def scans_of(source: Any) -> list[Scan]:
    """The scans of a folder or file, of `RawData`, a container or a `Scan`, or of a list of them.

    Raises:
        ScanError: a file that is no scan, or a container of arrays that came without their scan.
        TypeError: anything else.
    """
    from ptycho_torch.api.scans import scan_files

    if isinstance(source, str | Path):
        return [read_scan(path) for path in scan_files(Path(source))]
    if isinstance(source, Scan):
        return [source]
    if isinstance(scan := getattr(source, "scan", None), Scan):
        return [scan]
    if isinstance(source, Sequence) and source:
        return [scan for one in source for scan in scans_of(one)]
    raise TypeError(f"a {type(source).__name__} is no data; give a folder, a file, RawData or a container")


def batches_of(scans: Any, data_config: Any, batch_size: int, shuffle: bool = False) -> Iterator[dict[str, Tensor]]:
    """Batches of `batch_size` groups; keys as in `PtychoDataset`, with a first axis B."""
    return iter(TensorDictDataLoader(PtychoDataset(scans, data_config), batch_size=batch_size, shuffle=shuffle))
