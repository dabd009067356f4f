"""Patterns with the zero frequency at the corner are recognised, and no others."""

import numpy as np
import pytest

from ptychopinn.data.corner import zero_frequency_at_corner
from ptychopinn.errors import ScanError

PLAIN = np.ones((1, 64, 64), np.complex64)


def ring(radius: float, size: int = 64, width: float = 1.5) -> np.ndarray:
    """(H, W): a zone plate's far field with a central stop."""
    y, x = np.indices((size, size)) - size // 2
    return np.exp(-((np.hypot(y, x) - radius) ** 2) / (2 * width**2))


def probe_of(far_field: np.ndarray) -> np.ndarray:
    """(1, H, W) whose far field it is."""
    wave = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(np.sqrt(far_field)), norm="ortho"))
    return wave[None].astype(np.complex64)


@pytest.mark.parametrize("size", [15, 16])
def test_a_spot_at_the_corner(size) -> None:
    y, x = np.indices((size, size)) - size // 2
    spot = np.exp(-(x**2 + y**2) / 8.0)
    assert zero_frequency_at_corner(np.fft.ifftshift(spot), 1e6, PLAIN[:, :size, :size])
    assert not zero_frequency_at_corner(spot, 1e6, PLAIN[:, :size, :size])


@pytest.mark.parametrize("radius", [5, 10, 15, 20, 24, 26, 28, 30, 31])
def test_rings_of_every_size_are_left_alone_and_recognised_when_shifted(radius) -> None:
    far_field = ring(radius)
    probe = probe_of(far_field)
    assert not zero_frequency_at_corner(far_field, 1e6, probe)
    assert zero_frequency_at_corner(np.fft.fftshift(far_field), 1e6, probe)


def test_a_wide_ring_is_left_alone_whatever_the_probe() -> None:
    assert not zero_frequency_at_corner(ring(30), 1e6, PLAIN)


def test_a_far_field_that_the_shift_hardly_changes_is_left_alone() -> None:
    far_field = ring(5) + 0.8 * np.fft.fftshift(ring(5))
    assert not zero_frequency_at_corner(far_field, 1e6, probe_of(far_field))


@pytest.mark.parametrize("seed", range(5))
def test_noise_decides_nothing(seed) -> None:
    rng = np.random.default_rng(seed)
    assert not zero_frequency_at_corner(rng.exponential(size=(8, 8)), 1e6, PLAIN[:, :8, :8])


def test_a_few_photons_decide_nothing() -> None:
    mean = np.zeros((8, 8))
    mean[0, 0], mean[1, 7] = 3, 2
    assert not zero_frequency_at_corner(mean, 5, PLAIN[:, :8, :8])
    assert zero_frequency_at_corner(mean, 5000, PLAIN[:, :8, :8])


@pytest.mark.parametrize("domain", ["counts", "amplitude"])
def test_the_message_names_the_option(make_scan, corner_intensity, domain) -> None:
    patterns = corner_intensity if domain == "counts" else np.sqrt(corner_intensity)
    with pytest.raises(ScanError, match=r"zero frequency .* sits at the corner .*--fftshift"):
        make_scan(patterns=patterns, domain=domain)


def test_hot_bad_pixels_do_not_move_the_centre(make_scan) -> None:
    patterns = make_scan().patterns.copy()
    patterns[:, 0, 0] = 1e4
    bad = np.zeros((16, 16), bool)
    bad[0, 0] = True
    assert len(make_scan(patterns=patterns, bad_pixels=bad)) == 12
    with pytest.raises(ScanError, match="--fftshift"):
        make_scan(patterns=patterns)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["siemens64", "siemens128", "synth_dev_1e4", "synth_dev_1e6"])
def test_real_far_fields(shared_dir, name) -> None:
    with np.load(shared_dir / "data" / f"{name}.npz") as archive:
        probe = archive["probeGuess"][None]
        mean = np.square(archive["diffraction"].astype(float)).mean(axis=0)
    assert not zero_frequency_at_corner(mean, 1e6, probe)
    assert zero_frequency_at_corner(np.fft.ifftshift(mean), 1e6, probe)
