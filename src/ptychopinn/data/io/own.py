"""What other programs' layouts have no place for: a group `ptychopinn` that they ignore."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import PixelSize, plain_pixel
from ptychopinn.data.io.entries import geometry_entries, plain_json
from ptychopinn.data.io.hdf5 import array, find, find_dataset, place, text, write_values
from ptychopinn.data.io.nominal import Completed
from ptychopinn.data.scan import Scan
from ptychopinn.errors import OutputError, ScanError

GROUP = "ptychopinn"
ERROR_BARS = ("amplitude_error", "phase_error")
"""Arrays of a reconstruction, on its canvas."""
_ARRAYS = ("origin_px", "nominal_positions_px", "scan_index", "truth_patches", "bad_pixels", "coverage", *ERROR_BARS)


@dataclass(frozen=True, eq=False)
class Own:
    """Content of the group."""

    origin_px: NDArray[np.float64]
    """(2,), (y, x): coordinate, in the frame of the scan, of what the file calls the object's element (0, 0)."""
    metadata: dict[str, Any]
    """Of the scan or result, as they were."""
    pixel_m: PixelSize
    """(y, x): object pixel by which positions were turned into metres."""
    nominal: tuple[str, ...] = ()
    """Numbers of the file that nobody measured."""
    empty_object: bool = False
    """The object of the file only fills a place."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Further arrays by name."""


def write_own(
    parent: h5py.Group,
    metadata: Mapping[str, Any],
    known: Completed,
    *,
    origin_px: Any = (0, 0),
    empty_object: bool = False,
    arrays: Mapping[str, Any] | None = None,
) -> None:
    """Add the group below `parent`.

    Raises:
        OutputError: metadata that are no plain JSON values.
    """
    state = {
        "metadata": dict(metadata),
        "pixel_m": plain_pixel(known.pixel_m),
        "nominal": list(known.nominal),
        "empty_object": empty_object,
    }
    try:
        told = json.dumps(state)
    except (TypeError, ValueError) as error:
        raise OutputError(
            f"{parent.file.filename}: the metadata are no plain JSON values ({error}); convert them"
        ) from None
    group = parent.create_group(GROUP)
    write_values(group, {"json": told, "origin_px": np.asarray(origin_px, np.float64), **(arrays or {})})


def write_scan_extras(
    parent: h5py.Group, scan: Scan, known: Completed, *, bad_pixels: Any = None, **frame: Any
) -> None:
    """The group for a scan: nominal positions, labels, scan index, metadata."""
    write_own(
        parent,
        scan.metadata | geometry_entries(scan.geometry),
        known,
        arrays={
            "nominal_positions_px": scan.nominal_positions_px,
            "scan_index": scan.scan_index,
            "truth_patches": scan.truth_patches,
            "bad_pixels": bad_pixels,
        },
        **frame,
    )


def read_own(parent: h5py.Group) -> Own | None:
    """The group below `parent`, or none in files of other programs.

    Raises:
        ScanError: a group of that name which this package did not write.
    """
    group = find(parent, GROUP)
    if not isinstance(group, h5py.Group):
        return None
    told = text(group, "json")
    try:
        state = plain_json(told or "")
        metadata, nominal = dict(state["metadata"]), tuple(str(name) for name in state["nominal"])
        y, x = np.broadcast_to(np.asarray(state["pixel_m"], np.float64), 2).tolist()
        pixel, empty = (float(y), float(x)), bool(state["empty_object"])
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ScanError(f"{place(group)}: holds no valid JSON; delete the group, and the rest can be read") from None
    found = {name: dataset for name in _ARRAYS if (dataset := find_dataset(group, name)) is not None}
    arrays = {name: array(dataset) for name, dataset in found.items()}
    origin = arrays.pop("origin_px", np.zeros(2))
    if origin.shape != (2,) or origin.dtype.kind not in "iuf":
        raise ScanError(f"{place(group)}: origin_px is {origin!r}; must be (y, x), delete the group")
    return Own(origin.astype(np.float64), metadata, pixel, nominal, empty, arrays)
