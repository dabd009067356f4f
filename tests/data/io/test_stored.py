"""Values that are not there are refused, and never read as the fill values that HDF5 gives in their place."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan
from ptychopinn.errors import ScanError

DETECTOR = "entry_1/instrument_1/detector_1"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
PARTS = [TRANSLATION, f"{DETECTOR}/data", f"{DETECTOR}/mask", "entry_1/instrument_1/source_1/illumination"]


@pytest.fixture
def virtual(scan_of, cxi_of, write_hdf5, tmp_path: Path):
    """Write a CXI file with one dataset made of two files, the second from the middle on."""

    def write(key: str, mapped: float = 1.0) -> Path:
        parts = cxi_of(scan_of(object_guess=None)) | {f"{DETECTOR}/mask": np.eye(16, dtype=np.uint32)}
        values = np.asarray(parts[key])
        path, half = write_hdf5(parts | {key: None}), len(values) // 2
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        for name, start, stop in (("here.h5", 0, half), ("gone.h5", half, int(len(values) * mapped))):
            with h5py.File(tmp_path / name, "w") as other:
                other["d"] = values[start:stop]
            layout[start:stop] = h5py.VirtualSource(name, "d", values[start:stop].shape)
        with h5py.File(path, "a") as file:
            file.create_virtual_dataset(key, layout)
        return path

    return write


@pytest.mark.parametrize("key", PARTS)
def test_virtual_datasets_are_read_and_refused_without_their_source(virtual, tmp_path, scan_of, key: str) -> None:
    path = virtual(key)
    np.testing.assert_array_equal(read_scan(path).patterns, scan_of().patterns)
    (tmp_path / "gone.h5").unlink()
    with pytest.raises(ScanError, match=r"virtual dataset that takes values from gone\.h5, which is missing; put that"):
        read_scan(path)


def test_a_source_without_the_dataset(virtual, tmp_path) -> None:
    path = virtual(f"{DETECTOR}/data")
    with h5py.File(tmp_path / "gone.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(ScanError, match=r"takes values from d in gone\.h5, which has no such dataset"):
        read_scan(path)


def test_a_source_that_is_too_short(virtual, tmp_path, scan_of) -> None:
    path = virtual(f"{DETECTOR}/data")
    with h5py.File(tmp_path / "gone.h5", "w") as file:
        file["d"] = scan_of().patterns[:3]
    with pytest.raises(ScanError, match=r"needs 1792 values of d in gone\.h5, which holds \(3, 16, 16\)"):
        read_scan(path)


def test_a_source_that_is_no_hdf5_file(virtual, tmp_path) -> None:
    path = virtual(f"{DETECTOR}/data")
    (tmp_path / "gone.h5").write_bytes(b"nothing")
    with pytest.raises(ScanError, match=r"takes values from gone\.h5, which cannot be read"):
        read_scan(path)


def test_a_virtual_dataset_with_holes(virtual) -> None:
    with pytest.raises(ScanError, match=r"got sources for 2560 of 3584 values of this virtual dataset"):
        read_scan(virtual(f"{DETECTOR}/data", mapped=10 / 14))


def test_a_virtual_dataset_of_a_virtual_dataset(virtual, tmp_path, scan_of) -> None:
    path = virtual(f"{DETECTOR}/data")
    layout = h5py.VirtualLayout((7, 16, 16), np.uint16)
    layout[:] = h5py.VirtualSource("deeper.h5", "e", (7, 16, 16))
    with h5py.File(tmp_path / "gone.h5", "w") as file:
        file.create_virtual_dataset("d", layout)
    with h5py.File(tmp_path / "deeper.h5", "w") as file:
        file["e"] = scan_of().patterns[7:]
    np.testing.assert_array_equal(read_scan(path).patterns, scan_of().patterns)
    (tmp_path / "deeper.h5").unlink()
    with pytest.raises(ScanError, match=r"takes values from deeper\.h5, which is missing"):
        read_scan(path)


@pytest.mark.parametrize("key", PARTS)
def test_values_that_were_never_written(scan_of, cxi_of, write_hdf5, key: str) -> None:
    values = np.asarray((cxi_of(scan_of()) | {f"{DETECTOR}/mask": np.zeros((16, 16), np.uint8)})[key])
    path = write_hdf5(cxi_of(scan_of()) | {key: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(key, values.shape, values.dtype, chunks=values.shape)
    with pytest.raises(ScanError, match=rf"/{key} must hold values, got a dataset of shape .* that was never written"):
        read_scan(path)


EXTERNAL = h5py.ExternalLink("absent.h5", "/d")


@pytest.mark.parametrize("key", [*PARTS, f"{DETECTOR}/distance", f"{DETECTOR}/data_dark"])
@pytest.mark.parametrize("through", [False, True])
def test_external_links_without_their_file(scan_of, cxi_of, write_hdf5, key: str, through: bool) -> None:
    """Also where a soft link leads to the external one."""
    change: dict[str, Any] = {key: h5py.SoftLink("/elsewhere"), "elsewhere": EXTERNAL} if through else {key: EXTERNAL}
    with pytest.raises(ScanError, match=r"is a link to /d in absent\.h5, which cannot be opened; put that file"):
        read_scan(write_hdf5(cxi_of(scan_of()) | change))


@pytest.mark.parametrize("part", ["sample/translation", "illumination", "instrument/detector", "instrument", "data"])
def test_a_nexus_part_in_a_file_that_is_missing(scan_of, cxi_of, write_hdf5, part: str) -> None:
    scan = scan_of()
    parts = {
        "entry/data/data": scan.patterns,
        "entry/sample/translation": cxi_of(scan)[TRANSLATION],
        "entry/illumination": scan.probe,
    }
    kept = {path: value for path, value in parts.items() if not path.startswith(f"entry/{part}")}
    if part.startswith("instrument"):
        del kept["entry/data/data"], kept["entry/illumination"]
    with pytest.raises(ScanError, match=rf"{part} is a link to /d in absent\.h5, which cannot be opened"):
        read_scan(write_hdf5(kept | {f"entry/{part}": EXTERNAL}))
