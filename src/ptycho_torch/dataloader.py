"""Groups of patterns as PyTorch batches: dictionaries of tensors in the layout (B, C, H, W)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ptycho_torch.helper import physics_scaling_constant, rms_scaling_constant
from ptycho_torch.patch_generator import get_relative_coords, group_coords
from ptychopinn.data import Scan


class PtychoDataset(Dataset[dict[str, Tensor]]):
    """The groups of one or several scans in memory; an item is one group.

    Items hold `images` (C, H, W) float32, amplitudes; `coords_relative` (C, 1, 2) and `coords_center` (1, 1, 2), [x, y]
    in px of the object, relative ones as group centre minus position; `nn_indices` (C,) int64 into the scan;
    `experiment_id`, number of the scan; `rms_scaling_constant` and `physics_scaling_constant` (1, 1, 1), one number for
    each scan.

    Args:
        scans: what was measured.
        data_config: grouping; a `DataConfig`, or a mapping of its fields.
    """

    def __init__(self, scans: Sequence[Scan], data_config: Any) -> None:
        self._amplitudes = [torch.from_numpy(scan.amplitudes()) for scan in scans]
        self._scales = [(rms_scaling_constant(part), physics_scaling_constant(part)) for part in self._amplitudes]
        tables = [group_coords(scan.positions_px[:, 1], scan.positions_px[:, 0], data_config) for scan in scans]
        self._index = [torch.from_numpy(index) for index, _ in tables]
        self._coords = [get_relative_coords(coords) for _, coords in tables]
        self._ends = np.cumsum([len(index) for index in self._index])

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
        }


def batches_of(
    scans: Sequence[Scan], data_config: Any, batch_size: int, shuffle: bool = False
) -> Iterator[dict[str, Tensor]]:
    """Batches of `batch_size` groups; keys as in `PtychoDataset`, with a first axis B."""
    return iter(DataLoader(PtychoDataset(scans, data_config), batch_size=batch_size, shuffle=shuffle))
