"""Beams: photons, size, room in the window and on the detector, orthogonal modes."""

import numpy as np
import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import PROBES, make_probe

KINDS = sorted(PROBES)


def far_field(probe: np.ndarray) -> np.ndarray:
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe, axes=axes), norm="ortho"), axes=axes)


def rms_diameter(intensity: np.ndarray) -> float:
    y, x = np.indices(intensity.shape)
    share = intensity / intensity.sum()
    centre_y, centre_x = (share * y).sum(), (share * x).sum()
    return float(2 * np.sqrt((share * ((y - centre_y) ** 2 + (x - centre_x) ** 2)).sum()))


def share_at_edge(intensity: np.ndarray) -> float:
    return float(1 - intensity[2:-2, 2:-2].sum() / intensity.sum())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("size", [31, 64])
def test_photons_and_shape(kind: str, modes: int, size: int) -> None:
    probe = make_probe(kind, size, modes=modes, photons_per_pattern=2e5)
    assert probe.shape == (modes, size, size)
    assert probe.dtype == np.complex64
    assert np.square(np.abs(probe.astype(complex))).sum() == pytest.approx(2e5, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 65, 128])
def test_beam_fills_a_third_of_the_window_and_the_detector_holds_the_far_field(kind: str, size: int) -> None:
    probe = make_probe(kind, size)[0]
    beam, pattern = np.abs(probe) ** 2, np.abs(far_field(probe)) ** 2
    assert rms_diameter(beam) == pytest.approx(size / 3, rel=0.03)
    assert share_at_edge(beam) < 1e-3
    assert share_at_edge(pattern) < 1e-3


def test_zone_plate_is_a_ring_on_the_detector_and_defocused_at_the_sample() -> None:
    probe = make_probe("zone_plate", 64)[0]
    pattern = np.abs(far_field(probe)) ** 2
    y, x = np.indices(pattern.shape) - 32
    radius = np.hypot(y, x)
    assert pattern[radius < 3].max() < 1e-6 * pattern.max()
    assert pattern[(radius > 7) & (radius < 10)].min() > 0.9 * pattern.max()
    assert pattern[radius > 15].max() < 1e-6 * pattern.max()
    in_focus = np.abs(far_field(np.abs(far_field(probe)))) ** 2
    assert rms_diameter(in_focus) < 0.5 * rms_diameter(np.abs(probe) ** 2)


@pytest.mark.parametrize("kind", KINDS)
def test_modes_are_orthogonal_with_falling_power(kind: str) -> None:
    modes = make_probe(kind, 48, modes=6, photons_per_pattern=1.0).reshape(6, -1).astype(complex)
    overlap = modes.conj() @ modes.T
    power = np.diag(overlap).real
    np.testing.assert_allclose(power[1:] / power[:-1], 0.4, rtol=1e-3)
    normalised = overlap / np.sqrt(np.outer(power, power))
    np.testing.assert_allclose(normalised, np.eye(6), atol=1e-4)


def test_kinds_differ() -> None:
    probes = [make_probe(kind, 32).ravel() for kind in KINDS]
    overlap = np.abs(np.conj(probes) @ np.transpose(probes))
    assert overlap[~np.eye(len(KINDS), dtype=bool)].max() < 0.9


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="zone_plate"):
        make_probe("laser", 32)
