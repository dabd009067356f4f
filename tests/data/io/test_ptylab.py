"""Files of PtyLab 0.3.7 (io/readHdf5.py, ExperimentalData.setOrientation, Reconstruction.saveResults)."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data import read_scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError

N, PIXEL_M, DISTANCE_M, DETECTOR_M = 12, 50e-9, 0.5, 55e-6
WAVELENGTH_M = PIXEL_M * N * DETECTOR_M / DISTANCE_M
TOP_LEFT = np.array([(y, x) for y in (4, 9, 14, 19) for x in (3, 8, 13, 18, 23)])
"""Of the patches in an object of 40 x 44 px: positions as PtyLab rounds them."""


def recorded(seed: int = 0) -> np.ndarray:
    y, x = np.indices((N, N))
    beam = 300 * np.exp(-((y - 5) ** 2 / 6 + (x - 6) ** 2 / 12))
    return np.random.default_rng(seed).poisson(beam, (len(TOP_LEFT), N, N)).astype(np.uint16)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(**change: object) -> Path:
        members = {
            "ptychogram": recorded(),
            "encoder": (TOP_LEFT - np.array([14, 16])) * PIXEL_M,
            "wavelength": (WAVELENGTH_M,),
            "zo": (DISTANCE_M,),
            "dxd": (DETECTOR_M,),
            "entrancePupilDiameter": (6 * PIXEL_M,),
        } | change
        with h5py.File(tmp_path / "scan.hdf5", "w") as file:
            for name, value in members.items():
                if value is not None:
                    file[name] = value
        return tmp_path / "scan.hdf5"

    return written


def oriented(frames: np.ndarray, code: int) -> np.ndarray:
    """What `setOrientation` does."""
    frames = frames.transpose(0, 2, 1) if code >= 4 else frames
    for axis in {1: (-1,), 2: (-2,), 3: (-1, -2)}.get(code % 4, ()):
        frames = np.flip(frames, axis)
    return frames


@pytest.mark.parametrize("code", range(8))
@pytest.mark.parametrize("stored", ["dataset", "attribute"])
def test_the_orientation_is_applied(write, code, stored) -> None:
    """It was ignored: for codes other than 0 the image came out wrong."""
    path = write(orientation=code if stored == "dataset" else None)
    if stored == "attribute":
        with h5py.File(path, "a") as file:
            file["ptychogram"].attrs["orientation"] = code
    np.testing.assert_array_equal(read_scan(path).patterns, oriented(recorded(), code))


def test_only_wanted_frames_are_oriented(write) -> None:
    path = write(orientation=5, encoder=np.vstack([np.full((1, 2), np.nan), (TOP_LEFT * PIXEL_M)[1:]]))
    kept = read_scan(path, drop_frames="unpaired")
    np.testing.assert_array_equal(kept.patterns, oriented(recorded(), 5)[1:])


@pytest.mark.parametrize("code", [8, -1, 1.5])
def test_an_unknown_orientation_is_refused(write, code) -> None:
    with pytest.raises(ScanError, match=r"orientation is .*; must be a whole number from 0 to 7"):
        read_scan(write(orientation=code))


def test_fourier_ptychography_is_refused(write) -> None:
    with pytest.raises(ScanError, match="is Fourier ptychography of PtyLab"):
        read_scan(write(zo=None, zled=0.06, magnification=4.0))


@pytest.mark.parametrize("modes", [1, 3])
def test_a_reconstruction(tmp_path, modes) -> None:
    """`positions = round(encoder / dxp) + No // 2 - Np // 2` are the corners of the patches."""
    rng = np.random.default_rng(2)
    probe = (rng.normal(size=(1, 1, modes, 1, N, N)) + 1j * rng.normal(size=(1, 1, modes, 1, N, N))).astype("c8")
    object_ = np.exp(1j * rng.normal(size=(1, 1, 1, 1, 40, 44))).astype("c8")
    with h5py.File(tmp_path / "image.hdf5", "w") as file:
        file["probe"], file["object"], file["error"] = probe, object_, np.ones(3, "f")
        file["zo"], file["wavelength"], file["dxp"] = DISTANCE_M, WAVELENGTH_M, PIXEL_M
        file["encoder_corrected"] = (TOP_LEFT - np.array([40 // 2 - N // 2, 44 // 2 - N // 2])) * PIXEL_M
    image = Reconstruction.load(tmp_path / "image.hdf5")
    np.testing.assert_array_equal(image.object_, object_[0, 0, 0, 0])
    np.testing.assert_array_equal(image.probe, probe[0, 0, :, 0])
    np.testing.assert_allclose(image.positions_px, TOP_LEFT + N // 2, rtol=0, atol=1e-5)
    assert image.pixel_size_m == pytest.approx(PIXEL_M)


def test_a_reconstruction_of_two_wavelengths_is_refused(tmp_path) -> None:
    with h5py.File(tmp_path / "image.hdf5", "w") as file:
        file["probe"], file["object"] = np.ones((2, 1, 1, 1, N, N), "c8"), np.ones((2, 1, 1, 1, 40, 44), "c8")
        file["dxp"], file["encoder_corrected"] = PIXEL_M, TOP_LEFT * PIXEL_M
    with pytest.raises(ScanError, match="must be one layer"):
        Reconstruction.load(tmp_path / "image.hdf5")
