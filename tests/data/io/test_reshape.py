"""Patterns and pixels that are not square, and patterns of another size."""

from dataclasses import replace
from typing import Any

import h5py
import numpy as np
import pytest

import ptychopinn
from ptychopinn import Reconstruction
from ptychopinn.config import DataConfig
from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.geometry import Geometry, wavelength_m
from ptychopinn.data.io.reshape import reshaped
from ptychopinn.errors import ScanError

DETECTOR = "entry_1/instrument_1/detector_1"
ILLUMINATION = "entry_1/instrument_1/source_1/illumination"
REACH = wavelength_m(8800.0) * 1.75


def far_field(wave: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(wave, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))


def gaussian(height: int, width: int, dy: float = 1.0, dx: float = 1.0) -> np.ndarray:
    """A beam sampled with pixels of dy and dx, with the photons of the continuous one in every sampling."""
    y, x = (np.arange(n) - n // 2 for n in (height, width))
    y, x = y[:, None] * dy, x[None, :] * dx
    return 50 * np.sqrt(dy * dx) * np.exp(-((y - 0.6) ** 2) / 12 - x**2 / 18 + 0.05j * (y**2 + x**2) + 0.2j * x)


@pytest.mark.parametrize(
    ("shape", "options"), [((32, 48), {"crop": 32}), ((32, 24), {"pad": 32}), ((33, 48), {"crop": 32})]
)
def test_cropping_and_padding_keep_the_beam(shape: tuple[int, int], options: dict[str, Any]) -> None:
    """The same beam, sampled on the new object pixel, gives the new patterns."""
    size = next(iter(options.values()))
    probe = gaussian(*shape)
    patterns = np.abs(far_field(probe))[None] ** 2
    found = reshaped(patterns, None, probe, None, DataConfig(**options), True, "here")
    dy, dx = shape[0] / size, shape[1] / size
    assert found.scale == pytest.approx((1 / dy, 1 / dx))
    np.testing.assert_allclose(found.probe, gaussian(size, size, dy, dx), atol=2e-2 * np.abs(probe).max())
    good = np.ones((size, size), bool) if found.bad_pixels is None else ~found.bad_pixels
    np.testing.assert_allclose(np.abs(far_field(found.probe))[good] ** 2, found.patterns[0][good], rtol=1e-6, atol=1e-3)
    assert good.sum() == min(shape[0], size) * min(shape[1], size)


@pytest.mark.parametrize("ratio", [2.0, 1.5])
@pytest.mark.parametrize("axis", [0, 1])
def test_resampling_keeps_counts_and_centre(ratio: float, axis: int) -> None:
    """Rows and columns of the same beam, with the window that the wider pixels leave."""
    shape = [32, 32]
    shape[axis] = 48
    probe = gaussian(*shape)
    patterns = np.abs(far_field(probe))[None] ** 2
    pixel = (1e-4 / ratio, 1e-4) if axis == 0 else (1e-4, 1e-4 / ratio)
    found = reshaped(patterns, None, probe, pixel, DataConfig(resample=True), True, "here")
    fewer = int(48 / ratio)
    assert found.patterns.shape[1 + axis] == fewer
    assert found.scale == pytest.approx((1.0, 1.0))
    assert found.detector_factor[axis] == pytest.approx(ratio)
    assert found.patterns.sum() == pytest.approx(patterns.sum(), rel=1e-2)
    y, x = np.indices(found.patterns.shape[1:])
    centres = [(found.patterns[0] * one).sum() / found.patterns.sum() for one in (y, x)]
    before = [(patterns[0] * one).sum() / patterns.sum() for one in np.indices(tuple(shape))]
    expected = (before[axis] - 24) / ratio + fewer // 2
    assert centres[axis] == pytest.approx(expected, abs=0.02)
    cut = [slice(None), slice(None)]
    cut[axis] = slice(24 - fewer // 2, 24 - fewer // 2 + fewer)
    np.testing.assert_allclose(found.probe, probe[tuple(cut)], atol=1e-9)


def wide_parts(cxi_parts: dict[str, Any], width: int = 24, **changes: Any) -> dict[str, Any]:
    """Patterns of 16 x `width` pixels, with a probe of that size."""
    rng = np.random.default_rng(3)
    probe = gaussian(16, width)
    patterns = rng.poisson(np.abs(far_field(probe)) ** 2, (14, 16, width)).astype(np.uint16)
    return cxi_parts | {f"{DETECTOR}/data": patterns, ILLUMINATION: probe} | changes


def test_patterns_that_are_not_square_name_the_options(scan_of, cxi_of, write_hdf5) -> None:
    with pytest.raises(ScanError, match=r"16 x 24 pixels; .*give --crop 16 \(data\.crop\) or --pad 24 \(data\.pad\)"):
        read_scan(write_hdf5(wide_parts(cxi_of(scan_of()))))


@pytest.mark.parametrize("option", [{"crop": 16}, {"pad": 24}])
def test_metres_become_the_new_pixels(scan_of, cxi_of, write_hdf5, option: dict[str, int]) -> None:
    parts = wide_parts(cxi_of(scan_of()))
    found = read_scan(write_hdf5(parts), **option)
    size = next(iter(option.values()))
    assert found.patterns.shape == (14, size, size)
    assert found.pixel_size_m == pytest.approx(REACH / (size * 75e-6))
    moved = parts["entry_1/sample_1/geometry_1/translation"][:, 1::-1]
    np.testing.assert_allclose(
        np.diff(found.positions_px, axis=0), np.diff(moved, axis=0) / found.pixel_size_m, atol=1e-6
    )
    assert (found.bad_pixels is None) == ("crop" in option)


def test_bounds_of_the_options(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(wide_parts(cxi_of(scan_of())))
    with pytest.raises(
        ScanError, match=r"--crop \(data\.crop\) must be at most 16 for patterns of 16 x 24 pixels, got 20"
    ):
        read_scan(path, crop=20)
    with pytest.raises(
        ScanError, match=r"--pad \(data\.pad\) must be at least 24 for patterns of 16 x 24 pixels, got 20"
    ):
        read_scan(path, pad=20)
    with pytest.raises(ScanError, match=r"14 patterns of 1000000 x 1000000 pixels need .* TiB, .* a smaller --pad"):
        read_scan(path, pad=1_000_000)
    assert read_scan(path, crop=12, pad=20).patterns.shape == (14, 20, 20)


def test_pixels_that_are_not_square_are_resampled(scan_of, cxi_of, write_hdf5) -> None:
    parts = wide_parts(cxi_of(scan_of()), 32, **{f"{DETECTOR}/y_pixel_size": 150e-6})
    found = read_scan(write_hdf5(parts), resample=True)
    assert found.patterns.shape == (14, 16, 16)
    assert found.geometry.detector_pixel_m == pytest.approx((150e-6, 150e-6))
    assert found.pixel_size_m == pytest.approx(REACH / (16 * 150e-6))
    moved = parts["entry_1/sample_1/geometry_1/translation"][:, 1::-1]
    np.testing.assert_allclose(
        np.diff(found.positions_px, axis=0), np.diff(moved, axis=0) / found.pixel_size_m, atol=1e-6
    )


def test_positions_in_pixels_follow_the_object_pixel(scan_of, tmp_path) -> None:
    """NPZ and training data of ptychodus hold pixels; both end where metres do."""
    scan = replace(scan_of(object_guess=None), nominal_positions_px=scan_of().positions_px + 1)
    npz = read_scan(write_scan(scan, tmp_path / "scan.npz"), crop=8)
    np.testing.assert_allclose(npz.positions_px, scan.positions_px / 2)
    np.testing.assert_allclose(npz.nominal_positions_px, (scan.positions_px + 1) / 2)
    assert npz.pixel_size_m == pytest.approx(2 * scan.pixel_size_m)
    cxi = read_scan(write_scan(scan, tmp_path / "scan.cxi"), crop=8)
    training = read_scan(write_scan(scan, tmp_path / "scan.h5"), crop=8)
    for other in (cxi, training):
        np.testing.assert_allclose(np.diff(other.positions_px, axis=0), np.diff(npz.positions_px, axis=0), atol=1e-9)
        np.testing.assert_array_equal(other.patterns, npz.patterns)
        np.testing.assert_allclose(other.probe, npz.probe, atol=1e-4)
        assert other.pixel_size_m == pytest.approx(npz.pixel_size_m)


def test_an_object_guess_of_the_old_pixel_is_left_out(scan_of, tmp_path, caplog) -> None:
    for name in ("scan.npz", "scan.cxi"):
        found = read_scan(write_scan(scan_of(), tmp_path / name), crop=8)
        assert found.object_guess is None
        assert "has other pixels than the reshaped patterns; it is not used" in caplog.text


PIXELS = (150e-6, 75e-6)


@pytest.mark.parametrize("way", [(".cxi",), (".h5",), (".npz", ".cxi"), (".cxi", ".npz", ".h5", ".cxi")])
def test_both_sides_of_a_pixel_survive_convert(scan_of, cxi_of, write_hdf5, tmp_path, way: tuple[str, ...]) -> None:
    parts = cxi_of(scan_of(object_guess=None)) | {f"{DETECTOR}/y_pixel_size": PIXELS[0]}
    path = write_hdf5(parts, "first.cxi")
    first = read_scan(path)
    for number, extension in enumerate(way):
        target = tmp_path / f"step{number}{extension}"
        ptychopinn.convert(path, target)
        path = target
    found = read_scan(path)
    expected = REACH / (16 * PIXELS[0]), REACH / (16 * PIXELS[1])
    assert found.metadata["object_pixel_m"] == pytest.approx(expected)
    assert found.geometry.detector_pixel_m == pytest.approx(PIXELS)
    np.testing.assert_allclose(found.positions_px, first.positions_px, atol=1e-9)
    assert found.pixel_size_m is None
    assert "nm (y, x)" in str(ptychopinn.info(path))


def test_both_sides_of_the_pixel_of_a_reconstruction_survive(scan_of, tmp_path) -> None:
    """Of a product of another program too."""
    scan = scan_of()
    image = Reconstruction(
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape),
        origin_px=(0, 0),
        positions_px=scan.positions_px,
        probe=scan.probe,
        geometry=Geometry(8800.0, 1.75),
        metadata={"object_pixel_m": [3e-8, 5e-8]},
    )
    image.save(tmp_path / "product.h5")
    with h5py.File(tmp_path / "product.h5", "a") as file:
        del file["ptychopinn"]
        assert file["object"].attrs["pixel_height_m"] == 3e-8
        assert file["object"].attrs["pixel_width_m"] == 5e-8
    Reconstruction.load(tmp_path / "product.h5").save(tmp_path / "image.cxi")
    Reconstruction.load(tmp_path / "image.cxi").save(tmp_path / "image.npz")
    found = Reconstruction.load(tmp_path / "image.npz")
    assert found.metadata["object_pixel_m"] == pytest.approx([3e-8, 5e-8])
    np.testing.assert_allclose(found.positions_px, image.positions_px, atol=1e-9)


def test_another_program_finds_both_sides(scan_of, tmp_path) -> None:
    """Without our own group, metres are right on both axes."""
    scan = replace(scan_of(object_guess=None), pixel_size_m=None, geometry=Geometry(8800.0, 1.75, PIXELS), metadata={})
    path = write_scan(scan, tmp_path / "scan.cxi")
    with h5py.File(path, "a") as file:
        del file["entry_1/ptychopinn"]
        moved = file["entry_1/sample_1/geometry_1/translation"][()]
    sides = np.array([REACH / (16 * PIXELS[1]), REACH / (16 * PIXELS[0])])
    np.testing.assert_allclose(np.diff(moved[:, :2], axis=0), np.diff(scan.positions_px[:, ::-1], axis=0) * sides)
    np.testing.assert_allclose(
        np.diff(read_scan(path).positions_px, axis=0), np.diff(scan.positions_px, axis=0), atol=1e-6
    )
