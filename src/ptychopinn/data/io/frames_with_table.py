"""Patterns in a stack or as single frames, with a table of positions beside them."""

from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import finished_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.in_metres import scan_arguments
from ptychopinn.data.io.arrays import (
    LIST_SUFFIXES,
    PATTERN_SUFFIXES,
    frames_in,
    frames_listed,
    read_patterns,
)
from ptychopinn.data.io.door import npy_header
from ptychopinn.data.io.formats import Content, FileFormat, Reading, building_command
from ptychopinn.data.io.limits import with_given
from ptychopinn.data.io.position_table import PositionTable
from ptychopinn.data.io.rules import position_offset_px, zero_frequency_centred
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError

_NUMBERS = {"energy_eV": "--energy-ev", "distance_m": "--distance", "detector_pixel_m": "--detector-pixel"}


@final
class FramesWithTable(FileFormat):
    """TIFF stacks, NPY and HDF5 arrays, folders and lists of frames, with positions in a table of CSV beside them.

    The table is named as the patterns (`stack.csv` or `stack_positions.csv` for `stack.tif`) or `positions.csv`.
    Positions in px need nothing else; lengths need photon energy, distance and detector pixel (settings of `data`).
    """

    name: ClassVar[str] = "frames with a table of positions"
    reads: ClassVar[tuple[Content, ...]] = ("scan",)
    takes_probe: ClassVar[bool] = True
    finishes: ClassVar[bool] = True
    last: ClassVar[bool] = True

    def sniff(self, file: SourceFile) -> bool:
        """Only with a table beside it."""
        return table_beside(file.path) is not None and _holds_frames(file)

    def read_scan(self, path: Path, reading: Reading) -> Scan:
        beside = table_beside(path)
        if beside is None:
            raise ScanError(f"{path}: must have a table of positions beside it, as {_tables(path)[0]}; write one")
        options, table = reading.data, PositionTable.read(beside)
        in_px, frames = table.is_in_px(options.position_unit), read_patterns(path)
        if in_px:
            return _scan(frames, {"positions_px": _pixels(table, frames, options)}, options, reading.probe, str(path))
        geometry = with_given(Geometry(), options)
        missing = [f"{option} (data.{name})" for name, option in _NUMBERS.items() if getattr(geometry, name) is None]
        if missing:
            raise ScanError(
                f"{beside}: positions in metres need photon energy, distance and pixel of the detector; give "
                f"{', '.join(missing)}, name the columns x_px,y_px, or give "
                f"{building_command(path)}"
            )
        return scan_in_metres(frames, table, geometry, options, reading.probe, str(path))


def table_beside(path: Path) -> Path | None:
    """The table of positions that belongs to a file or folder of patterns, or none."""
    return next((one for one in _tables(path) if one.is_file() and one != path), None)


def scan_in_metres(
    frames: NDArray[Any],
    table: PositionTable,
    geometry: Geometry,
    options: DataConfig,
    probe: NDArray[Any] | None,
    source: str,
) -> Scan:
    """The scan of patterns and a table of positions in metres, or with a unit of length.

    Args:
        frames: (N, H, H), counts unless `data.domain` says otherwise.
        table: of the positions.
        geometry: energy, distance and detector pixel.
        options: how it is read.
        probe: or none, for an estimate.
        source: for messages.

    Raises:
        ScanError: a table that cannot be read, or arrays that are no scan.
    """
    x_m, y_m = table.metres(options.position_unit)
    return _scan(frames, scan_arguments(frames, x_m, y_m, geometry, source), options, probe, source)


def _scan(
    frames: NDArray[Any], known: dict[str, Any], options: DataConfig, probe: NDArray[Any] | None, source: str
) -> Scan:
    if options.fftshift:
        frames, _, metadata = zero_frequency_centred(frames, None, known.get("metadata", {}))
        known["metadata"] = metadata
    domain = "counts" if options.domain == "auto" else options.domain
    reason = "patterns from arrays are counts" if options.domain == "auto" else "given explicitly"
    beam: Any = probe
    scan = Scan(frames, domain, probe=beam, domain_reason=reason, source=source, **known)
    return finished_scan(scan, options)


def _pixels(table: PositionTable, frames: NDArray[Any], options: DataConfig) -> NDArray[np.float64]:
    offset = position_offset_px(frames.shape[-1], options.position_origin, {}, False, str(table.path))
    return np.stack([table.y, table.x], axis=1) + offset


def _tables(path: Path) -> list[Path]:
    names = [f"{path.stem}.csv", f"{path.stem}_positions.csv", "positions.csv"]
    inside = [path / "positions.csv"] if path.is_dir() else []
    return [*inside, *(path.with_name(name) for name in names)]


def _holds_frames(file: SourceFile) -> bool:
    path = file.path
    if path.is_dir():
        return bool(frames_in(path))
    if file.hdf5 is not None:
        from ptychopinn.data.io.hdf5_stack import stacks
        from ptychopinn.data.io.nexus import has_positions

        return len(stacks(file.hdf5)) == 1 and not has_positions(file.hdf5)
    if path.suffix.lower() in LIST_SUFFIXES:
        return file.container == "other" and _is_list(path)
    if file.container == "npy":
        shape, dtype = npy_header(path)
        return len(shape) == 3 and dtype.kind in "uif"
    return file.container == "other" and path.suffix.lower() in PATTERN_SUFFIXES


def _is_list(path: Path) -> bool:
    try:
        listed = frames_listed(path)
    except ScanError:
        return False
    return bool(listed) and listed[0].is_file()
