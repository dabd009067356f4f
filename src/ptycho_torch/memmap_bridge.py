"""Groups of one scan that stays in its file."""

from pathlib import Path
from typing import Any

from ptycho import params
from ptycho.config.config import InferenceConfig, TrainingConfig, update_legacy_dict
from ptycho.raw_data import RawData


class MemmapDatasetBridge:
    """The scan of a file as `raw_data`; `config` fills `ptycho.params.cfg`, and `memmap_dir` has no effect.

    Raises:
        ScanError: the file is no scan.
    """

    def __init__(
        self, npz_path: str | Path, config: TrainingConfig | InferenceConfig, memmap_dir: str | Path = "data/memmap"
    ) -> None:
        update_legacy_dict(params.cfg, config)
        self.raw_data = RawData.from_file(npz_path)

    def get_grouped_data(self, N: int, K: int, nsamples: int, gridsize: int, seed: int | None = None) -> dict[str, Any]:
        """See `ptycho.raw_data.RawData.generate_grouped_data`."""
        return dict(self.raw_data.generate_grouped_data(N, K, nsamples, seed=seed, gridsize=gridsize))
