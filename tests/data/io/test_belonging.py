"""What belongs to the patterns: masks, dark images, probes and positions in the shapes and types that files have."""

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.probe_planes import complex_probe
from ptychopinn.errors import ScanError

DETECTOR = "entry_1/instrument_1/detector_1"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
ILLUMINATION = "entry_1/instrument_1/source_1/illumination"

BAD = np.zeros((16, 16), bool)
BAD[3], BAD[:, 5] = True, True
EACH = np.stack([np.roll(BAD, n, axis=0) for n in range(14)])
SHAPES = {
    "one mask": (BAD, BAD),
    "axes of one": (BAD[None, None], BAD),
    "a last axis of one": (BAD[..., None], BAD),
    "one for each pattern": (EACH, EACH),
    "raster": (EACH.reshape(2, 7, 16, 16), EACH),
    "raster with an axis of one": (EACH.reshape(2, 7, 1, 16, 16), EACH),
}


@pytest.mark.parametrize("kind", [np.uint8, np.bool_, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
def test_masks_of_any_shape_and_type(scan_of, cxi_of, write_hdf5, tmp_path, shape: str, kind: Any) -> None:
    stored, expected = SHAPES[shape]
    scan = scan_of(object_guess=None)
    found = read_scan(write_hdf5(cxi_of(scan) | {f"{DETECTOR}/mask": stored.astype(kind)}))
    np.testing.assert_array_equal(found.bad_pixels, expected)
    path = write_scan(scan, tmp_path / "scan.npz")
    np.savez(path, **(dict(np.load(path)) | {"bad_pixels": stored.astype(kind)}))
    np.testing.assert_array_equal(read_scan(path).bad_pixels, expected)


def test_two_masks_of_a_detector_are_joined(scan_of, cxi_of, write_hdf5) -> None:
    masks = {f"{DETECTOR}/mask": EACH.astype(np.uint32), f"{DETECTOR}/mask_shared": np.eye(16, dtype=np.uint32)}
    found = read_scan(write_hdf5(cxi_of(scan_of()) | masks))
    np.testing.assert_array_equal(found.bad_pixels, EACH | np.eye(16, dtype=bool))


@pytest.mark.parametrize("bit", [2, 8, 128, 512, 0x4000])
def test_each_bit_but_that_of_a_signal_is_a_defect(scan_of, cxi_of, write_hdf5, bit: int) -> None:
    mask = np.full((16, 16), 0x1000)
    mask[3] |= bit
    path = write_hdf5(cxi_of(scan_of()) | {f"{DETECTOR}/mask": mask})
    assert np.flatnonzero(read_scan(path).bad_pixels.any(axis=1)).tolist() == [3]
    assert read_scan(path, mask_bits=0xFFFF & ~0x1000 & ~bit).bad_pixels is None


@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16), (5, 16, 16), ()])
def test_a_dark_image_is_subtracted_with_a_word(scan_of, cxi_of, write_hdf5, caplog, shape) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan) | {f"{DETECTOR}/data": scan.patterns + 20, f"{DETECTOR}/data_dark": np.full(shape, 20.0)}
    path = write_hdf5(parts)
    found = read_scan(path)
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    assert found.patterns.dtype == np.float32
    assert "data_dark (mean 20 counts) is subtracted from the patterns" in caplog.text
    kept = read_scan(path, dark="ignore")
    np.testing.assert_array_equal(kept.patterns, scan.patterns + 20)
    assert "data_dark is ignored, as asked for" in caplog.text


def test_a_dark_image_beside_the_data(scan_of, cxi_of, write_hdf5, caplog) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan) | {f"{DETECTOR}/data": scan.patterns + 20, "entry_1/data_1/data_dark": np.full((16, 16), 20.0)}
    found = read_scan(write_hdf5(parts | {"entry_1/data_1/data": h5py.SoftLink(f"/{DETECTOR}/data")}))
    np.testing.assert_array_equal(found.patterns, scan.patterns)


def test_patterns_that_lie_below_the_dark_image_are_corrected_already(scan_of, cxi_of, write_hdf5, caplog) -> None:
    scan = scan_of(object_guess=None)
    found = read_scan(write_hdf5(cxi_of(scan) | {f"{DETECTOR}/data_dark": np.full((16, 16), 20.0)}))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    assert "data_dark (mean 20 counts) is not subtracted: the mean pattern lies below it" in caplog.text


def test_a_dark_image_of_another_size(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(cxi_of(scan_of()) | {f"{DETECTOR}/data_dark": np.ones((8, 8))})
    with pytest.raises(ScanError, match=r"data_dark must be finite and of the size of the patterns, .*--dark ignore"):
        read_scan(path)
    assert len(read_scan(path, dark="ignore")) == 14


def test_an_image_of_even_illumination_is_named(scan_of, cxi_of, write_hdf5, caplog) -> None:
    read_scan(write_hdf5(cxi_of(scan_of()) | {f"{DETECTOR}/data_white": np.ones((16, 16))}))
    assert "data_white is not applied" in caplog.text


@pytest.mark.parametrize("key", ["background", "data_dark"])
@pytest.mark.parametrize("shape", [(16, 16), (3, 16, 16), ()])
def test_a_dark_image_of_an_npz_file_is_subtracted(scan_of, tmp_path, caplog, key: str, shape: tuple[int, ...]) -> None:
    """As that of a CXI file; it was only named before."""
    scan = scan_of()
    path = write_scan(replace(scan, patterns=scan.patterns + 20), tmp_path / "scan.npz")
    np.savez(path, **dict(np.load(path)), **{key: np.full(shape, 20.0)})
    found = read_scan(path)
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    assert found.domain == "counts"
    assert f"{key} (mean 20 counts) is subtracted from the patterns" in caplog.text
    np.testing.assert_array_equal(read_scan(path, dark="ignore").patterns, scan.patterns + 20)


def test_a_dark_image_moves_with_the_zero_frequency(scan_of, tmp_path) -> None:
    scan, dark = scan_of(), np.arange(256.0).reshape(16, 16)
    raw = np.fft.ifftshift(scan.patterns + dark, axes=(1, 2))
    path = write_scan(replace(scan, patterns=raw), tmp_path / "scan.npz")
    np.savez(path, **dict(np.load(path)), dark=np.fft.ifftshift(dark))
    np.testing.assert_array_equal(read_scan(path, fftshift=True).patterns, scan.patterns)


def test_a_dark_image_beside_amplitudes_is_named(scan_of, tmp_path, caplog) -> None:
    path = write_scan(scan_of(domain="amplitude"), tmp_path / "scan.npz")
    kept = read_scan(path).patterns
    np.savez(path, **dict(np.load(path)), dark=np.ones((16, 16)))
    np.testing.assert_array_equal(read_scan(path).patterns, kept)
    assert "dark is not subtracted, because the patterns are amplitudes" in caplog.text


@pytest.mark.parametrize("dark", [np.ones((8, 8)), np.full((16, 16), np.nan), np.array(["a"])])
def test_a_dark_image_of_an_npz_file_must_fit(scan_of, tmp_path, dark) -> None:
    path = write_scan(scan_of(), tmp_path / "scan.npz")
    np.savez(path, **dict(np.load(path)), dark=dark)
    with pytest.raises(ScanError, match=r"dark must be finite and of the size of the patterns, .*--dark ignore"):
        read_scan(path)


def test_a_mask_of_an_npz_file_under_another_name_is_named(scan_of, tmp_path, caplog) -> None:
    path = write_scan(scan_of(), tmp_path / "scan.npz")
    np.savez(path, **dict(np.load(path)), mask=np.ones((16, 16)))
    assert read_scan(path).bad_pixels is None
    assert "mask is not used; if it is a mask, save it as bad_pixels" in caplog.text


def planes_of(probe: np.ndarray) -> dict[str, Any]:
    pair = np.dtype([("real", np.float64), ("imag", np.float64)])
    compound = np.empty(probe.shape, pair)
    compound["real"], compound["imag"] = probe.real, probe.imag
    return {
        "first axis": np.stack([probe.real, probe.imag]),
        "last axis": np.stack([probe.real, probe.imag], axis=-1),
        "complex type": np.stack([probe.real, probe.imag]).astype(complex),
        "compound": compound,
    }


@pytest.mark.parametrize("kind", ["first axis", "last axis", "complex type", "compound"])
def test_a_probe_of_two_real_planes_is_complex(scan_of, cxi_of, write_hdf5, tmp_path, caplog, kind: str) -> None:
    scan = scan_of(object_guess=None)
    scan = replace(scan, probe=scan.probe * np.complex64(np.exp(2j)))
    stored = planes_of(scan.probe[0])[kind]
    found = read_scan(write_hdf5(cxi_of(scan) | {ILLUMINATION: stored}))
    np.testing.assert_allclose(found.probe, scan.probe, rtol=1e-6)
    assert ("taken as real and imaginary part" in caplog.text) == (kind != "compound")
    path = write_scan(scan, tmp_path / "scan.npz")
    np.savez(path, **(dict(np.load(path)) | {"probeGuess": stored}))
    np.testing.assert_allclose(read_scan(path).probe, scan.probe, rtol=1e-6)


def test_modes_of_two_real_planes() -> None:
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(3, 8, 8)) + 1j * rng.normal(size=(3, 8, 8))
    for axis in (0, 1, 3):
        np.testing.assert_array_equal(complex_probe(np.stack([modes.real, modes.imag], axis=axis), "here"), modes)


@pytest.mark.parametrize("names", [("illumination_real", "illumination_imag"), ("illumination/re", "illumination/im")])
def test_a_probe_of_two_datasets(scan_of, cxi_of, write_hdf5, names) -> None:
    scan, source = scan_of(object_guess=None), "entry_1/instrument_1/source_1"
    parts = {f"{source}/{names[0]}": scan.probe[0].real, f"{source}/{names[1]}": scan.probe[0].imag}
    found = read_scan(write_hdf5(cxi_of(scan) | {ILLUMINATION: None} | parts))
    np.testing.assert_array_equal(found.probe, scan.probe)


def test_planes_that_may_be_amplitude_and_phase_are_refused(scan_of, cxi_of, write_hdf5) -> None:
    probe = scan_of().probe[0]
    stored = np.stack([np.abs(probe), np.angle(probe)])
    with pytest.raises(ScanError, match=r"real and imaginary part, or amplitude and phase; save it as complex numbers"):
        read_scan(write_hdf5(cxi_of(scan_of()) | {ILLUMINATION: stored}))


def test_real_modes_without_phase_are_modes() -> None:
    modes = np.random.default_rng(0).uniform(0, 1, (2, 8, 8))
    np.testing.assert_array_equal(complex_probe(modes, "here"), modes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_column_that_is_not_used_may_hold_anything(scan_of, cxi_of, write_hdf5, value: float) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    parts[TRANSLATION][:, 2] = value
    found = read_scan(write_hdf5(parts))
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-9)


def test_one_position_that_is_no_number_is_named(scan_of, cxi_of, write_hdf5) -> None:
    parts = cxi_of(scan_of(object_guess=None))
    parts[TRANSLATION][7, 0] = np.nan
    path = write_hdf5(parts)
    with pytest.raises(ScanError, match=r"the positions hold 1 NaN or infinite value \(x of pattern 7\)"):
        read_scan(path, drop_frames="none")
    with pytest.raises(ScanError, match=r"leave these patterns out by --drop-frames unpaired \(data\.drop_frames\)"):
        read_scan(path)
    kept = np.delete(scan_of(object_guess=None).patterns, 7, axis=0)
    np.testing.assert_array_equal(read_scan(path, drop_frames=("unpaired",)).patterns, kept)


def test_axes_of_one_in_patterns_and_positions(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    scan = scan_of(object_guess=None)
    parts = cxi_of(scan)
    parts[f"{DETECTOR}/data"] = scan.patterns[:, None, :, :, None]
    parts[TRANSLATION] = parts[TRANSLATION][:, None, None]
    parts["entry_1/instrument_1/source_1/energy"] = np.full((1, 1), parts["entry_1/instrument_1/source_1/energy"])
    found = read_scan(write_hdf5(parts))
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_allclose(np.diff(found.positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-9)
    path = write_scan(scan, tmp_path / "scan.npz")
    stored = dict(np.load(path))
    for shape, column in (((14, 16, 16, 1), (14, 1)), ((14, 1, 16, 16), (1, 14)), ((2, 7, 16, 16), (2, 7))):
        stored |= {"diff3d": scan.patterns.reshape(shape)}
        stored |= {name: scan.positions_px[:, axis].reshape(column) for name, axis in (("xcoords", 1), ("ycoords", 0))}
        np.savez(path, **stored)
        found = read_scan(path)
        np.testing.assert_array_equal(found.patterns, scan.patterns)
        np.testing.assert_array_equal(found.positions_px, scan.positions_px)


def test_a_file_with_a_user_block(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    """As MATLAB 7.3 writes it."""
    scan = scan_of(object_guess=None)
    for size in (512, 4096):
        blocked = tmp_path / "blocked.mat"
        with (
            h5py.File(write_hdf5(cxi_of(scan))) as plain,
            h5py.File(blocked, "w", userblock_size=size) as file,
        ):
            for name in plain:
                plain.copy(name, file)
        with blocked.open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file")
        np.testing.assert_array_equal(read_scan(blocked).patterns, scan.patterns)
