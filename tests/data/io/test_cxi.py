"""CXI files of other programs, and the shared ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.errors import ScanError
from ptychopinn.physics import split_position

DETECTOR = "entry_1/instrument_1/detector_1"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"


def test_a_plain_file(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(write_hdf5(cxi_of(scan)))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.probe, scan.probe)
    assert (found.domain, found.domain_reason) == ("counts", "its format holds counts")
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m, rel=1e-9)
    assert found.geometry.energy_eV == pytest.approx(8800)
    assert (found.geometry.distance_m, found.geometry.detector_pixel_m) == (1.75, (75e-6, 75e-6))
    assert found.object_guess is None
    assert found.bad_pixels is None


def test_positions_without_an_object_begin_at_a_whole_pixel(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(write_hdf5(cxi_of(scan)))
    assert found.positions_px.min(axis=0).tolist() == [8.0, 8.0]
    shift = scan.positions_px.min(axis=0) - 8
    np.testing.assert_allclose(found.positions_px + shift, scan.positions_px, atol=1e-9)


@pytest.mark.parametrize("size", [15, 16])
def test_the_object_says_where_zero_is(scan_of, cxi_of, write_hdf5, size: int) -> None:
    """Its geometric centre lies at the origin of the translations, and patches are centred on the beam."""
    scan = scan_of(size)
    rows, columns = scan.object_guess.shape
    parts = cxi_of(scan) | {"entry_1/image_2/data": scan.object_guess}
    found = read_scan(write_hdf5(parts))
    half = 0.5 if size % 2 == 0 else 0.0
    expected = scan.positions_px - 20.25 + [(rows - 1) / 2, (columns - 1) / 2] + half
    np.testing.assert_allclose(found.positions_px, expected, atol=1e-9)
    np.testing.assert_array_equal(found.object_guess, scan.object_guess)
    element = read_scan(write_hdf5(parts), position_origin="element")
    np.testing.assert_allclose(element.positions_px, expected - half, atol=1e-9)


def test_an_object_with_a_centre_of_its_own(scan_of, cxi_of, write_hdf5) -> None:
    """`image_center` is in laboratory coordinates, against which rows and columns run."""
    scan = scan_of()
    pixel = scan.pixel_size_m
    parts = cxi_of(scan) | {"entry_1/image_2/data": scan.object_guess}
    plain = read_scan(write_hdf5(parts))
    centre = np.array([-3.0 * pixel, -5.5 * pixel, 0.0])
    moved = read_scan(write_hdf5(parts | {"entry_1/image_2/image_center": centre}))
    np.testing.assert_allclose(plain.positions_px - moved.positions_px, np.full((14, 2), [5.5, 3.0]), atol=1e-9)


BASES = {
    "as by default": ([[0, -1, 0], [-1, 0, 0]], lambda y, x: (y, x)),
    "along y and x": ([[0, 1, 0], [1, 0, 0]], lambda y, x: (-y, -x)),
    "swapped": ([[-1, 0, 0], [0, -1, 0]], lambda y, x: (x, y)),
    "one flipped": ([[0, -1, 0], [1, 0, 0]], lambda y, x: (y, -x)),
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("basis", BASES)
def test_basis_vectors_say_how_rows_and_columns_run(scan_of, cxi_of, write_hdf5, basis: str, transposed: bool) -> None:
    scan = scan_of(object_guess=None)
    vectors, turned = BASES[basis]
    stored = 75e-6 * np.array(vectors, np.float32)
    found = read_scan(write_hdf5(cxi_of(scan) | {f"{DETECTOR}/basis_vectors": stored if transposed else stored.T}))
    expected = np.stack(turned(*scan.positions_px.T), axis=1)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(expected, axis=0), atol=1e-5)


def test_detector_pixels_that_are_not_square(scan_of, cxi_of, write_hdf5) -> None:
    """The object's pixels are not either: positions follow each axis, and no single size is claimed."""
    scan = scan_of(object_guess=None)
    found = read_scan(write_hdf5(cxi_of(scan) | {f"{DETECTOR}/y_pixel_size": 150e-6}))
    expected = np.diff(scan.positions_px, axis=0) * [2, 1]
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), expected, atol=1e-9)
    assert found.pixel_size_m is None
    y, x = found.metadata["object_pixel_m"]
    assert y == pytest.approx(x / 2)


def test_one_pixel_size_counts_for_both_axes(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    del parts[f"{DETECTOR}/y_pixel_size"]
    assert read_scan(write_hdf5(parts)).pixel_size_m == pytest.approx(scan.pixel_size_m)


def test_wavelength_instead_of_energy(scan_of, cxi_of, write_hdf5) -> None:
    parts = cxi_of(scan_of())
    del parts["entry_1/instrument_1/source_1/energy"]
    parts["entry_1/instrument_1/source_1/wavelength"] = 1.4089113458318212e-10
    assert read_scan(write_hdf5(parts)).geometry.energy_eV == pytest.approx(8800)


def test_legacy_paths(scan_of, cxi_of, write_hdf5) -> None:
    """Patterns and positions under `data_1`, the probe in `image_1`."""
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    parts["entry_1/data_1/data"] = parts.pop(f"{DETECTOR}/data")
    parts["entry_1/data_1/translation"] = parts.pop(TRANSLATION)
    parts["entry_1/image_1/data"] = parts.pop("entry_1/instrument_1/source_1/illumination")
    found = read_scan(write_hdf5(parts))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.probe, scan.probe)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 3, 16, 16)])
def test_probe_modes(scan_of, cxi_of, write_hdf5, caplog, shape) -> None:
    rng = np.random.default_rng(1)
    probe = (rng.normal(size=shape) + 1j).astype(np.complex64)
    parts = cxi_of(scan_of()) | {"entry_1/instrument_1/source_1/illumination": probe}
    found = read_scan(write_hdf5(parts))
    np.testing.assert_array_equal(found.probe, probe if probe.ndim == 3 else probe[0])
    assert ("only the first of 2 coherent (OPR) modes" in caplog.text) == (probe.ndim == 4)


@pytest.mark.parametrize("each", [False, True])
def test_every_bit_of_the_mask_but_that_of_a_signal_is_bad(scan_of, cxi_of, write_hdf5, each) -> None:
    mask = np.zeros((14, 16, 16) if each else (16, 16), np.uint32)
    mask[..., 0, 0], mask[..., 0, 1], mask[..., 0, 2], mask[..., 0, 3], mask[..., 0, 4] = 1, 0x1000, 4, 5, 0x1200
    path = write_hdf5(cxi_of(scan_of()) | {f"{DETECTOR}/mask": mask})
    found = read_scan(path)
    assert found.bad_pixels.shape == mask.shape
    assert np.argwhere(found.bad_pixels.reshape(-1, 16, 16)[0]).tolist() == [[0, 0], [0, 2], [0, 3], [0, 4]]
    some = read_scan(path, mask_bits=1).bad_pixels
    assert np.argwhere(some.reshape(-1, 16, 16)[0]).tolist() == [[0, 0], [0, 3]]


def test_a_raster_of_frames_and_positions(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    parts[f"{DETECTOR}/data"] = scan.patterns.reshape(2, 7, 16, 16)
    parts[TRANSLATION] = parts[TRANSLATION].reshape(2, 7, 3)
    found = read_scan(write_hdf5(parts))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-9)


def test_options_apply(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of(object_guess=None, bad_pixels=np.eye(16, k=3, dtype=bool))
    parts = cxi_of(scan) | {f"{DETECTOR}/mask": np.fft.ifftshift(scan.bad_pixels).astype(np.uint32)}
    path = write_hdf5(parts | {f"{DETECTOR}/data": np.fft.ifftshift(scan.patterns, axes=(1, 2))})
    with pytest.raises(ScanError, match="--fftshift"):
        read_scan(path)
    found = read_scan(path, fftshift=True, domain="amplitude")
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.bad_pixels, scan.bad_pixels)
    assert (found.domain, found.domain_reason) == ("amplitude", "given explicitly")
    assert "fftshift" in found.metadata["history"][0]
    with pytest.raises(ScanError, match=r"patterns in HDF5 files are \(N, H, W\); drop the axis order 'hwn'"):
        read_scan(path, axis_order="hwn")


DEFECTS = [
    ({f"{DETECTOR}/data": None}, r"no patterns \(looked for data_1/data or .*--diffraction"),
    ({TRANSLATION: None}, r"no positions \(looked for sample_1/geometry_1/translation .*found: .*illumination"),
    ({f"{DETECTOR}/distance": None}, r"object pixel is not known, as energy, distance or detector pixel is missing"),
    ({"entry_1/instrument_1/source_1/energy": None}, r"energy, distance or detector pixel is missing"),
    ({f"{DETECTOR}/distance": -1.0}, r"distance is -1.0; must be a positive number"),
    ({f"{DETECTOR}/distance": np.nan}, r"distance is nan; must be a finite number"),
    ({f"{DETECTOR}/distance": "far"}, r"distance is .*far.*; must be a finite number"),
    ({TRANSLATION: np.ones((14, 5))}, r"translation has shape \(14, 5\) .*must be \(N, 3\)"),
    ({TRANSLATION: np.ones((13, 3))}, r"14 patterns but 13 positions"),
    ({f"{DETECTOR}/data": np.ones((16, 16))}, r"data has shape \(16, 16\) .*\(N, H, W\)"),
    ({f"{DETECTOR}/data": np.ones((14, 16, 16), complex)}, r"type complex128; must be frames"),
    ({f"{DETECTOR}/data": np.ones((14, 16, 12))}, r"square"),
    ({f"{DETECTOR}/mask": np.full((16, 16), 0.5)}, r"mask must hold whole numbers, .* got float64 values"),
    ({f"{DETECTOR}/mask": np.zeros((4, 4), int) + 1}, r"bad_pixels has shape \(4, 4\)"),
    ({f"{DETECTOR}/basis_vectors": np.ones((3, 3))}, r"basis_vectors is .*one step along rows"),
    ({f"{DETECTOR}/basis_vectors": np.zeros((3, 2))}, r"basis_vectors is .*one step along rows"),
    ({"entry_1/instrument_1/source_1/illumination": np.ones(16) + 0j}, r"illumination has shape \(16,\)"),
    ({"entry_1/image_2/data": np.ones((2, 40, 40), complex)}, r"shape \(2, 40, 40\); must be one layer"),
    ({"entry_1/image_2/data": np.ones((40, 40), complex), "entry_1/image_2/image_center": 1.0}, r"image_center"),
]


@pytest.mark.parametrize(("change", "message"), DEFECTS)
def test_defects_are_one_clear_error(scan_of, cxi_of, write_hdf5, change, message) -> None:
    parts = cxi_of(scan_of())
    read_scan(write_hdf5(parts))
    path = write_hdf5(parts | change)
    with pytest.raises(ScanError, match=message) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_object_of_other_pixels_is_left_out(scan_of, cxi_of, write_hdf5, caplog) -> None:
    scan = scan_of()
    size = np.array([1e-6, 1e-6, 0])
    parts = cxi_of(scan) | {"entry_1/image_2/data": scan.object_guess, "entry_1/image_2/image_size": size}
    found = read_scan(write_hdf5(parts))
    assert found.object_guess is None
    assert "but the patterns give" in caplog.text


def test_files_of_ours_say_what_is_nominal(scan_of, tmp_path: Path) -> None:
    path = write_scan(scan_of(pixel_size_m=None, geometry=Geometry(9000.0), metadata={}), tmp_path / "scan.cxi")
    with h5py.File(path) as file:
        comment = file["entry_1/experiment_description"][()].decode()
        energy = file["entry_1/instrument_1/source_1/energy"][()]
        assert file["cxi_version"][()] == 160
    assert comment == "Nominal values, not measured: pixel_size_m, distance_m, detector_pixel_m."
    assert energy == pytest.approx(9000 * 1.602176634e-19)
    found = read_scan(path)
    assert found.geometry == Geometry(9000.0)
    assert found.metadata == {}


@pytest.mark.parametrize("origin", [None, [4e-6, -1.5e-6]])
def test_files_of_ours_are_plain_cxi(scan_of, tmp_path: Path, origin) -> None:
    """Without the groups that only ptychodus or we look at, the same scan is read."""
    scan = scan_of()
    scan = scan_of(metadata=scan.metadata | ({} if origin is None else {"frame_origin_m": origin}))
    path = write_scan(scan, tmp_path / "scan.cxi")
    with h5py.File(path, "a") as file:
        del file["entry_1/ptychopinn"], file["entry_1/ptychodus"]
    found = read_scan(path)
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.object_guess, scan.object_guess)
    assert found.pixel_size_m == pytest.approx(scan.pixel_size_m)


def test_the_mask_that_we_write_has_bit_zero(scan_of, tmp_path: Path) -> None:
    bad = np.eye(16, dtype=bool)
    with h5py.File(write_scan(scan_of(bad_pixels=bad), tmp_path / "scan.cxi")) as file:
        np.testing.assert_array_equal(file[f"{DETECTOR}/mask"][()], bad.astype(int))
        np.testing.assert_array_equal(file["entry_1/data_1/data"], file[f"{DETECTOR}/data"])


@pytest.mark.shared_data
def test_the_shared_file_is_the_same_scan_as_the_npz(shared_dir) -> None:
    """But for whole pixels: the CXI file holds no object, so that its frame begins at the first patches."""
    scan = read_scan(shared_dir / "data" / "siemens128.cxi")
    other = read_scan(shared_dir / "data" / "siemens128.npz")
    np.testing.assert_array_equal(scan.amplitudes(), other.amplitudes())
    np.testing.assert_array_equal(scan.probe, other.probe)
    np.testing.assert_allclose(other.positions_px - scan.positions_px, np.full((516, 2), 8.0), atol=1e-10)
    assert scan.patterns.dtype == np.uint16
    assert scan.pixel_size_m == pytest.approx(26e-9, rel=1e-12)


@pytest.mark.shared_data
def test_the_shared_file_is_split_into_the_same_pixels_and_remainders(shared_dir) -> None:
    import torch

    scan = read_scan(shared_dir / "data" / "siemens128.cxi")
    other = read_scan(shared_dir / "data" / "siemens128.npz")
    whole, rest = split_position(torch.from_numpy(scan.positions_px))
    whole_npz, rest_npz = split_position(torch.from_numpy(other.positions_px))
    assert (whole_npz - whole == 8).all()
    torch.testing.assert_close(rest, rest_npz, atol=1e-10, rtol=0)
