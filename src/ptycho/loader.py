"""From the dictionary of groups to the container that models take."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho._annotated import GroupedData, Table, annotated
from ptychopinn.data import Scan
from ptychopinn.errors import ScanError


class PtychoDataContainer:
    """Groups of patterns in the layout of the TensorFlow contract; arrays are made when they are first asked for.

    `dataset` is the dictionary of `RawData.generate_grouped_data`, `probe` (H, W) or (modes, H, W) complex.

    Args:
        dataset: the dictionary of `RawData.generate_grouped_data`.
        probe: (H, W) or (modes, H, W) complex.
    """

    def __init__(self, dataset: Mapping[str, Any], probe: NDArray[Any]) -> None:
        self._dataset = dataset
        self.probe: NDArray[np.complex64] = np.asarray(probe, dtype=np.complex64)

    @cached_property
    def X(self) -> NDArray[np.float32]:
        """(B, H, W, C) amplitudes; the mean over patterns of sum X^2 is (N/2)^2."""
        return self._annotated("X_full")

    @cached_property
    def Y(self) -> NDArray[np.complex64]:
        """(B, H, W, C) ground truth; 1 where there is none."""
        truth = self._dataset.get("Y")
        return np.ones(self.X.shape, np.complex64) if truth is None else np.asarray(truth, np.complex64)

    Y_I = property(lambda self: np.abs(self.Y), doc="(B, H, W, C) float32, modulus of `Y`.")
    Y_phi = property(lambda self: np.angle(self.Y), doc="(B, H, W, C) float32, argument of `Y`, rad.")
    nn_indices = property(lambda self: self._dataset["nn_indices"], doc="(B, C) int64, into the scan.")
    coords_nominal = property(lambda self: np.asarray(self.local_offsets), doc="The same values as `local_offsets`.")
    coords_true = coords_nominal

    @cached_property
    def local_offsets(self) -> NDArray[np.float32]:
        """(B, 1, 2, C), (x, y): group mean minus position, px."""
        return self._annotated("coords_relative")

    @cached_property
    def global_offsets(self) -> NDArray[np.float32]:
        """(B, 1, 2, 1), (x, y): group mean, px."""
        return self._annotated("coords_offsets")

    @cached_property
    def norm_Y_I(self) -> float:
        """Factor that gives `X` the photons of `params.cfg["nphotons"]` per pattern."""
        from ptycho.diffsim import scale_nphotons

        return scale_nphotons(self.X)

    @property
    def table(self) -> Table | None:
        """Which patterns of which scan these are; None where the dictionary came without its scan."""
        return self._dataset.table if isinstance(self._dataset, GroupedData) else None

    @property
    def scan(self) -> Scan:
        """The patterns of the groups, each once; a `ScanError` where the dictionary came without its scan.

        Raises:
            ScanError: the dictionary came without its scan.
        """
        if self.table is None:
            raise ScanError("the container was made of arrays that came without their scan; give RawData instead")
        members = np.unique(self.table.index)
        scan = self.table.scan
        return scan if len(members) == len(scan) else scan.select(members)

    def __len__(self) -> int:
        return len(self._dataset["coords_offsets"])

    def __repr__(self) -> str:
        return f"PtychoDataContainer({len(self)} groups of {self._dataset['coords_relative'].shape[-1]})"

    def _annotated(self, key: str) -> NDArray[np.float32]:
        values = np.asarray(self._dataset[key], np.float32)
        return values if self.table is None else annotated(values, self.table)


def load(
    cb: Callable[[], Any], probeGuess: NDArray[Any], which: str | None = None, create_split: bool = False
) -> PtychoDataContainer:
    """The container of the dictionary of groups that `cb` makes; `probeGuess` as `probe` there.

    With `create_split`, `cb` makes the dictionary and the fraction of it that is for training; `which` is `train` for
    the first groups or `test` for the others, and a `ValueError` follows from another word.

    Args:
        cb: makes the dictionary; with `create_split` the dictionary and the part of it that is for training.
        probeGuess: (H, W), (H, W, 1) or (modes, H, W) complex.
        which: with `create_split`, `train` takes the first groups and `test` the rest.
        create_split: whether to split.

    Raises:
        ValueError: a split is asked for without saying which part.
    """
    if not create_split:
        return PtychoDataContainer(cb(), probeGuess)
    dataset, fraction = cb()
    if which not in ("train", "test"):
        raise ValueError(f"which must be 'train' or 'test' with create_split, got {which!r}")
    first = int(len(dataset["coords_offsets"]) * fraction)
    rows = slice(None, first) if which == "train" else slice(first, None)
    whole, table = dict(dataset), dataset.table if isinstance(dataset, GroupedData) else None
    entries = {key: value if value is None or key == "objectGuess" else value[rows] for key, value in whole.items()}
    part = None if table is None else Table(table.scan, table.index[rows])
    return PtychoDataContainer(GroupedData(entries, part), probeGuess)
