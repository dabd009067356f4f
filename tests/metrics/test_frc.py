"""Ring correlation against sums written out by hand, and the crossings of curves drawn by hand."""

import numpy as np
import pytest

from ptychopinn.metrics import FRCCurve, fourier_ring_correlation


def _complex_noise(rng, shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _curve(values, side=40):
    ring = np.arange(1, len(values) + 1)
    return FRCCurve(ring / side, np.array(values, float), (2 * np.pi * ring).astype(int))


@pytest.mark.parametrize("shape", [(32, 32), (33, 31), (24, 40)])
def test_equals_the_definition_ring_by_ring(shape):
    rng = np.random.default_rng(0)
    image, noise = _complex_noise(rng, shape), _complex_noise(rng, shape)
    other = image + 0.7 * noise
    curve = fourier_ring_correlation(image, other)
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, n + 1) / (n + 1)) for n in shape))
    f1, f2 = (np.fft.fft2((a - a.mean()) * window) for a in (image, other))
    fy, fx = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    side = min(shape)
    assert len(curve.correlation) == side // 2
    for ring in range(1, side // 2 + 1):
        on = np.abs(np.hypot(fy, fx) * side - ring) < 0.5
        norm = np.sqrt(np.sum(np.abs(f1[on]) ** 2) * np.sum(np.abs(f2[on]) ** 2))
        assert curve.correlation[ring - 1] == pytest.approx(np.sum(f1[on] * f2[on].conj()).real / norm)
        assert curve.pixels_per_ring[ring - 1] == on.sum()
        assert curve.frequency_cycles_per_px[ring - 1] == pytest.approx(ring / side)


def test_equal_opposite_and_unrelated_images():
    rng = np.random.default_rng(1)
    image = _complex_noise(rng, (64, 64))
    np.testing.assert_allclose(fourier_ring_correlation(image, 3 * image + 5).correlation, 1)
    np.testing.assert_allclose(fourier_ring_correlation(image, -image).correlation, -1)
    unrelated = fourier_ring_correlation(image, _complex_noise(rng, (64, 64)))
    assert np.abs(unrelated.correlation[10:]).max() < 0.3
    assert unrelated.crossing(0.5) == pytest.approx(5 / 64)
    assert np.all(fourier_ring_correlation(image, np.ones((64, 64))).correlation == 0)


def test_resolution_of_a_low_passed_image():
    rng = np.random.default_rng(2)
    truth = _complex_noise(rng, (128, 128))
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    limited = np.fft.ifft2(np.where(radius < 0.3, np.fft.fft2(truth), 0)) + 0.1 * _complex_noise(rng, (128, 128))
    curve = fourier_ring_correlation(limited, truth)
    for threshold in (0.5, 1 / 7, "half_bit"):
        assert curve.crossing(threshold) == pytest.approx(0.3, abs=0.02)
        assert curve.crossing_nyquist(threshold) == pytest.approx(2 * curve.crossing(threshold))


def test_crossing_is_linear_between_rings():
    values = [1, 0.1, 1, 1, 1, 0.9, 0.8, 0.3, 0.9, 0.9]
    curve = _curve(values)
    assert curve.crossing(0.5) == pytest.approx((7 + 0.3 / 0.5) / 40)
    assert curve.crossing(0.5, first_ring=1) == pytest.approx((1 + 0.5 / 0.9) / 40)
    assert curve.crossing(0.2) == 0.5
    assert curve.crossing_nyquist(0.2) == 1.0
    assert curve.crossing(0.5, first_ring=8) == pytest.approx(8 / 40)
    np.testing.assert_array_equal(curve.low_rings, values[:5])


def test_outcome_says_how_to_read_a_crossing():
    curve = _curve([1, 1, 1, 1, 0.9, 0.9, 0.4, 0.9])
    assert curve.outcome(0.5) == "crossed"
    assert curve.outcome(0.3) == "stays above"
    assert curve.outcome(0.5, first_ring=7) == "never above"
    assert curve.outcome(0.95, first_ring=1) == "crossed"
    with pytest.raises(ValueError, match="first_ring"):
        curve.outcome(0.5, first_ring=9)


def test_half_bit_threshold_falls_to_its_limit():
    curve = FRCCurve(np.array([0.1, 0.2]), np.ones(2), np.array([1, 10**12]))
    expected = [(0.2071 + 1.9102) / (1.2071 + 0.9102), 0.2071 / 1.2071]
    np.testing.assert_allclose(curve.threshold_curve("half_bit"), expected, rtol=1e-5)


def test_one_bit_threshold_falls_to_its_limit():
    """SNR 0.5 of each half: 0.5 / 1.5 (van Heel and Schatz, 2005); always above that of half a bit."""
    curve = FRCCurve(np.array([0.1, 0.2]), np.ones(2), np.array([1, 10**12]))
    np.testing.assert_allclose(curve.threshold_curve("one_bit"), [2.9142 / 2.9142, 0.5 / 1.5], rtol=1e-5)
    assert curve.threshold_curve("one_bit")[1] > curve.threshold_curve("half_bit")[1]


def test_unusable_input_is_refused():
    curve = _curve([1.0] * 6)
    for threshold in (0.0, 1.0, "two_bits"):
        with pytest.raises(ValueError, match="half_bit"):
            curve.crossing(threshold)
    for ring in (0, 7):
        with pytest.raises(ValueError, match="first_ring"):
            curve.crossing(0.5, first_ring=ring)
    with pytest.raises(ValueError, match="4 px"):
        fourier_ring_correlation(np.ones((3, 9)), np.ones((3, 9)))
