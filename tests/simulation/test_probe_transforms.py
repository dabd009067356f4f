"""Resizing, smoothing and cutting a probe: what each step keeps, and what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.simulation.probe_transforms import (
    ideal_disk,
    interpolate,
    pad,
    pad_extrapolate,
    prepare_probe,
    smooth,
)


def radius_squared(size: int) -> NDArray[np.float64]:
    axis = np.arange(size) - (size - 1) / 2
    return axis[:, None] ** 2 + axis[None] ** 2


def defocused(size: int, curvature: float, offset: float = 0.0, tilt: float = 0.0) -> NDArray[np.complex128]:
    """A wide Gaussian beam with a quadratic phase and a ramp."""
    phase = offset + curvature * radius_squared(size) + tilt * np.arange(size)
    return np.exp(-radius_squared(size) / size**2 + 1j * phase)


def test_interpolation_follows_a_smooth_probe() -> None:
    """The outermost samples stay outermost: 17 points become 33 on the same interval."""
    made = interpolate(defocused(17, 0.01), 33)
    np.testing.assert_allclose(made[::2, ::2], defocused(17, 0.01), atol=1e-6)
    axis = np.linspace(-8, 8, 33)
    fine = axis[:, None] ** 2 + axis[None] ** 2
    exact = np.exp(-fine / 17**2 + 0.01j * fine)
    np.testing.assert_allclose(made[8:-8, 8:-8], exact[8:-8, 8:-8], atol=1e-3)


@pytest.mark.parametrize(("small", "large"), [(4, 8), (5, 8), (4, 9), (5, 9)])
def test_padding_keeps_the_middle_element(small: int, large: int) -> None:
    spot = np.zeros((small, small), complex)
    spot[small // 2, small // 2] = 2
    made = pad(spot, large)
    assert made.shape == (large, large)
    assert made[large // 2, large // 2] == 2
    assert np.abs(made).sum() == 2


@pytest.mark.parametrize("offset", [0.0, 1.3, -2.5])
def test_extrapolation_continues_defocus_beyond_wraps(offset: float) -> None:
    """At 40 px the phase turns by many times 2 pi; outside, the modulus is that of the nearest edge."""
    made = pad_extrapolate(defocused(40, -0.05, offset), 64)
    phase = np.exp(1j * (offset - 0.05 * radius_squared(64)))
    np.testing.assert_allclose(made, np.pad(np.abs(defocused(40, 0)), 12, mode="edge") * phase, atol=1e-10)


def test_extrapolation_drops_a_ramp_and_keeps_the_curvature() -> None:
    made = pad_extrapolate(defocused(40, 0.02, tilt=0.3), 64)
    slope = np.angle(made[32, 33:] * made[32, 32:-1].conj())
    np.testing.assert_allclose(slope, 0.02 * (2 * (np.arange(33, 64) - 31.5) - 1), atol=1e-6)


def test_smoothing_acts_on_modulus_and_phase_by_themselves() -> None:
    """A jump of the phase dims a complex average, and not this one; a wrapped phase is no jump."""
    jump = np.ones((32, 32), complex)
    jump[:, 16:] = np.exp(3j)
    made = smooth(jump, 1.0)
    np.testing.assert_allclose(np.abs(made), 1, atol=1e-12)
    assert np.abs(np.diff(np.unwrap(np.angle(made[5])))).max() < 1.5
    ramp = np.exp(0.4j * np.arange(32)) * np.ones((32, 1))
    np.testing.assert_allclose((smooth(ramp, 1.0) / ramp)[:, 5:-5], 1, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "sigma", "text"),
    [
        ("interpolate", 0.5, "interp:32|smooth:0.5"),
        ("pad_extrapolate", 0.5, "pad_extrapolate:32|smooth:0.5"),
        ("pad_preserve", 0.5, "smooth:0.5|pad:32"),
        ("pad_preserve", 0.0, "pad:32"),
    ],
)
def test_modes_are_pipelines(mode: str, sigma: float, text: str) -> None:
    probe = defocused(20, 0.01)
    made = prepare_probe(probe, 32, scale_mode=mode, smoothing_sigma=sigma)
    assert made.pipeline == text
    again = prepare_probe(probe, 32, scale_mode="pipeline", pipeline=text)
    np.testing.assert_array_equal(made.probe, again.probe)
    assert made.steps == again.steps


def test_mask_cuts_a_centred_disk() -> None:
    made = prepare_probe(np.ones((16, 16)), 16, mask_diameter=10)
    np.testing.assert_array_equal(made.probe != 0, radius_squared(16) < 25)


@pytest.mark.parametrize(
    "text", ["blur:3", "smooth", "smooth:", "smooth:-1", "pad:0", "interp:8.5", "pad:8||", "pad:nan"]
)
def test_bad_pipelines_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"Unsupported parameter syntax .*must be interp:<target_N>"):
        prepare_probe(np.ones((8, 8)), 8, scale_mode="pipeline", pipeline=text)


@pytest.mark.parametrize("bad", [np.zeros((8, 8)), np.full((8, 8), np.nan), np.ones((2, 8, 8)), np.ones((8, 6))])
def test_bad_probes_are_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ConfigError, match=r"give (an illumination|one mode)"):
        prepare_probe(bad, 8)


@pytest.mark.parametrize("mode", ["pad_preserve", "pad_extrapolate"])
def test_padding_never_shrinks(mode: str) -> None:
    with pytest.raises(ConfigError, match=r"requires target_N >= probe size.*interpolate"):
        prepare_probe(np.ones((16, 16)), 8, scale_mode=mode)


def test_a_negative_sigma_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"0 px or more"):
        prepare_probe(np.ones((8, 8)), 8, smoothing_sigma=-1)


def test_ideal_disk_scales_with_the_window() -> None:
    areas = [np.abs(ideal_disk(size)).sum() / size**2 for size in (64, 128, 256)]
    np.testing.assert_allclose(areas, np.pi * 0.1704**2, rtol=0.03)
