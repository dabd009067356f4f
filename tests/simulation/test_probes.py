"""Beams: photons, size, room in the window and on the detector, orthogonal modes."""

import numpy as np
import pytest

from ptychopinn.errors import ConfigError
from ptychopinn.simulation import PROBES, make_probe, scaled_probe
from ptychopinn.simulation.zernike import noll_indices, zernike

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
    assert overlap[~np.eye(len(KINDS), dtype=bool)].max() < 0.96


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="zone_plate"):
        make_probe("laser", 32)


@pytest.mark.parametrize("kind", ["zone_plate", "disk", "ideal_disk", "gaussian", "zernike"])
def test_diameter_is_the_one_asked_for(kind: str) -> None:
    for diameter in (12.0, 24.0):
        beam = np.abs(make_probe(kind, 96, diameter_px=diameter)[0]) ** 2
        assert rms_diameter(beam) == pytest.approx(diameter, rel=0.08)


def test_ideal_disk_is_even_and_flat() -> None:
    probe = make_probe("ideal_disk", 64, diameter_px=24.0)[0]
    y, x = np.indices(probe.shape) - 32
    inside, outside = np.hypot(y, x) < 16, np.hypot(y, x) > 18
    np.testing.assert_allclose(probe[inside], probe[32, 32], rtol=1e-6)
    assert np.all(probe[outside] == 0)
    assert np.all(probe.imag == 0)


def test_central_stop_makes_a_hole_of_its_size_and_none_without() -> None:
    y, x = np.indices((128, 128)) - 64
    radius = np.hypot(y, x)
    for stop in (0.3, 0.7):
        pattern = np.abs(far_field(make_probe("zone_plate", 128, central_stop=stop)[0])) ** 2
        half = pattern[(radius > stop * 25.6 - 0.7) & (radius < stop * 25.6 + 0.7)].mean() / pattern.max()
        assert half == pytest.approx(0.25, abs=0.1)
        assert pattern[radius < stop * 25.6 - 4].max() < 1e-6 * pattern.max()
    full = np.abs(far_field(make_probe("zone_plate", 128, central_stop=0.0)[0])) ** 2
    assert full[radius < 20].min() > 0.999 * full.max()


def test_defocus_carries_the_rim_ray_where_it_says_on_either_side_of_the_focus() -> None:
    focus = rms_diameter(np.abs(make_probe("zone_plate", 96, defocus_px=0.0)[0]) ** 2)
    for defocus in (15.0, -15.0):
        wide = rms_diameter(np.abs(make_probe("zone_plate", 96, defocus_px=defocus)[0]) ** 2)
        assert np.sqrt(wide**2 - focus**2) == pytest.approx(15 * np.sqrt(2 * 1.16), rel=0.1)
    before, behind = (make_probe("zone_plate", 96, defocus_px=d)[0].ravel() for d in (15.0, -15.0))
    assert abs(np.vdot(before, behind)) < 0.2


def test_zernike_terms_are_orthonormal_on_the_disk() -> None:
    y, x = (np.indices((801, 801)) - 400) / 400
    rho, angle = np.hypot(y, x), np.arctan2(y, x)
    inside = rho <= 1
    terms = np.array([zernike(j, rho, angle)[inside] for j in range(1, 22)])
    np.testing.assert_allclose(terms @ terms.T / inside.sum(), np.eye(21), atol=0.02)


def test_zernike_terms_have_nolls_names() -> None:
    named = {1: (0, 0), 2: (1, 1), 3: (1, -1), 4: (2, 0), 5: (2, -2), 6: (2, 2), 7: (3, -1), 8: (3, 1)}
    named |= {9: (3, -3), 10: (3, 3), 11: (4, 0), 12: (4, 2), 13: (4, -2), 14: (4, 4), 15: (4, -4), 22: (6, 0)}
    assert {j: noll_indices(j) for j in named} == named
    with pytest.raises(ValueError, match="from 1"):
        noll_indices(0)


def test_zernike_coefficients_are_the_phase_of_the_pupil() -> None:
    """Vertical coma, 0.4 rad rms: the phase is that of the plain beam plus the polynomial."""
    size = 128
    plain, coma = (make_probe("zernike", size, zernike=c, defocus_px=5.0)[0] for c in ((), (0.0, 0.0, 0.0, 0.4)))
    y, x = (np.indices((size, size)) - size // 2) / (0.2 * size)
    rho = np.hypot(y, x)
    inside = rho < 0.85
    phase = np.angle(far_field(coma) * far_field(plain).conj())[inside]
    expected = 0.4 * np.sqrt(8) * (3 * rho**3 - 2 * rho) * y / np.maximum(rho, 1e-9)
    np.testing.assert_allclose(phase, expected[inside], atol=1e-3)


def test_mode_ratio_is_the_one_asked_for() -> None:
    power = np.square(np.abs(make_probe("disk", 32, modes=3, mode_ratio=0.1).astype(complex))).sum((1, 2))
    np.testing.assert_allclose(power[1:] / power[:-1], 0.1, rtol=1e-3)


def test_given_probe_keeps_its_modes_and_gets_the_dose() -> None:
    given = make_probe("zone_plate", 32, modes=3, photons_per_pattern=7.0)
    kept = scaled_probe(given, 1e4, mode_ratio=0.4)
    np.testing.assert_allclose(kept, given * np.sqrt(1e4 / 7), rtol=1e-4)
    assert scaled_probe(given, 1e4, modes=1, mode_ratio=0.4).shape == (1, 32, 32)
    more = scaled_probe(given[:1], 1e4, modes=2, mode_ratio=0.25)
    assert np.square(np.abs(more[1])).sum() == pytest.approx(2000, rel=1e-3)
