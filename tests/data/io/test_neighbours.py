"""Files of ptychodus (NPZ) and PtyLab, each with the right numbers."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import ptychopinn
from ptychopinn.data import read_scan
from ptychopinn.data.reconstruction import Reconstruction

N, ENERGY_EV, DISTANCE_M, DETECTOR_M = 32, 8800.0, 1.77, 75e-6
WAVELENGTH_M = 6.62607015e-34 * 299792458 / (ENERGY_EV * 1.602176634e-19)
PIXEL_M = WAVELENGTH_M * DISTANCE_M / (N * DETECTOR_M)


@pytest.fixture(scope="module")
def parts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    y, x = np.indices((N, N)) - N // 2
    rows, columns = (v.ravel() for v in np.meshgrid(16 + 6.0 * np.arange(4), 16 + 6.0 * np.arange(5), indexing="ij"))
    return {
        "patterns": rng.poisson(500 * np.exp(-(y**2 + x**2) / 60), (20, N, N)).astype(np.uint16),
        "probe": (40 * np.exp(-(y**2 + x**2) / 50 + 0.02j * (y**2 + x**2))).astype(np.complex64),
        "object": np.exp(0.3j * rng.normal(size=(60, 66))).astype(np.complex64),
        "rows": rows,
        "columns": columns,
    }


def product(parts, **change) -> dict[str, object]:
    """The members that ptychodus 1.7.0 writes (plugins/npz_product_file.py)."""
    return {
        "name": "scan 7",
        "comments": "",
        "detector_object_distance_m": DISTANCE_M,
        "photon_energy_eV": ENERGY_EV,
        "far_field": True,
        "probe": parts["probe"][None, None],
        "probe_pixel_width_m": PIXEL_M,
        "probe_pixel_height_m": PIXEL_M,
        "probe_position_indexes": np.arange(20),
        "probe_position_x_m": parts["columns"] * PIXEL_M,
        "probe_position_y_m": parts["rows"] * PIXEL_M,
        "object": parts["object"][None],
        "object_center_x_m": 32.5 * PIXEL_M,
        "object_center_y_m": 29.5 * PIXEL_M,
        "object_pixel_width_m": PIXEL_M,
        "object_pixel_height_m": PIXEL_M,
        "object_layer_spacing_m": np.zeros(0),
    } | change


@pytest.fixture
def folder(tmp_path: Path, parts) -> Path:
    np.savez(tmp_path / "product.npz", **product(parts))
    np.savez_compressed(
        tmp_path / "diffraction.npz",
        patterns=parts["patterns"],
        indexes=np.arange(20),
        bad_pixels=np.zeros((N, N), bool),
    )
    return tmp_path


def test_a_product_is_a_reconstruction(folder, parts) -> None:
    image = Reconstruction.load(folder / "product.npz")
    np.testing.assert_array_equal(image.object_, parts["object"])
    np.testing.assert_array_equal(image.probe[0], parts["probe"])
    expected = np.stack([parts["rows"], parts["columns"]], axis=1) + 0.5
    np.testing.assert_allclose(image.positions_px, expected, atol=1e-6)
    assert image.pixel_size_m == pytest.approx(PIXEL_M)
    assert ptychopinn.convert(folder / "product.npz", folder / "image.npz").content == "reconstruction"


@pytest.mark.parametrize("first", ["product.npz", "diffraction.npz"])
def test_product_and_diffraction_are_a_scan(folder, parts, first) -> None:
    scan = read_scan(folder / first)
    np.testing.assert_array_equal(scan.patterns, parts["patterns"])
    np.testing.assert_array_equal(scan.probe[0], parts["probe"])
    expected = np.stack([parts["rows"], parts["columns"]], axis=1) + 0.5
    np.testing.assert_allclose(scan.positions_px, expected, atol=1e-6)
    assert scan.geometry.energy_eV == ENERGY_EV
    assert ptychopinn.info(folder / first).patterns == 20


def test_the_npz_files_read_as_the_hdf5_files(folder, parts, tmp_path) -> None:
    with h5py.File(tmp_path / "product.h5", "w") as file:
        told = product(parts)
        for name in ("detector_object_distance_m", "photon_energy_eV", "name", "comments", "far_field"):
            file.attrs[name] = told[name]
        for name in ("probe", "object", *(f"probe_position_{axis}" for axis in ("x_m", "y_m", "indexes"))):
            file[name] = told[name]
        for name in ("center_x_m", "center_y_m", "pixel_width_m", "pixel_height_m"):
            file["object"].attrs[name] = told[f"object_{name}"]
    one, other = Reconstruction.load(tmp_path / "product.h5"), Reconstruction.load(folder / "product.npz")
    for name in ("object_", "probe", "positions_px", "coverage", "origin_px"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.geometry, one.metadata, one.pixel_size_m) == (other.geometry, other.metadata, other.pixel_size_m)


def test_patterns_are_paired_by_number(folder, parts) -> None:
    order = np.random.default_rng(3).permutation(20)
    np.savez(folder / "diffraction.npz", patterns=parts["patterns"][order], indexes=order)
    scan = read_scan(folder / "product.npz")
    expected = np.stack([parts["rows"], parts["columns"]], axis=1)[order] + 0.5
    np.testing.assert_allclose(scan.positions_px, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"object": np.zeros((2, 9, 9), complex)}, "object must be one layer"),
        ({"probe_position_x_m": np.zeros(3)}, "two lists of real numbers of the same length"),
        ({"probe_position_indexes": np.zeros(20)}, "one whole number for each frame"),
        ({"probe": np.array(None, dtype=object)}, "never unpickled"),
    ],
)
def test_broken_products_are_refused(folder, parts, change, words) -> None:
    np.savez(folder / "product.npz", **product(parts, **change))
    with pytest.raises(ptychopinn.PtychoPINNError, match=words):
        Reconstruction.load(folder / "product.npz")


@pytest.mark.parametrize("transposed", [False, True])
def test_ptylab(tmp_path, parts, transposed) -> None:
    """PtyLab/Reconstruction.py: position = encoder / dxo, (row, column), dxo = wavelength zo / (Nd dxd)."""
    encoder = np.stack([parts["rows"], parts["columns"]], axis=1) * PIXEL_M - 2e-6
    with h5py.File(tmp_path / "scan.hdf5", "w") as file:
        file["ptychogram"] = parts["patterns"]
        file["encoder"] = encoder.T if transposed else encoder
        file["wavelength"], file["zo"] = WAVELENGTH_M, np.array([[DISTANCE_M]])
        file["dxd"], file["entrancePupilDiameter"] = DETECTOR_M, 12 * PIXEL_M
    scan = read_scan(tmp_path / "scan.hdf5")
    np.testing.assert_array_equal(scan.patterns, parts["patterns"])
    expected = np.stack([parts["rows"], parts["columns"]], axis=1)
    assert np.ptp(scan.positions_px - expected, axis=0).max() < 1e-6
    assert scan.pixel_size_m == pytest.approx(PIXEL_M, rel=1e-6)
    assert "12.0 px across" in scan.notes[0]
