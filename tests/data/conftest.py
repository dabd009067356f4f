"""Small scans, made in memory, and files that hold them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptychopinn.data import Scan

Arrays = dict[str, Any]


def centred_intensity(n: int, size: int, photons: float = 2000.0) -> np.ndarray:
    """(N, H, W) a Gaussian far field about (H//2, W//2) that differs a little from pattern to pattern."""
    y, x = np.indices((size, size)) - size // 2
    width = size / 6 + 0.05 * np.arange(n)[:, None, None]
    spot = np.exp(-(x**2 + y**2) / (2 * width**2))
    return photons * spot / spot.sum(axis=(1, 2), keepdims=True)


def scan_arrays(n: int = 12, size: int = 16) -> Arrays:
    """The arrays of a sound NPZ file in amplitude."""
    y, x = np.indices((size, size)) - size // 2
    row, column = np.divmod(np.arange(n), 4)
    return {
        "diffraction": np.sqrt(centred_intensity(n, size)).astype(np.float32),
        "xcoords": 20.0 + 3.25 * column,
        "ycoords": 30.0 + 3.5 * row,
        "probeGuess": np.exp(-(x**2 + y**2) / 8 + 0.1j * x).astype(np.complex64),
    }


@pytest.fixture
def arrays() -> Arrays:
    """Those of a sound file; tests change what they need."""
    return scan_arrays()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Arrays], Path]:
    """Write arrays as `scan.npz`."""

    def write(arrays: Arrays, name: str = "scan.npz") -> Path:
        path = tmp_path / name
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def make_scan() -> Callable[..., Scan]:
    """A checked scan; keywords replace its fields."""

    def build(n: int = 12, size: int = 16, **changes: Any) -> Scan:
        arrays = scan_arrays(n, size)
        fields: Arrays = {
            "patterns": arrays["diffraction"],
            "positions_px": np.stack([arrays["ycoords"], arrays["xcoords"]], axis=1),
            "probe": arrays["probeGuess"],
            "domain": "amplitude",
        }
        return Scan.create(**(fields | changes))

    return build


@pytest.fixture
def corner_intensity() -> np.ndarray:
    """(12, 16, 16) with the zero frequency at (0, 0)."""
    return np.fft.ifftshift(centred_intensity(12, 16), axes=(1, 2))
