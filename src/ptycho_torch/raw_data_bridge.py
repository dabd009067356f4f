"""Measured data of the PyTorch workflows."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from ptycho import params
from ptycho.config.config import InferenceConfig, TrainingConfig, update_legacy_dict
from ptycho.raw_data import RawData


class RawDataTorch(RawData):
    """`ptycho.raw_data.RawData` with the constructor of the PyTorch workflows.

    `config` fills `ptycho.params.cfg`; `optional` are `xcoords_start`, `ycoords_start`, `Y`, `domain`, `bad_pixels`.

    Raises:
        ScanError: arrays that make no scan.
    """

    def __init__(
        self,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        diff3d: NDArray[Any],
        probeGuess: NDArray[Any],
        scan_index: ArrayLike | None = None,
        objectGuess: NDArray[Any] | None = None,
        config: TrainingConfig | InferenceConfig | None = None,
        **optional: Any,
    ) -> None:
        self.scan = RawData.from_coords(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess, **optional).scan
        if config is not None:
            update_legacy_dict(params.cfg, config)
