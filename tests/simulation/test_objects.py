"""Samples: contrast as configured, no global randomness, and textures that deserve their names."""

import numpy as np
import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import OBJECTS, make_object
from ptychopinn.simulation.textures import siemens_star

KINDS = sorted(OBJECTS)


@pytest.mark.parametrize("kind", KINDS)
def test_contrast_is_the_configured_one(kind: str) -> None:
    sample = make_object(kind, (70, 60), np.random.default_rng(3), amplitude_min=0.4, phase_range_rad=2.0)
    amplitude, phase = np.abs(sample), np.angle(sample)
    assert sample.shape == (70, 60)
    assert sample.dtype == np.complex64
    assert amplitude.min() == pytest.approx(0.4, abs=1e-5)
    assert amplitude.max() == pytest.approx(1.0, abs=1e-5)
    assert np.ptp(phase) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_amplitude_and_phase_are_correlated_but_not_identical(kind: str) -> None:
    sample = make_object(kind, (128, 128), np.random.default_rng(0))
    correlation = np.corrcoef(np.abs(sample).ravel(), np.angle(sample).ravel())[0, 1]
    assert 0.25 < correlation < 0.998


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_alone_decides(kind: str) -> None:
    first = make_object(kind, (48, 48), np.random.default_rng(5))
    np.random.default_rng().random(7)
    again = make_object(kind, (48, 48), np.random.default_rng(5))
    other = make_object(kind, (48, 48), np.random.default_rng(6))
    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other, atol=0.05)


def test_flat_contrast_gives_a_constant_sample() -> None:
    sample = make_object("composite", (40, 40), np.random.default_rng(0), amplitude_min=1.0, phase_range_rad=0.0)
    np.testing.assert_allclose(sample, 1.0)


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="dead_leaves"):
        make_object("lena", (40, 40), np.random.default_rng(0))


def test_star_has_sixteen_spokes() -> None:
    star = siemens_star((200, 200), np.random.default_rng(1)).absorption
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    radius = 0.47 * 200 * 0.85
    ring = star[np.rint(99.5 + radius * np.sin(angle)).astype(int), np.rint(99.5 + radius * np.cos(angle)).astype(int)]
    dark = ring > 0.5
    assert np.count_nonzero(dark & ~np.roll(dark, 1)) == 16


def test_field_has_a_falling_spectrum_and_leaves_have_edges() -> None:
    field = np.abs(make_object("gaussian_field", (128, 128), np.random.default_rng(2)))
    leaves = np.abs(make_object("dead_leaves", (128, 128), np.random.default_rng(2)))

    def edges(image: np.ndarray) -> float:
        """Fourth moment of the gradient over its squared variance: 3 for Gaussian, more with edges."""
        step = np.diff(image, axis=0)
        return float((step**4).mean() / (step**2).mean() ** 2)

    assert edges(field) < 4 < 6 < edges(leaves)
    power = np.abs(np.fft.fft2(field - field.mean())) ** 2
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    low, high = power[(k > 0.02) & (k < 0.04)].mean(), power[(k > 0.16) & (k < 0.32)].mean()
    assert np.log(low / high) / np.log(8) == pytest.approx(3.0, abs=0.6)
