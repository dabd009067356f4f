"""Measured data under the legacy names, and the dictionary of groups made from them."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho import params
from ptycho._annotated import GroupedData
from ptycho._groups import group_arrays, nominal_positions, whole_scan
from ptycho.metadata import MetadataManager
from ptycho.probe import as_modes
from ptychopinn.data import Scan, legacy_groups, read_scan
from ptychopinn.data.io.entries import geometry_entries
from ptychopinn.data.io.npz_scan import write_npz
from ptychopinn.data.io.rules import decide_domain, position_offset_px
from ptychopinn.errors import ScanError
from ptychopinn.simulation import record_scan

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
        norm_Y_I: not used, the counts have their scale.
        metadata: of the file, plain values.
        domain: what `diff3d` holds, amplitudes or counts; `auto` decides by the evidence, as for files.
        bad_pixels: (H, W) or (N, H, W) bool, True where nothing was measured.

    Raises:
        ScanError: arrays that make no scan.
    """

    _samples_multiply = False
    """Whether `nsamples` counts groups of each pattern, as the settings of ptychodus mean it."""

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
        norm_Y_I: Any = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        domain: DomainChoice = "auto",
        bad_pixels: NDArray[Any] | None = None,
    ) -> None:
        patterns, about = np.asarray(diff3d), dict(metadata or {})
        decided, reason = decide_domain(patterns, None, domain, about, "memory")
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
            metadata={key: value for key, value in about.items() if key != "measurement_domain"},
        )

    @classmethod
    def of_scan(cls, scan: Scan) -> Self:
        """A scan of the core under the legacy names."""
        data = cls.__new__(cls)
        data.scan = scan
        return data

    @classmethod
    def from_file(
        cls, train_data_file_path: str | Path, validate_config: bool = False, current_config: Any = None
    ) -> Self:
        """Read a file of any format that `ptychopinn.read_scan` knows.

        Args:
            train_data_file_path: of the file.
            validate_config: warn where the metadata of the file contradict `current_config`.
            current_config: a `TrainingConfig`.

        Raises:
            ScanError: the file is no scan.
        """
        data = cls.of_scan(read_scan(Path(train_data_file_path)))
        if validate_config and current_config is not None:
            for sentence in MetadataManager.validate_parameters(data.metadata, current_config):
                logger.warning("%s: %s", train_data_file_path, sentence)
        return data

    @classmethod
    def from_files(cls, train_data_file_path: str | Path, test_data_file_path: str | Path) -> tuple[Self, Self]:
        """Both scans, as `from_file` reads them."""
        return cls.from_file(train_data_file_path), cls.from_file(test_data_file_path)

    @classmethod
    def from_simulation(
        cls,
        xcoords: ArrayLike,
        ycoords: ArrayLike,
        probeGuess: NDArray[Any],
        objectGuess: NDArray[Any],
        scan_index: ArrayLike | None = None,
        *,
        nphotons: float | None = None,
        seed: int | None = None,
        **record: Any,
    ) -> Self:
        """Record an object with a probe at given positions: counts with the true object, and labels as `Y`.

        Args:
            xcoords: (N,), columns of the patches in the object, px: where patch element (N//2, N//2) lies.
            ycoords: (N,), rows.
            probeGuess: (H, W), (H, W, 1) or (modes, H, W) complex.
            objectGuess: (Y, X) complex.
            scan_index: (N,), which object a pattern belongs to.
            nphotons: mean counts of a pattern; `params.cfg["nphotons"]` by default, 0 for a probe in sqrt(photons).
            seed: of the counts; `params.cfg["npseed"]` by default.
            record: `poisson_noise`, `labels`, `beamstop_diameter_px` of `ptychopinn.simulation.record_scan`.

        Raises:
            PtychoPINNError: a patch leaves the object.
        """
        photons = float(params.get("nphotons")) if nphotons is None else nphotons
        seed = int(params.get("npseed")) if seed is None else seed
        about = {"simulated": True, "seed": seed, "object_guess": "true object"}
        how = {"labels": True, "seed": seed, "metadata": about, "mean_photons": photons or None, **record}
        object_, probe = np.asarray(objectGuess, np.complex64), as_modes(probeGuess)
        scan = record_scan(object_, probe, _pairs(xcoords, ycoords), **how)
        return cls.of_scan(scan if scan_index is None else replace(scan, scan_index=np.asarray(scan_index, np.int64)))

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
        made = cls.of_scan(replace(scan, positions_px=scan.positions_px + offset))
        made._samples_multiply = scan.domain == "counts"
        return made

    def to_file(self, file_path: str | Path) -> Path:
        """Write an NPZ that `from_file` gives back exactly; returns the path."""
        return write_npz(self.scan, file_path)

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

        With `nsamples` 1 the whole scan is grouped, each pattern as the first of one group. A larger number, or
        `n_groups`, is how many groups are drawn in all, the same ones for the same seed as in legacy PtychoPINN. For
        data of `from_coords_without_pc` with counts, which ptychodus hands over, `nsamples` counts groups of each
        pattern, as its settings mean it.

        Args:
            N: rows (and columns) of the patterns.
            K: nearest neighbours from which a group is drawn, also named `neighbor_count`; raised to what it needs.
            nsamples: see above.
            dataset_path: file of the data. Groups of the whole scan are kept beside it for the next time.
            seed: of the draws; for a number of groups, None goes on with numpy's global stream.
            sequential_sampling: take the first patterns instead of drawing.
            gridsize: a group holds gridsize^2 patterns; `params.cfg["gridsize"]` by default.
            enable_oversampling: allow more groups than patterns; `neighbor_pool_size` then replaces K.

        Returns:
            `diffraction` (n, N, N, C), integers in their type, else float32; `X_full` float32, amplitudes whose mean
            of sum X^2 is (N/2)^2; `coords_offsets` (n, 1, 2, 1), mean (x, y) of each group; `coords_relative`
            (n, 1, 2, C), that mean minus the position; `coords_nn` (n, 1, 2, C), the positions; these three with
            `coords_start_` for nominal positions; `nn_indices` (n, C) int32; `Y` (n, N, N, C), ground truth or None;
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
        if n_groups is None and nsamples > 1 and not self._samples_multiply:
            n_groups = nsamples
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
