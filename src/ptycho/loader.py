"""From the dictionary of groups to the container that models take."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho import params
from ptycho._annotated import GroupedData, Table, annotated
from ptychopinn.data import Scan
from ptychopinn.data.io import atomic_path
from ptychopinn.errors import ScanError


class PtychoDataContainer:
    """Groups of patterns in the layout of the TensorFlow contract; arrays are made when they are first asked for.

    `of_groups` makes one of the dictionary of `RawData.generate_grouped_data`; the constructor takes plain arrays.

    Args:
        X: (B, H, W, C) amplitudes.
        Y_I: (B, H, W, C), modulus of the ground truth, or None.
        Y_phi: its argument, rad.
        norm_Y_I: see below; None for the computed one.
        YY_full: the whole object, or None.
        coords_nominal: (B, 1, 2, C), (x, y): group mean minus position, px; `local_offsets` holds where None.
        coords_true: not used; positions are what they are.
        nn_indices: (B, C), into the scan.
        global_offsets: (B, 1, 2, 1), (x, y): group mean, px.
        local_offsets: (B, 1, 2, C), (x, y): group mean minus position, px.
        probeGuess: (H, W) or (modes, H, W) complex.
    """

    def __init__(
        self,
        X: NDArray[Any],
        Y_I: NDArray[Any] | None,
        Y_phi: NDArray[Any] | None,
        norm_Y_I: float | None,
        YY_full: NDArray[Any] | None,
        coords_nominal: NDArray[Any],
        coords_true: NDArray[Any] | None,
        nn_indices: NDArray[Any],
        global_offsets: NDArray[Any],
        local_offsets: NDArray[Any] | None,
        probeGuess: NDArray[Any],
    ) -> None:
        truth = None if Y_I is None or Y_phi is None else np.asarray(Y_I) * np.exp(1j * np.asarray(Y_phi))
        offsets = coords_nominal if local_offsets is None else local_offsets
        entries = {"X_full": X, "Y": truth, "coords_relative": offsets, "coords_offsets": global_offsets}
        self._take({**entries, "nn_indices": nn_indices, "objectGuess": YY_full}, probeGuess)
        if norm_Y_I is not None:
            self.norm_Y_I = float(norm_Y_I)

    @classmethod
    def of_groups(cls, dataset: Mapping[str, Any], probe: NDArray[Any]) -> "PtychoDataContainer":
        """The container of a dictionary of groups, and a probe (H, W) or (modes, H, W)."""
        made = cls.__new__(cls)
        made._take(dataset, probe)
        return made

    @staticmethod
    def from_raw_data_without_pc(
        xcoords: NDArray[Any],
        ycoords: NDArray[Any],
        diff3d: NDArray[Any],
        probeGuess: NDArray[Any],
        scan_index: NDArray[Any] | None,
        objectGuess: NDArray[Any] | None = None,
        N: int | None = None,
        K: int = 7,
        nsamples: int = 1,
    ) -> "PtychoDataContainer":
        """The container of `RawData.from_coords_without_pc`, grouped by `params.cfg["gridsize"]`."""
        from ptycho.raw_data import RawData

        raw = RawData.from_coords_without_pc(xcoords, ycoords, diff3d, probeGuess, scan_index, objectGuess)
        groups = raw.generate_grouped_data(N or raw.scan.pattern_size, K=K, nsamples=nsamples)
        return PtychoDataContainer.of_groups(groups, raw.probeGuess)

    def _take(self, dataset: Mapping[str, Any], probe: NDArray[Any]) -> None:
        self._dataset = dataset
        self._probe: NDArray[np.complex64] = np.asarray(probe, dtype=np.complex64)

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
    probe = property(lambda self: self._probe, doc="(H, W) or (modes, H, W) complex64.")
    nn_indices = property(lambda self: self._dataset["nn_indices"], doc="(B, C) int32, into the scan.")
    coords_nominal = property(lambda self: np.asarray(self.local_offsets), doc="The same values as `local_offsets`.")
    coords = coords_true = coords_relative = coords_nominal
    YY_full = property(lambda self: self._dataset.get("objectGuess"), doc="(Y, X) complex64, the object, if known.")

    @cached_property
    def local_offsets(self) -> NDArray[np.float32]:
        """(B, 1, 2, C), (x, y): group mean minus position, px."""
        return self._annotated("coords_relative")

    @cached_property
    def global_offsets(self) -> NDArray[np.float32]:
        """(B, 1, 2, 1), (x, y): group mean, px."""
        return self._annotated("coords_offsets")

    def as_tf_dataset(self, batch_size: int, shuffle: bool = True) -> Iterator[tuple[Any, Any]]:
        """Batches `((X s, local_offsets), (Y, X s, (X s)^2))` as arrays, s = `params.cfg["intensity_scale"]`."""
        order = np.random.default_rng(params.get("npseed")).permutation(len(self)) if shuffle else np.arange(len(self))
        scale = np.float32(params.cfg.get("intensity_scale", 1.0))
        for rows in np.split(order, range(batch_size, len(order), batch_size)):
            amplitudes = np.asarray(self.X)[rows] * scale
            yield (amplitudes, self.coords_nominal[rows]), (self.Y[rows], amplitudes, np.square(amplitudes))

    def to_npz(self, file_path: str | Path) -> Path:
        """Write the arrays under the names of the constructor's arguments; returns the path."""
        arrays = {name: getattr(self, name) for name in _SAVED} | {"probeGuess": self.probe}
        with atomic_path(file_path) as temporary, temporary.open("wb") as file:
            known: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
            np.savez(file, **known)
        return Path(file_path)

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


_SAVED = (
    *("X", "Y_I", "Y_phi", "norm_Y_I", "YY_full", "coords_nominal", "coords_true", "nn_indices"),
    *("global_offsets", "local_offsets"),
)


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
        return PtychoDataContainer.of_groups(cb(), probeGuess)
    dataset, fraction = cb()
    if which not in ("train", "test"):
        raise ValueError(f"which must be 'train' or 'test' with create_split, got {which!r}")
    first = int(len(dataset["coords_offsets"]) * fraction)
    rows = slice(None, first) if which == "train" else slice(first, None)
    whole, table = dict(dataset), dataset.table if isinstance(dataset, GroupedData) else None
    entries = {key: value if value is None or key == "objectGuess" else value[rows] for key, value in whole.items()}
    part = None if table is None else Table(table.scan, table.index[rows])
    return PtychoDataContainer.of_groups(GroupedData(entries, part), probeGuess)
