"""Measured data of the PyTorch workflows."""

from typing import Any

from numpy.typing import ArrayLike, NDArray

from ptycho import params
from ptycho.config.config import InferenceConfig, TrainingConfig, update_legacy_dict
from ptycho.raw_data import RawData


class RawDataTorch(RawData):
    """`ptycho.raw_data.RawData` with the constructor of the PyTorch workflows.

    The arrays are those of `RawData`, `optional` its other ones; a `config` fills `ptycho.params.cfg`.

    Args:
        xcoords: (N,), columns of the patches in the object frame, px.
        ycoords: (N,), rows.
        diff3d: (N, H, W), amplitudes or counts.
        probeGuess: (H, W), (H, W, 1) or (modes, H, W) complex.
        scan_index: (N,), which object a pattern belongs to.
        objectGuess: (Y, X) complex.
        config: fills `ptycho.params.cfg`, where given.
        optional: `xcoords_start`, `ycoords_start`, `Y`, `domain`, `bad_pixels` as for `RawData`.

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
