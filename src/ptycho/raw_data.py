"""Measured data under the legacy names, and the dictionary of groups made from them."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho import params
from ptycho._annotated import GroupedData
from ptycho._groups import group_arrays, nominal_positions, whole_scan
from ptychopinn.data import Scan, legacy_groups, read_scan
from ptychopinn.data.io.entries import geometry_entries
from ptychopinn.data.io.npz_scan import write_npz
from ptychopinn.data.io.rules import decide_domain, position_offset_px
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.ptycho")

PositionOrigin = Literal["auto", "element", "centre"]
DomainChoice = Literal["auto", "amplitude", "counts"]


class RawData:
    """One scan; the attributes have the names of the NPZ file, and are described below.

    Positions mean patch element (N//2, N//2). Patterns stay in their recorded type, (N, H, W). A `ScanError` where the
    arrays make no scan.

    Args:
        probeGuess: (H, W), (H, W, 1) or (modes, H, W) complex.
        scan_index: all 0 by default; the nominal positions are the positions by default.
        domain: what `diff3d` holds, amplitudes or counts; `auto` decides by the evidence, as for files.
        bad_pixels: (H, W) or (N, H, W) bool, True where nothing was measured.

    Raises:
        ScanError: arrays that make no scan.
    """

    def __init__(
        self,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        xcoords_start: ArrayLike | None,
        ycoords_start: ArrayLike | None,
        diff3d: NDArray[Any],
        probeGuess: NDArray[Any],
        scan_index: ArrayLike | None = None,
        objectGuess: NDArray[Any] | None = None,
        Y: NDArray[Any] | None = None,
        *,
        domain: DomainChoice = "auto",
        bad_pixels: NDArray[Any] | None = None,
    ) -> None:
        patterns = np.asarray(diff3d)
        decided, reason = decide_domain(patterns, None, domain, {}, "memory")
        nominal = None if xcoords_start is None or ycoords_start is None else _pairs(xcoords_start, ycoords_start)
        self.scan = Scan.create(
            patterns,
            _pairs(xcoords, ycoords),
            np.asarray(probeGuess),
            domain=decided,
            domain_reason=reason,
            nominal_positions_px=nominal,
            object_guess=objectGuess,
            truth_patches=Y,
            bad_pixels=bad_pixels,
            scan_index=None if scan_index is None else np.asarray(scan_index),
        )

    @classmethod
    def of_scan(cls, scan: Scan) -> Self:
        """A scan of the core under the legacy names."""
        data = cls.__new__(cls)
        data.scan = scan
        return data

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a file of any format that `ptychopinn.read_scan` knows; `ScanError` where it is no scan.

        Raises:
            ScanError: the file is no scan.
        """
        return cls.of_scan(read_scan(Path(path)))

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
    ) -> Self:
        """Data whose nominal positions are their positions; `optional` as for the constructor."""
        start = optional.pop("xcoords_start", None), optional.pop("ycoords_start", None)
        made = RawData(xcoords, ycoords, *start, diff3d, probeGuess, scan_index, objectGuess, **optional)
        return cls.of_scan(made.scan)

    @classmethod
    def from_coords_without_pc(
        cls,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        diff3d: NDArray[Any],
        probeGuess: NDArray[Any],
        scan_index: ArrayLike | None = None,
        objectGuess: NDArray[Any] | None = None,
        *,
        domain: DomainChoice = "auto",
        position_origin: PositionOrigin = "auto",
    ) -> Self:
        """Data as ptychodus hands them over at reconstruction.

        ptychodus gives counts, a probe (modes, H, W), and positions of the geometric centre, (N-1)/2. Legacy scripts
        give amplitudes, a probe (H, W), and positions of element (N//2, N//2). With `auto`, a stack of modes means
        counts, else the evidence decides; and counts mean ptychodus, whose positions are converted here.

        Raises:
            ScanError: arrays that make no scan.
        """
        probe = np.asarray(probeGuess)
        if domain == "auto" and probe.ndim == 3 and probe.shape[-1] != 1:
            domain = "counts"
        scan = RawData(xcoords, ycoords, None, None, diff3d, probe, scan_index, objectGuess, domain=domain).scan
        offset = position_offset_px(scan.pattern_size, position_origin, {}, scan.domain == "counts", scan.source)
        found = len(scan), scan.domain, scan.domain_reason, offset
        logger.info("%d patterns, %s (%s); %g px added to positions", *found)
        return cls.of_scan(replace(scan, positions_px=scan.positions_px + offset))

    def to_file(self, path: str | Path) -> Path:
        """Write an NPZ that `from_file` gives back exactly; returns the path."""
        return write_npz(self.scan, path)

    xcoords = property(lambda self: self.scan.positions_px[:, 1], doc="(N,), columns in the object frame, px.")
    ycoords = property(lambda self: self.scan.positions_px[:, 0], doc="(N,), rows in the object frame, px.")
    xcoords_start = property(lambda self: nominal_positions(self.scan)[:, 1], doc="(N,), nominal columns, px.")
    ycoords_start = property(lambda self: nominal_positions(self.scan)[:, 0], doc="(N,), nominal rows, px.")
    diff3d = property(lambda self: self.scan.patterns, doc="(N, H, W), as recorded: of the domain `scan.domain`.")
    objectGuess = property(lambda self: self.scan.object_guess, doc="(Y, X) complex64, where there is one.")
    Y = property(lambda self: self.scan.truth_patches, doc="(N, H, W) complex64, ground-truth patches, if any.")

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of the file beside the arrays."""
        return self.scan.metadata | geometry_entries(self.scan.geometry)

    @property
    def probeGuess(self) -> NDArray[np.complex64]:
        """(H, W), or (modes, H, W) where there are several."""
        return self.scan.probe[0] if len(self.scan.probe) == 1 else self.scan.probe

    @property
    def scan_index(self) -> NDArray[np.int64]:
        """(N,), which object a pattern belongs to."""
        return np.zeros(len(self.scan), np.int64) if self.scan.scan_index is None else self.scan.scan_index

    def __len__(self) -> int:
        return len(self.scan)

    def __repr__(self) -> str:
        return f"RawData({len(self)} patterns of {self.scan.pattern_size} px, {self.scan.domain}, {self.scan.source})"

    def generate_grouped_data(
        self,
        N: int,
        K: int = 4,
        nsamples: int = 1,
        dataset_path: str | Path | None = None,
        seed: int | None = None,
        sequential_sampling: bool = False,
        gridsize: int | None = None,
        enable_oversampling: bool = False,
        neighbor_pool_size: int | None = None,
        n_groups: int | None = None,
        neighbor_count: int | None = None,
    ) -> GroupedData:
        """Groups of neighbouring patterns, as a dictionary.

        Without `n_groups` the whole scan is grouped: each pattern is the first one of `nsamples` groups. With it, so
        many groups are drawn in all, the same ones for the same seed as in legacy PtychoPINN.

        Args:
            N: rows (and columns) of the patterns.
            K: nearest neighbours from which a group is drawn, also named `neighbor_count`; raised to what it needs.
            dataset_path: file of the data. Groups of the whole scan are kept beside it for the next time.
            seed: of the draws; with `n_groups`, None goes on with numpy's global stream.
            sequential_sampling: take the first patterns instead of drawing.
            gridsize: a group holds gridsize^2 patterns; `params.cfg["gridsize"]` by default.
            enable_oversampling: with `n_groups`, allow more groups than patterns; `neighbor_pool_size` then replaces K.

        Returns:
            `diffraction` (n, N, N, C), integers in their type, else float32; `X_full` float32, amplitudes whose mean
            of sum X^2 is (N/2)^2; `coords_offsets` (n, 1, 2, 1), mean (x, y) of each group; `coords_relative`
            (n, 1, 2, C), that mean minus the position; `coords_nn` (n, 1, 2, C), the positions; these three with
            `coords_start_` for nominal positions; `nn_indices` (n, C); `Y` (n, N, N, C), ground truth or None;
            `objectGuess` or None.

        Raises:
            ScanError: another pattern size, too few patterns or neighbours, or more groups than there can be.
        """
        scan = self.scan
        if scan.pattern_size != N:
            raise ScanError(
                f"{scan.source}: N is {N} but the patterns are {scan.pattern_size} px; give N = pattern size"
            )
        size = int(params.get("gridsize") if gridsize is None else gridsize) ** 2
        k = K if neighbor_count is None else neighbor_count
        if n_groups is None:
            index = whole_scan(scan, size, k, nsamples, seed, sequential_sampling, dataset_path)
        else:
            stream = np.random.mtrand._rand  # numpy's global stream, which legacy PtychoPINN draws from
            if seed is not None:
                stream.seed(seed)
            index = legacy_groups(
                scan.positions_px,
                group_size=size,
                neighbors=neighbor_pool_size if enable_oversampling and neighbor_pool_size is not None else k,
                n_groups=n_groups,
                random_state=stream,
                sequential=sequential_sampling,
                oversample=enable_oversampling,
            )
        return group_arrays(scan, index)


def _pairs(xcoords: ArrayLike, ycoords: ArrayLike) -> NDArray[np.float64]:
    x, y = np.asarray(xcoords), np.asarray(ycoords)
    if x.ndim != 1 or x.shape != y.shape:
        raise ScanError(f"coordinates must be two lists of the same length, got shapes {x.shape} and {y.shape}")
    return np.stack([y, x], axis=1)
