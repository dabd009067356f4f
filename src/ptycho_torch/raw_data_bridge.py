"""Measured data of the PyTorch workflows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike, NDArray

from ptycho import params
from ptycho.config.config import update_legacy_dict
from ptycho.raw_data import RawData

if TYPE_CHECKING:
    from ptycho.config.config import InferenceConfig, TrainingConfig


class RawDataTorch(RawData):
    """`ptycho.raw_data.RawData` with the constructor of the PyTorch workflows; the dictionary of groups is the same.

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
        config: "TrainingConfig | InferenceConfig | None" = None,
        **optional: Any,
    ) -> None:
        self.scan = RawData.from_coords(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess, **optional).scan
        if config is not None:
            update_legacy_dict(params.cfg, config)

    @classmethod
    def from_coords(
        cls,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        diff3d: NDArray[Any],
        probeGuess: NDArray[Any],
        scan_index: ArrayLike | None = None,
        objectGuess: NDArray[Any] | None = None,
        **optional: Any,
    ) -> "RawDataTorch":
        """The same as the constructor."""
        return cls(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess, **optional)

    @classmethod
    def from_coords_without_pc(cls, *arrays: Any, **named: Any) -> "RawDataTorch":
        """As `RawData.from_coords_without_pc`."""
        return cls._of(RawData.from_coords_without_pc(*arrays, **named))

    @classmethod
    def from_file(cls, path: str | Path) -> "RawDataTorch":
        """As `RawData.from_file`."""
        return cls._of(RawData.from_file(path))

    @classmethod
    def _of(cls, data: RawData) -> "RawDataTorch":
        made = cls.__new__(cls)
        made.scan = data.scan
        return made
