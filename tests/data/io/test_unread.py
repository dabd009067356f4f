"""What stands in a file and is not read is named; numbers that contradict each other are named or refused."""

import json
import re
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan, write_scan
from ptychopinn.errors import ScanError

DETECTOR, SOURCE = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"
ILLUMINATION = f"{SOURCE}/illumination"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
BAD = np.zeros((16, 16), np.uint8)
BAD[3], BAD[:, 5] = 1, 1


def changed(cxi_of: Any, scan_of: Any, changes: dict[str, Any]) -> dict[str, Any]:
    parts = cxi_of(scan_of(object_guess=None)) | changes
    return {path: value for path, value in parts.items() if value is not None}


@pytest.mark.parametrize(
    "place", [f"{DETECTOR}/{name}" for name in ("dead_pixels", "valid_pixels", "mask_1", "pedestal")] + ["entry_1/mask"]
)
def test_an_array_of_the_size_of_a_pattern_that_is_not_read_is_named(scan_of, cxi_of, write_hdf5, place) -> None:
    found = read_scan(write_hdf5(changed(cxi_of, scan_of, {place: BAD})))
    assert found.bad_pixels is None
    assert [note for note in found.notes if f"/{place} has the size of a pattern and is not used" in note]


@pytest.mark.parametrize("name", ["mask", "mask_shared", "pixel_mask", "bad_pixels"])
def test_a_mask_has_several_names(scan_of, cxi_of, write_hdf5, name) -> None:
    found = read_scan(write_hdf5(changed(cxi_of, scan_of, {f"{DETECTOR}/{name}": BAD})))
    np.testing.assert_array_equal(found.bad_pixels, BAD)
    assert found.notes == ()


@pytest.mark.parametrize("place", [f"{SOURCE}/illumination_1", "entry_1/data_1/probe", "entry_1/instrument_1/beam"])
def test_a_probe_that_is_not_read_is_named_where_an_estimate_stands_in(scan_of, cxi_of, write_hdf5, place) -> None:
    probe = scan_of().probe[0]
    found = read_scan(write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: None, place: probe})))
    assert found.probe_estimated
    assert f"/{place} may be a probe and is not used; give it by --probe FILE" in found.notes
    beside = read_scan(write_hdf5(changed(cxi_of, scan_of, {place: probe})))
    assert beside.notes == ()


PARTS = {
    "/real": ("/real", "/imag"),
    "_real": ("_real", "_imaginary"),
    "/Re": ("/Re", "/Im"),
    "_REAL": ("_REAL", "_IMAG"),
    "/r": ("/r", "/i"),
    "/real_part": ("/real_part", "/imag_part"),
}


@pytest.mark.parametrize("names", PARTS.values(), ids=list(PARTS))
def test_real_and_imaginary_part_of_a_probe_have_several_names(scan_of, cxi_of, write_hdf5, names) -> None:
    probe = scan_of().probe[0]
    stored = {f"{ILLUMINATION}{names[0]}": probe.real, f"{ILLUMINATION}{names[1]}": probe.imag}
    found = read_scan(write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: None} | stored)))
    np.testing.assert_array_equal(found.probe[0], probe)
    assert found.notes == ()


@pytest.mark.parametrize("names", [("amplitude", "phase"), ("Abs", "Angle"), ("magnitude", "phase")])
@pytest.mark.parametrize("unit", [None, "deg"])
def test_amplitude_and_phase_of_a_probe_are_joined(scan_of, cxi_of, write_hdf5, names, unit) -> None:
    probe = scan_of().probe[0]
    paths = [f"{ILLUMINATION}/{name}" for name in names]
    phase = np.angle(probe.astype(complex), deg=unit == "deg")
    stored = {paths[0]: np.abs(probe), paths[1]: phase}
    attributes = {} if unit is None else {paths[1]: {"units": unit}}
    path = write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: None} | stored), attributes=attributes)
    np.testing.assert_allclose(read_scan(path).probe[0], probe, atol=1e-4)


def test_two_modes_of_two_planes_are_told_apart_by_their_power(scan_of, cxi_of, write_hdf5) -> None:
    probe = scan_of().probe[0]
    modes = np.stack([probe, probe * 0.3j])
    for axis in (0, 1, -1):
        stored = np.stack([modes.real, modes.imag], axis=axis)
        found = read_scan(write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: stored})))
        np.testing.assert_allclose(found.probe, modes, atol=1e-6)
    alike = np.stack([modes[0], -modes[0].conj() * 1j])
    stored = np.stack([alike.real, alike.imag], axis=1)
    with pytest.raises(ScanError, match="two modes of two parts in either order; save it as complex"):
        read_scan(write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: stored})))


def test_a_real_probe_is_named(scan_of, cxi_of, write_hdf5, caplog) -> None:
    probe = np.abs(scan_of().probe[0])
    found = read_scan(write_hdf5(changed(cxi_of, scan_of, {ILLUMINATION: probe})))
    np.testing.assert_array_equal(found.probe[0], probe)
    assert caplog.text.count("is real, so that its phase is 0 everywhere") == 1


@pytest.mark.parametrize(
    ("attributes", "words"), [({"scale_factor": 0.5}, "scale_factor is 0.5"), ({"add_offset": [3]}, "add_offset is 3")]
)
def test_a_factor_that_is_not_applied_is_named(scan_of, cxi_of, write_hdf5, attributes, words) -> None:
    path = write_hdf5(changed(cxi_of, scan_of, {}), attributes={f"{DETECTOR}/data": attributes})
    assert [note for note in read_scan(path).notes if f"{words} and is not applied" in note]
    for neutral in ({"scale_factor": 1.0}, {"add_offset": 0}):
        path = write_hdf5(changed(cxi_of, scan_of, {}), attributes={f"{DETECTOR}/data": neutral})
        assert read_scan(path).notes == ()


def test_patterns_of_the_detector_that_data_1_replaces_are_named(scan_of, cxi_of, write_hdf5) -> None:
    patterns = scan_of().patterns
    path = write_hdf5(changed(cxi_of, scan_of, {"entry_1/data_1/data": patterns[::-1]}))
    found = read_scan(path)
    np.testing.assert_array_equal(found.patterns, patterns[::-1])
    assert f"/{DETECTOR} holds patterns too, which are not read" in found.notes
    linked = write_hdf5(changed(cxi_of, scan_of, {"entry_1/data_1/data": h5py.SoftLink(f"/{DETECTOR}/data")}))
    assert read_scan(linked).notes == ()


def test_the_corner_of_the_detector_gives_its_distance_or_contradicts_it(scan_of, cxi_of, write_hdf5) -> None:
    corner = {f"{DETECTOR}/corner_position": np.array([1e-3, 1e-3, 1.75])}
    assert read_scan(write_hdf5(changed(cxi_of, scan_of, corner))).geometry.distance_m == 1.75
    alone = read_scan(write_hdf5(changed(cxi_of, scan_of, corner | {f"{DETECTOR}/distance": None})))
    assert alone.geometry.distance_m == 1.75
    other = write_hdf5(changed(cxi_of, scan_of, {f"{DETECTOR}/corner_position": np.array([0, 0, 3.0])}))
    with pytest.raises(ScanError, match=r"distance is 1\.75 m, but .*corner_position lies 3 m along the beam"):
        read_scan(other)
    assert read_scan(other, distance_m=1.75).geometry.distance_m == 1.75


def test_the_unit_of_positions_that_the_user_gives(scan_of, cxi_of, write_hdf5) -> None:
    """It counts where the file states none, and may not contradict what it states."""
    right = read_scan(write_hdf5(changed(cxi_of, scan_of, {}))).positions_px
    moved = changed(cxi_of, scan_of, {})[TRANSLATION] * 1e6
    plain = write_hdf5(changed(cxi_of, scan_of, {TRANSLATION: moved}))
    np.testing.assert_allclose(read_scan(plain, position_unit="um").positions_px, right, atol=1e-9)
    stated = write_hdf5(changed(cxi_of, scan_of, {TRANSLATION: moved}), attributes={TRANSLATION: {"units": "micron"}})
    np.testing.assert_allclose(read_scan(stated, position_unit="um").positions_px, right, atol=1e-9)
    for unit in ("mm", "px"):
        with pytest.raises(ScanError, match=f"holds lengths in micron, but --position-unit is {unit}"):
            read_scan(stated, position_unit=unit)


def test_names_of_entries_and_detectors_may_be_paths(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(changed(cxi_of, scan_of, {}))
    for entry, detector in (("/entry_1", f"/{DETECTOR}"), ("entry_1/", "detector_1")):
        assert len(read_scan(path, entry=entry, detector=detector)) == 14


def test_frames_that_were_never_written_are_dark_and_not_the_fill_value(scan_of, cxi_of, write_hdf5) -> None:
    patterns = scan_of().patterns
    path = write_hdf5(changed(cxi_of, scan_of, {f"{DETECTOR}/data": None}))
    with h5py.File(path, "r+") as file:
        stored = file.create_dataset(
            f"{DETECTOR}/data", patterns.shape, patterns.dtype, chunks=(2, 16, 16), fillvalue=65535
        )
        stored[:8] = patterns[:8]
    with pytest.raises(ScanError, match=r"no counts at all in 6 of 14 patterns \(index 8, 9, 10, .*--drop-frames dark"):
        read_scan(path)
    found = read_scan(path, drop_frames=("dark",))
    np.testing.assert_array_equal(found.patterns, patterns[:8])


@pytest.mark.parametrize("radius", [4, 5, 6])
def test_a_small_disk_the_wrong_way_round_is_an_inverted_mask(scan_of, cxi_of, write_hdf5, radius) -> None:
    """It covers less than half of the pixels, and holds all counts."""
    y, x = np.indices((16, 16)) - 8
    disk = y**2 + x**2 < radius**2
    counts = np.where(disk, scan_of().patterns, 0)
    path = write_hdf5(changed(cxi_of, scan_of, {f"{DETECTOR}/data": counts, f"{DETECTOR}/mask": disk}))
    with pytest.raises(ScanError, match="it may be the wrong way round: give --invert-mask"):
        read_scan(path)
    np.testing.assert_array_equal(read_scan(path, invert_mask=True).bad_pixels, ~disk)


def test_entries_of_the_metadata_that_are_not_read_are_named(scan_of, tmp_path) -> None:
    path = write_scan(
        scan_of(geometry=read_scan(write_scan(scan_of(), tmp_path / "a.npz")).geometry), tmp_path / "s.npz"
    )
    arrays = dict(np.load(path))
    right = json.loads(str(arrays["_metadata"]))
    cases = {
        "energy_keV": (8.8, "names that are read are energy_eV"),
        "energy_eV": ("8800", "no positive number"),
        "distance_m": (-1.75, "no positive number"),
        "position_unit": ("um", "names that are read are"),
        "pixel_size_m": (5e-9, "pixel_size_m is 5e-09, but energy_eV, distance_m and detector_pixel_m .* give 2.05"),
    }
    assert read_scan(path).notes == ()
    for name, (value, words) in cases.items():
        np.savez(path, **(arrays | {"_metadata": np.array(json.dumps(right | {name: value}))}))
        notes = " ".join(read_scan(path).notes)
        assert name in notes
        assert re.search(words, notes), (name, notes)
