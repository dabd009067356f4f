"""Groups of large scans: they stay in their own files, so that no copy in `data/memmap` is needed."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ptycho_torch import dataloader
from ptychopinn.api.client_scans import probes_of, scans_with_probes


class PtychoDataset(dataloader.PtychoDataset):
    """The groups of the scans in a folder, see `ptycho_torch.dataloader.PtychoDataset`.

    Args:
        ptycho_dir: a folder of `*.npz` scans, or one file; large uncompressed arrays are mapped into memory.
        probe_dir: of `*.npz` or `*.npy` probes, one for each scan by name or one for all; None for the scans' own.
        data_dir: has no effect, as `remake_map`: nothing is written.
    """

    def __init__(
        self,
        ptycho_dir: str | Path,
        probe_dir: str | Path | None,
        data_dir: str | Path = "data/memmap",
        remake_map: bool = True,
    ) -> None:
        super().__init__(scans_with_probes(ptycho_dir, probe_dir))

    def calculate_length(self, ptycho_dir: str | Path | None = None) -> tuple[int, list[int]]:
        """See `ptycho_torch.dataloader.PtychoDataset`; of the scans in another folder if one is given."""
        return super().calculate_length() if ptycho_dir is None else type(self)(ptycho_dir, None).calculate_length()

    def get_probes(self, probe_dir: str | Path) -> list[NDArray[Any]]:
        """The probes (H, W) or (M, H, W) of a folder, by name."""
        return probes_of(probe_dir)

    def load_diffraction_data(self, npz_file: str | Path) -> NDArray[Any]:
        """The patterns (N, H, W) of a scan as they were recorded."""
        return self.memory_map_data([npz_file])[0]

    def map_data(self, ptycho_dir: str | Path) -> list[NDArray[Any]]:
        """The same of all scans in a folder."""
        return self.memory_map_data([ptycho_dir])
