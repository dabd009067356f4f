"""NeXus files are read by the classes of their groups, not by their names."""

import re
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan
from ptychopinn.errors import ScanError

DETECTOR = "scan_7/beamline/camera"


@pytest.fixture
def write(scan_of, nexus_of, write_hdf5):
    """Write a file with changes of datasets and attributes."""

    def write_file(changes: dict[str, Any] | None = None, **attributes: Any):
        parts, told = nexus_of(scan_of(object_guess=None))
        parts |= changes or {}
        told = {place: values for place, values in told.items() if "NX_class" in values or parts[place] is not None}
        return write_hdf5(parts, "scan.nxs", told | attributes.get("attributes", {}))

    return write_file


def test_nxcxi_ptycho(scan_of, write) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(write())
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.probe, scan.probe)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m, rel=1e-9)
    assert found.geometry.energy_eV == pytest.approx(8800)
    assert (found.metadata["title"], found.domain) == ("a star", "counts")


def test_a_raster_flattens(scan_of, write) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(write({f"{DETECTOR}/data": scan.patterns.reshape(2, 7, 16, 16)}))
    np.testing.assert_array_equal(found.patterns, scan.patterns)


def test_the_source_of_nexus_is_the_machine(scan_of, write) -> None:
    """Its energy, in GeV, is not that of the photons; only a value in joules can be."""
    source = {"scan_7/source": {"NX_class": "NXsource"}}
    light = "scan_7/beamline/light/incident_beam_energy"
    with pytest.raises(ScanError, match=r"or detector pixel is missing .*, or give --energy-ev \(data\.energy_eV\)$"):
        read_scan(write({light: None, "scan_7/source/energy": 6.0}, attributes=source))
    found = read_scan(write({light: None, "scan_7/source/energy": 1.40991543792e-15}, attributes=source))
    assert found.geometry.energy_eV == pytest.approx(8800)


@pytest.mark.parametrize(
    ("value", "attributes", "expected"),
    [
        (8800.0, {}, 8800),
        (1.40991543792e-15, {}, 8800),
        (8800.0, {"units": "eV"}, 8800),
        (1e-15, {"units": "J"}, 6241.5),
    ],
)
def test_units_of_energy(write, value: float, attributes: dict, expected: float) -> None:
    light = "scan_7/beamline/light/incident_beam_energy"
    path = write({light: value})
    with h5py.File(path, "a") as file:
        del file[light].attrs["units"]
        file[light].attrs.update(attributes)
    assert read_scan(path).geometry.energy_eV == pytest.approx(expected, rel=1e-4)


def test_an_energy_that_may_be_anything(write) -> None:
    light = "scan_7/beamline/light/incident_beam_energy"
    path = write()
    with h5py.File(path, "a") as file:
        del file[light].attrs["units"]
    with pytest.raises(ScanError, match=r"is 8\.8 without a unit; the attribute units"):
        read_scan(path)


def test_a_unit_that_nobody_knows(write) -> None:
    with pytest.raises(ScanError, match=r"distance has the unit 'furlong'; known are .*mm"):
        read_scan(write(attributes={f"{DETECTOR}/distance": {"units": "furlong"}}))


def test_a_pixel_mask(write) -> None:
    mask = np.zeros((16, 16), np.uint32)
    mask[3, 4], mask[5, 6] = 1, 16
    found = read_scan(write({f"{DETECTOR}/pixel_mask": mask}))
    assert np.argwhere(found.bad_pixels).tolist() == [[3, 4], [5, 6]]


def test_no_probe_names_the_way_out(write) -> None:
    scan = read_scan(write({"scan_7/beamline/light/illumination": None}))
    assert re.search(r"no probe: an estimate stands in.*--probe FILE", scan.notes[0])


def test_no_positions(write) -> None:
    with pytest.raises(ScanError, match=r"holds no positions \(looked for a dataset translation"):
        read_scan(write({"scan_7/thing/geometry/translation": None}))


def master_parts(scan_of, cxi_of, write_hdf5) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A detector's master file with frames in two other files; probe and positions added."""
    scan, parts = scan_of(object_guess=None), cxi_of(scan_of())
    for number, part in enumerate((scan.patterns[:9], scan.patterns[9:]), 1):
        write_hdf5({"entry/data/data": part}, f"scan_data_{number:06d}.h5")
    detector = "entry/instrument/detector"
    return {
        "entry/data/data_000001": h5py.ExternalLink("scan_data_000001.h5", "/entry/data/data"),
        "entry/data/data_000002": h5py.ExternalLink("scan_data_000002.h5", "/entry/data/data"),
        f"{detector}/detector_distance": 1.75,
        f"{detector}/x_pixel_size": 75e-6,
        f"{detector}/y_pixel_size": 75e-6,
        "entry/instrument/beam/incident_wavelength": 1.4089113458318212,
        "entry/sample/translation": parts["entry_1/sample_1/geometry_1/translation"],
        "entry/illumination": scan.probe,
    }, {"entry/instrument/beam/incident_wavelength": {"units": "angstrom"}}


@pytest.mark.parametrize("classes", [False, True])
def test_a_master_file_with_frames_in_others(scan_of, cxi_of, write_hdf5, classes: bool) -> None:
    parts, attributes = master_parts(scan_of, cxi_of, write_hdf5)
    if classes:
        attributes |= {"entry": {"NX_class": "NXentry"}, "entry/data": {"NX_class": "NXdata"}}
        attributes |= {"entry/instrument/detector": {"NX_class": "NXdetector"}}
    found = read_scan(write_hdf5(parts, "scan_master.h5", attributes))
    scan = scan_of(object_guess=None)
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m, rel=1e-6)


def test_a_master_file_whose_frames_are_gone(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    parts, attributes = master_parts(scan_of, cxi_of, write_hdf5)
    path = write_hdf5(parts, "scan_master.h5", attributes)
    (tmp_path / "scan_data_000002.h5").unlink()
    with pytest.raises(ScanError, match=r"link to /entry/data/data in scan_data_000002\.h5, which cannot be opened"):
        read_scan(path)

    with pytest.raises(ScanError, match=r"or leave its frames out by --drop-frames unpaired"):
        read_scan(path)


@pytest.fixture
def write_parts(scan_of, cxi_of, write_hdf5):
    """A master file with frames in parts of 4, 4, 4 and 2, of which some are missing."""

    def write(missing: tuple[int, ...], linked: bool, lengths: tuple[int, ...] = (4, 4, 4, 2)):
        parts, attributes = master_parts(scan_of, cxi_of, write_hdf5)
        parts = {name: value for name, value in parts.items() if "data_0" not in name}
        ends = np.cumsum(lengths)
        for number, (start, end) in enumerate(zip(ends - lengths, ends, strict=True), 1):
            if number not in missing:
                write_hdf5({"entry/data/data": scan_of().patterns[start:end]}, f"part_{number}.h5")
            if linked or number not in missing:
                parts[f"entry/data/data_{number:06d}"] = h5py.ExternalLink(f"part_{number}.h5", "/entry/data/data")
        return write_hdf5(parts, "scan_master.h5", attributes)

    return write


@pytest.mark.parametrize(
    ("missing", "linked"), [((2,), True), ((2,), False), ((1,), True), ((4,), True), ((2, 3), False), ((3, 4), True)]
)
def test_frames_of_missing_parts_are_left_out(scan_of, write_parts, missing: tuple[int, ...], linked: bool) -> None:
    """Patterns keep their own positions; without the option a file with gaps is refused."""
    path, scan = write_parts(missing, linked), scan_of()
    with pytest.raises(ScanError, match=rf"data_00000{missing[0]}.* by --drop-frames unpaired \(data.drop_frames\)"):
        read_scan(path)
    found = read_scan(path, drop_frames=("unpaired",))
    kept = np.flatnonzero(~np.isin(np.arange(14) // 4 + 1, missing))
    np.testing.assert_array_equal(found.patterns, scan.patterns[kept])
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px[kept], axis=0), atol=1e-6)
    assert any(f"data_00000{missing[0]}" in note and "left out" in note for note in found.notes)


def test_missing_parts_of_unknown_length_are_refused(write_parts) -> None:
    with pytest.raises(ScanError, match=r"data_000002 must be there, as parts of 2 to 5 frames do not tell"):
        read_scan(write_parts((2,), True, (4, 3, 5, 2)), drop_frames=("unpaired",))


def test_a_plain_data_path_without_probe_says_what_is_missing(scan_of, write_hdf5) -> None:
    with pytest.raises(ScanError, match=r"holds no positions .*found: entry/data/data \(14, 16, 16\)"):
        read_scan(write_hdf5({"entry/data/data": scan_of().patterns}))
