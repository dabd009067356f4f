"""Writing what ptychodus reads: training data from scans, products from reconstructed objects."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import create_hdf5
from ptychopinn.data.io.entries import geometry_entries
from ptychopinn.data.io.frames import write_counts
from ptychopinn.data.io.hdf5 import write_values
from ptychopinn.data.io.metric_frame import metric_frame
from ptychopinn.data.io.nominal import completed
from ptychopinn.data.io.own import write_own, write_scan_extras
from ptychopinn.data.io.plots import show_frames, show_object
from ptychopinn.data.io.rules import position_offset_px
from ptychopinn.data.masks import has_own_masks
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan

ENTRY = "entry"
"""Group that viewers of NeXus open; ptychodus does not read it."""


def write_training_file(scan: Scan, path: str | Path) -> Path:
    """Write a scan as training data of ptychodus, in HDF5.

    The format wants an object: a scan without object guess gets an empty one that holds every patch. It wants
    one mask for all patterns: of masks for each pattern the union is written, and the masks beside it.
    `read_scan` gives the scan back, with amplitudes as counts.

    Raises:
        OutputError: the file cannot be written, or the metadata are no plain JSON values.
    """
    known = completed(scan.pixel_size_m, scan.geometry, scan.pattern_size, scan.metadata)
    object_, origin = _object_of(scan)
    centres = scan.positions_px - origin - position_offset_px(scan.pattern_size, "centre", {}, True, "")
    each = scan.bad_pixels if has_own_masks(scan.bad_pixels) else None
    with create_hdf5(path) as file:
        write_counts(file, "patterns", scan)
        entry = file.create_group(ENTRY)
        entry["data/patterns"] = h5py.SoftLink("/patterns")
        show_frames(entry, entry["data"], "patterns")
        for name, values in {"bad_pixels": _one_mask(scan), "probe": scan.probe, "object": object_}.items():
            file.create_dataset(name, data=values, compression="gzip")
        write_values(
            file,
            {
                "probe_position_x_px": centres[:, 1],
                "probe_position_y_px": centres[:, 0],
                "object_pixel_width_m": known.pixel_m[1],
                "object_pixel_height_m": known.pixel_m[0],
                "detector_object_distance_m": known.distance_m,
                "photon_energy_eV": known.energy_eV,
            },
        )
        if known.comment:
            file.attrs["comments"] = known.comment
        empty = scan.object_guess is None
        write_scan_extras(file, scan, known, bad_pixels=each, origin_px=origin, empty_object=empty)
    return Path(path)


def write_product(image: Reconstruction, path: str | Path) -> Path:
    """Write a reconstructed object as a product of ptychodus, in HDF5.

    Positions and the object's centre are in metres about the origin of the scan's own file where the metadata
    hold it (`frame_origin_m`), else about the centre of the object.

    Raises:
        OutputError: the file cannot be written, or the metadata are no plain JSON values.
    """
    size = image.probe.shape[-1]
    known = completed(image.pixel_size_m, image.geometry, size, image.metadata)
    frame = metric_frame(image.positions_px, size, known, image.metadata, (image.origin_px, image.object_.shape))
    centre = {"center_x_m": float(frame.centre_m[1]), "center_y_m": float(frame.centre_m[0])}
    sides = {"pixel_width_m": known.pixel_m[1], "pixel_height_m": known.pixel_m[0]}
    with create_hdf5(path) as file:
        file.attrs.update(_product_attributes(image, known.energy_eV, known.distance_m, known.comment))
        write_values(
            file,
            {
                "probe_position_indexes": np.arange(len(frame.positions_m)),
                "probe_position_x_m": frame.positions_m[:, 1],
                "probe_position_y_m": frame.positions_m[:, 0],
                "object_layer_spacing_m": np.zeros(0),
                "loss_epochs": np.zeros(0, np.int64),
                "loss_values": np.zeros(0),
            },
        )
        probe = file.create_dataset("probe", data=image.probe[None], compression="gzip")
        probe.attrs.update(sides)
        object_ = file.create_dataset("object", data=image.object_[None], compression="gzip")
        object_.attrs.update(sides | centre)
        corner = frame.corner_m(image.object_.shape, known.pixel_m)
        show_object(file.create_group(ENTRY), image.object_, corner, known.pixel_m, image.error_bars)
        metadata = image.metadata | geometry_entries(image.geometry)
        write_own(
            file, metadata, known, origin_px=image.origin_px, arrays={"coverage": image.coverage, **image.error_bars}
        )
    return Path(path)


def _object_of(scan: Scan) -> tuple[NDArray[np.complex64], NDArray[np.int64]]:
    """The object guess, or an empty object that holds every patch; and where its element (0, 0) lies."""
    if scan.object_guess is not None:
        return scan.object_guess, np.zeros(2, np.int64)
    low = np.floor(scan.positions_px.min(axis=0)).astype(np.int64) - scan.pattern_size // 2 - 1
    high = np.ceil(scan.positions_px.max(axis=0)).astype(np.int64) + scan.pattern_size // 2 + 2
    return np.ones(tuple(high - low), np.complex64), low


def _one_mask(scan: Scan) -> NDArray[np.bool_]:
    bad = scan.bad_pixels
    if bad is None:
        return np.zeros(scan.patterns.shape[1:], np.bool_)
    return np.logical_or.reduce(bad, axis=0) if has_own_masks(bad) else bad


def _product_attributes(image: Reconstruction, energy_eV: float, distance_m: float, comment: str) -> dict[str, Any]:
    title = image.metadata.get("title")
    return {
        "name": title if isinstance(title, str) else "ptychopinn",
        "comments": comment,
        "detector_object_distance_m": distance_m,
        "photon_energy_eV": energy_eV,
        "probe_photon_count": float(np.square(np.abs(image.probe), dtype=np.float64).sum()),
        "exposure_time_s": 0.0,
        "mass_attenuation_m2_per_kg": 0.0,
        "tomography_angle_deg": 0.0,
        "focus_object_distance_m": 0.0,
        "tilt_angle_deg": 0.0,
        "far_field": not image.geometry.is_near_field,
    }
