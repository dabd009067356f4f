"""Numbers in HDF5 files are read in the unit that they state; impossible and contradictory ones are refused."""

from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan
from ptychopinn.data.geometry import EV_J, wavelength_m
from ptychopinn.data.io.units import si_factor
from ptychopinn.errors import ScanError

DETECTOR = "entry_1/instrument_1/detector_1"
SOURCE = "entry_1/instrument_1/source_1"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"

UNITS = [
    ("m", "length", 1.0),
    ("meters", "length", 1.0),
    ("Metre", "length", 1.0),
    ("mm", "length", 1e-3),
    ("millimeter", "length", 1e-3),
    ("um", "length", 1e-6),
    ("\u00b5m", "length", 1e-6),
    ("\u03bcm", "length", 1e-6),
    ("micron", "length", 1e-6),
    ("Microns", "length", 1e-6),
    ("micrometers", "length", 1e-6),
    ("micrometre", "length", 1e-6),
    (" um ", "length", 1e-6),
    ("NM", "length", 1e-9),
    ("nanometers", "length", 1e-9),
    ("pm", "length", 1e-12),
    ("\u212b", "length", 1e-10),
    ("angstroms", "length", 1e-10),
    ("eV", "energy", 1.0),
    ("electron volts", "energy", 1.0),
    ("keV", "energy", 1e3),
    ("KEV", "energy", 1e3),
    ("kiloelectronvolts", "energy", 1e3),
    ("GeV", "energy", 1e9),
    ("J", "energy", 1 / EV_J),
    ("joules", "energy", 1 / EV_J),
    ("deg", "angle", np.pi / 180),
    ("degrees", "angle", np.pi / 180),
    ("mrad", "angle", 1e-3),
    ("ms", "time", 1e-3),
    ("seconds", "time", 1.0),
]


@pytest.mark.parametrize(("unit", "quantity", "factor"), UNITS)
def test_a_unit_is_known_under_its_names(unit: str, quantity: Any, factor: float) -> None:
    assert si_factor(unit, quantity) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("unit", ["furlong", "1/m", "m^2", "m^-1", "ms", "px", "eV", ""])
def test_a_unit_of_another_quantity_is_no_length(unit: str) -> None:
    assert si_factor(unit, "length") is None


@pytest.mark.parametrize("unit", ["m", "V", "mm", "keVs"])
def test_a_unit_of_another_quantity_is_no_energy(unit: str) -> None:
    assert si_factor(unit, "energy") is None


def changed(path, **values: tuple[str, float, Any]) -> Any:
    """Multiply datasets and give them a unit."""
    with h5py.File(path, "a") as file:
        for where, factor, unit in values.values():
            stored = file[where][()] * factor
            del file[where]
            file[where] = stored
            file[where].attrs["units"] = unit
    return path


CASES = {
    "positions in um": {"a": (TRANSLATION, 1e6, "um")},
    "positions, one unit each": {"a": (TRANSLATION, 1e6, np.array([b"um", b"micron", b"um"]))},
    "positions, mixed units": {"a": (TRANSLATION, np.array([1e6, 1e3, 1.0]), ["um", "mm", "deg"])},
    "distance in mm": {"a": (f"{DETECTOR}/distance", 1e3, "mm")},
    "pixel in um": {"a": (f"{DETECTOR}/x_pixel_size", 1e6, "\u00b5m"), "b": (f"{DETECTOR}/y_pixel_size", 1e3, "mm")},
    "energy in keV": {"a": (f"{SOURCE}/energy", 1e-3 / EV_J, "keV")},
    "energy in eV": {"a": (f"{SOURCE}/energy", 1 / EV_J, "eV")},
    "energy in J": {"a": (f"{SOURCE}/energy", 1.0, "joules")},
}


@pytest.mark.parametrize("case", CASES)
def test_cxi_numbers_are_read_in_their_unit(scan_of, cxi_of, write_hdf5, case: str) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(changed(write_hdf5(cxi_of(scan)), **CASES[case]))
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)
    assert found.geometry.energy_eV == pytest.approx(8800, rel=1e-9)
    assert found.geometry.distance_m == pytest.approx(1.75)
    assert found.geometry.detector_pixel_m == pytest.approx((75e-6, 75e-6))


def test_basis_vectors_and_the_object_have_units_too(scan_of, cxi_of, write_hdf5) -> None:
    scan, basis = scan_of(), np.array([[0.0, -75.0], [-75.0, 0.0], [0.0, 0.0]])
    size = np.array([*scan.object_guess.shape[::-1], 0.0]) * scan.pixel_size_m
    parts = cxi_of(scan) | {
        f"{DETECTOR}/basis_vectors": basis,
        "entry_1/image_2/data": scan.object_guess,
        "entry_1/image_2/image_size": size * 1e9,
        "entry_1/image_2/image_center": np.zeros(3),
    }
    units = {f"{DETECTOR}/basis_vectors": {"units": "um"}, "entry_1/image_2/image_size": {"units": "nm"}}
    found = read_scan(write_hdf5(parts, attributes=units))
    assert found.geometry.detector_pixel_m == pytest.approx((75e-6, 75e-6))
    np.testing.assert_array_equal(found.object_guess, scan.object_guess)


def test_ptychodus_positions_and_pixels_have_units_too(scan_of, tmp_path) -> None:
    from ptychopinn.data import write_scan

    scan = scan_of()
    path = write_scan(scan, tmp_path / "scan.h5")
    with h5py.File(path, "a") as file:
        del file["ptychopinn"], file["probe_position_x_px"], file["probe_position_y_px"]
        for name, column in (("x", 1), ("y", 0)):
            file[f"probe_position_{name}_m"] = scan.positions_px[:, column] * scan.pixel_size_m * 1e6
            file[f"probe_position_{name}_m"].attrs["units"] = "microns"
        for side in ("width", "height"):
            file["object"].attrs[f"pixel_{side}_m"] = scan.pixel_size_m
        stored = file["photon_energy_eV"][()] / 1e3
        del file["photon_energy_eV"]
        file["photon_energy_eV"] = stored
        file["photon_energy_eV"].attrs["units"] = "keV"
    found = read_scan(path)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)
    assert found.geometry.energy_eV == pytest.approx(8800)


@pytest.mark.parametrize(("text", "unit", "energy_eV"), [("8.8", "keV", 8800), ("8.8e3", "eV", 8800), ("87", "eV", 87)])
def test_the_last_digits_of_a_text_are_no_unit(scan_of, cxi_of, write_hdf5, text, unit, energy_eV) -> None:
    path = write_hdf5(cxi_of(scan_of()) | {f"{SOURCE}/energy": text}, attributes={f"{SOURCE}/energy": {"units": unit}})
    assert read_scan(path).geometry.energy_eV == pytest.approx(energy_eV)


@pytest.mark.parametrize("where", [TRANSLATION, f"{DETECTOR}/distance", f"{DETECTOR}/x_pixel_size", f"{SOURCE}/energy"])
def test_an_unknown_unit_is_refused_by_name_file_and_dataset(scan_of, cxi_of, write_hdf5, where: str) -> None:
    path = changed(write_hdf5(cxi_of(scan_of())), a=(where, 1.0, "furlong"))
    with pytest.raises(ScanError, match=rf"scan\.h5: /{where} has the unit 'furlong'; known are "):
        read_scan(path)


def test_text_with_a_unit_is_a_number(scan_of, cxi_of, write_hdf5) -> None:
    found = read_scan(
        write_hdf5(cxi_of(scan_of()) | {f"{DETECTOR}/distance": "1750 mm", f"{SOURCE}/energy": "8.8 keV"})
    )
    assert found.geometry.distance_m == pytest.approx(1.75)
    assert found.geometry.energy_eV == pytest.approx(8800)


IMPOSSIBLE = [
    ({f"{SOURCE}/energy": 8800.0}, r"energy is 8800 without a unit, taken as J as in CXI, that is 5\.493e\+22 eV"),
    (
        {f"{SOURCE}/energy": 6e9 * EV_J},
        r"energy is 9\.61\S* without a unit.*6e\+09 eV; a photon energy must be between",
    ),
    ({f"{DETECTOR}/distance": 1750.0}, r"distance is 1750 without a unit, that is 1750 m; .*--distance"),
    ({f"{DETECTOR}/x_pixel_size": 75.0}, r"x_pixel_size is 75 without a unit, that is 75 m; .*--detector-pixel"),
    (
        {f"{DETECTOR}/basis_vectors": np.array([[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])},
        r"basis_vectors has steps of 1 m and 1 m, but y_pixel_size and x_pixel_size are 7\.5e-05 m and 7\.5e-05 m",
    ),
    ({f"{SOURCE}/wavelength": 2e-10}, r"energy is 8800 eV, but .*wavelength is 2e-10 m, that is 6199\.21 eV"),
    ({f"{SOURCE}/wavelength": 1.409}, r"wavelength is 1\.409 without a unit, that is 1\.409 m; a wavelength must be"),
    ({TRANSLATION: np.arange(42.0).reshape(14, 3)}, r"translation extends over 39 x 39 m; .*attribute units"),
]


@pytest.mark.parametrize(("change", "message"), IMPOSSIBLE)
def test_impossible_and_contradictory_geometry_names_both_numbers(
    scan_of, cxi_of, write_hdf5, change: dict, message: str
) -> None:
    with pytest.raises(ScanError, match=message):
        read_scan(write_hdf5(cxi_of(scan_of()) | change))


def test_a_ring_energy_with_its_unit_is_refused(scan_of, cxi_of, write_hdf5) -> None:
    path = changed(write_hdf5(cxi_of(scan_of()) | {f"{SOURCE}/energy": 7.0}), a=(f"{SOURCE}/energy", 1.0, "GeV"))
    with pytest.raises(ScanError, match=r"energy is 7 GeV, that is 7e\+09 eV; a photon energy .*--energy-ev"):
        read_scan(path)


def test_two_roundings_of_one_wavelength_are_no_contradiction(scan_of, cxi_of, write_hdf5) -> None:
    found = read_scan(write_hdf5(cxi_of(scan_of()) | {f"{SOURCE}/wavelength": 1.41e-10}))
    assert found.geometry.energy_eV == pytest.approx(8800)


def test_numbers_that_the_user_gives_win(scan_of, cxi_of, write_hdf5) -> None:
    """They are the way out that the refusals name."""
    scan = scan_of(object_guess=None)
    wrong = {f"{SOURCE}/energy": 8800.0, f"{DETECTOR}/distance": 1750.0, f"{DETECTOR}/x_pixel_size": 75.0}
    found = read_scan(write_hdf5(cxi_of(scan) | wrong), energy_eV=8800, distance_m=1.75, detector_pixel_m=75e-6)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)


@pytest.mark.parametrize("unfilled", [0.0, np.nan])
def test_numbers_for_each_frame_that_were_never_filled(scan_of, cxi_of, write_hdf5, caplog, unfilled: float) -> None:
    energies = np.full(14, 8800 * EV_J)
    energies[:5] = unfilled
    found = read_scan(write_hdf5(cxi_of(scan_of()) | {f"{SOURCE}/energy": energies}))
    assert found.geometry.energy_eV == pytest.approx(8800)
    assert "energy: 5 of 14 values are 0 or no number" in caplog.text


def test_an_energy_scan_is_refused(scan_of, cxi_of, write_hdf5) -> None:
    energies = np.linspace(8700, 9100, 14) * EV_J
    with pytest.raises(ScanError, match=r"energy must be the same for all frames of a scan, got values from 1\.39"):
        read_scan(write_hdf5(cxi_of(scan_of()) | {f"{SOURCE}/energy": energies}))


def test_npz_metadata_are_held_to_the_same_limits(scan_of, tmp_path) -> None:
    from dataclasses import replace

    from ptychopinn.data import write_scan
    from ptychopinn.data.geometry import Geometry

    scan = scan_of()
    for geometry, message in (
        (Geometry(8.8e9), r"energy_eV is 8800000000, that is 8\.8e\+09 eV"),
        (Geometry(8800.0, 1750.0), r"distance_m is 1750, that is 1750 m"),
        (
            Geometry(8800.0, stated_wavelength_m=2 * wavelength_m(8800.0)),
            r"energy_eV is 8800 eV, but .*that is 4400 eV",
        ),
    ):
        path = write_scan(replace(scan, geometry=geometry), tmp_path / "scan.npz")
        if geometry.stated_wavelength_m is not None:
            stored = dict(np.load(path))
            stored["_metadata"] = np.array(f'{{"energy_eV": 8800.0, "wavelength_m": {geometry.stated_wavelength_m}}}')
            np.savez(path, **stored)
        with pytest.raises(ScanError, match=message):
            read_scan(path)
