"""Writing scans and reconstructed objects as CXI 1.6."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import EV_J, wavelength_m
from ptychopinn.data.io.cxi import INVALID
from ptychopinn.data.io.door import create_hdf5
from ptychopinn.data.io.entries import geometry_entries
from ptychopinn.data.io.frames import write_counts
from ptychopinn.data.io.hdf5 import write_values
from ptychopinn.data.io.metric_frame import MetricFrame, metric_frame
from ptychopinn.data.io.nominal import Completed, completed
from ptychopinn.data.io.own import write_own, write_scan_extras
from ptychopinn.data.io.plots import show_frames, show_object
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan

CXI_VERSION = 160


def write_cxi_scan(scan: Scan, path: str | Path) -> Path:
    """Write a scan as CXI: counts, mask, positions in metres, probe, object guess where there is one.

    `read_scan` gives it back, with amplitudes as counts. Energy, distance and pixels that the scan does not
    tell are nominal, and the file says so.

    Raises:
        OutputError: the file cannot be written, or the metadata are no plain JSON values.
    """
    known = completed(scan.pixel_size_m, scan.geometry, scan.pattern_size, scan.metadata)
    with create_hdf5(path) as file:
        entry = _write_entry(file, known, scan.metadata)
        detector = entry["instrument_1/detector_1"]
        write_counts(detector, "data", scan)
        if scan.bad_pixels is not None:
            mask = np.where(scan.bad_pixels, INVALID, 0).astype(np.uint32)
            detector.create_dataset("mask", data=mask, compression="gzip")
        object_px = None if scan.object_guess is None else ((0, 0), scan.object_guess.shape)
        frame = metric_frame(scan.positions_px, scan.pattern_size, known, scan.metadata, object_px)
        _write_images(entry, scan.probe, scan.object_guess, known, frame)
        _write_positions(entry, frame)
        entry["data_1/data"] = h5py.SoftLink(detector["data"].name)
        show_frames(entry, entry["data_1"], "data")
        origin = -frame.zero_m / np.asarray(known.pixel_m) if scan.object_guess is None else (0, 0)
        write_scan_extras(entry, scan, known, origin_px=origin)
    return Path(path)


def write_cxi_object(image: Reconstruction, path: str | Path) -> Path:
    """Write a reconstructed object as CXI: probe in `image_1`, object in `image_2`, positions in metres.

    Raises:
        OutputError: the file cannot be written, or the metadata are no plain JSON values.
    """
    size, object_px = image.probe.shape[-1], (image.origin_px, image.object_.shape)
    known = completed(image.pixel_size_m, image.geometry, size, image.metadata)
    frame = metric_frame(image.positions_px, size, known, image.metadata, object_px)
    with create_hdf5(path) as file:
        entry = _write_entry(file, known, image.metadata)
        _write_images(entry, image.probe, image.object_, known, frame)
        mask = np.where(image.coverage > 0, 0, INVALID).astype(np.uint32)
        entry["image_2"].create_dataset("mask", data=mask, compression="gzip")
        _write_positions(entry, frame)
        corner = frame.corner_m(image.object_.shape, known.pixel_m)
        show_object(entry, image.object_, corner, known.pixel_m, image.error_bars)
        metadata = image.metadata | geometry_entries(image.geometry)
        write_own(
            entry, metadata, known, origin_px=image.origin_px, arrays={"coverage": image.coverage, **image.error_bars}
        )
    return Path(path)


def _write_entry(file: h5py.File, known: Completed, metadata: dict[str, Any]) -> h5py.Group:
    """What every CXI file of ours begins with: source and detector, comment, program."""
    write_values(file, {"cxi_version": CXI_VERSION, "number_of_entries": 1})
    entry = file.create_group("entry_1")
    title = metadata.get("title")
    write_values(
        entry,
        {"title": title if isinstance(title, str) else None, "experiment_description": known.comment or None},
    )
    write_values(entry.create_group("process_1"), {"program": "ptychopinn"})
    write_values(
        entry.create_group("instrument_1/source_1"),
        {"energy": known.energy_eV * EV_J, "wavelength": wavelength_m(known.energy_eV)},
    )
    y, x = known.detector_pixel_m
    write_values(
        entry.create_group("instrument_1/detector_1"),
        {
            "distance": known.distance_m,
            "x_pixel_size": x,
            "y_pixel_size": y,
            "basis_vectors": np.array([[0.0, -x], [-y, 0.0], [0.0, 0.0]]),
        },
    )
    return entry


def _write_positions(entry: h5py.Group, frame: MetricFrame) -> None:
    """`translation`: the movement of the sample; along -y and -x the two minus signs cancel."""
    moved = np.zeros((len(frame.positions_m), 3))
    moved[:, :2] = frame.positions_m[:, ::-1]
    stored = entry.create_group("sample_1/geometry_1").create_dataset("translation", data=moved)
    for group in ("data_1", "instrument_1/detector_1"):
        entry.require_group(group)["translation"] = h5py.SoftLink(stored.name)


def _write_images(
    entry: h5py.Group,
    probe: NDArray[np.complex64],
    object_: NDArray[np.complex64] | None,
    known: Completed,
    frame: MetricFrame,
) -> None:
    """Probe and object; the object's centre also where ptychodus looks for it."""
    _write_image(entry, "image_1", probe[0] if len(probe) == 1 else probe, known, np.zeros(2))
    entry["instrument_1/source_1/illumination"] = h5py.SoftLink(entry["image_1/data"].name)
    if object_ is not None:
        _write_image(entry, "image_2", object_, known, frame.centre_m)
        y, x = frame.centre_m
        write_values(entry.create_group("ptychodus"), {"object_center_x_m": x, "object_center_y_m": y})


def _write_image(
    entry: h5py.Group,
    name: str,
    values: NDArray[np.complex64],
    known: Completed,
    centre_m: NDArray[np.float64],
) -> None:
    rows, columns = values.shape[-2:]
    image = entry.create_group(name)
    image.create_dataset("data", data=values, compression="gzip")
    write_values(
        image,
        {
            "data_space": "real",
            "image_size": np.array([columns * known.pixel_m[1], rows * known.pixel_m[0], 0.0]),
            "image_center": np.array([-centre_m[1], -centre_m[0], 0.0]),
        },
    )
    for part in ("source_1", "detector_1"):
        image[part] = h5py.SoftLink(entry[f"instrument_1/{part}"].name)
