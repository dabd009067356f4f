"""Low rings apart from the rest: what converges last does not hide behind what converges first."""

import numpy as np
import pytest

from ptychopinn.metrics import compare, low_frequency_limit, split_bands

REGION = (14, 114, 14, 114)


@pytest.fixture
def waves():
    """Waves on 100 px: 3 periods, below ring 5; 9 periods, above it."""
    y, x = np.mgrid[:100, :100] + 0.5
    return np.cos(2 * np.pi * 3 * y / 100), np.cos(2 * np.pi * 9 * x / 100)


def test_parts_are_those_of_their_frequencies(waves):
    slow, fast = waves
    low, high = split_bands(2 + slow + 0.3 * fast)
    np.testing.assert_allclose(low, 2 + slow, atol=1e-12)
    np.testing.assert_allclose(high, 0.3 * fast, atol=1e-12)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (64, 16)])
def test_mean_squares_of_the_parts_add_up(shape):
    image = np.random.default_rng(0).normal(size=shape) + np.arange(shape[1])
    low, high = split_bands(image)
    assert np.mean(low**2) + np.mean(high**2) == pytest.approx(np.mean(image**2))
    np.testing.assert_allclose(low + high, image, atol=1e-10)


def test_limit_is_that_of_the_shorter_side():
    assert low_frequency_limit((100, 300)) == low_frequency_limit((300, 100)) == pytest.approx(0.055)


def test_phase_errors_of_the_low_rings_are_reported_apart(wide_object, crop, waves):
    truth = crop(wide_object())
    for wave, wrong, right in ((waves[0], "low", "high"), (waves[1], "high", "low")):
        error = np.zeros(truth.shape)
        error[14:114, 14:114] = 0.1 * wave
        report = compare(truth * np.exp(1j * error), truth, region=REGION)
        assert report[f"psnr_phase_{wrong}_rings"] == pytest.approx(
            20 * np.log10(2 * np.pi / 0.1 * np.sqrt(2)), abs=0.2
        )
        assert report[f"psnr_phase_{right}_rings"] > report[f"psnr_phase_{wrong}_rings"] + 20
        parts = [10 ** (-report[f"psnr_phase_{band}_rings"] / 10) for band in ("low", "high")]
        assert sum(parts) == pytest.approx(10 ** (-report["psnr_phase"] / 10))
        assert report["low_rings_up_to_cycles_per_px"] == pytest.approx(0.055)


def test_contrast_above_the_low_rings_shows_a_collapse_of_detail(wide_object, crop):
    """The coarse part alone keeps most of the contrast; the detail is gone all the same."""
    truth = crop(wide_object())
    inside = np.s_[14:114, 14:114]
    amplitude, phase = np.abs(truth), np.angle(truth)
    coarse = truth.copy()
    coarse[inside] = split_bands(amplitude[inside])[0] * np.exp(1j * split_bands(phase[inside])[0])
    report = compare(coarse, truth, region=REGION)
    for part in ("amplitude", "phase"):
        assert report[f"contrast_{part}"] > 0.7
        assert report[f"contrast_{part}_low_rings"] == pytest.approx(1, abs=0.05)
        assert report[f"contrast_{part}_high_rings"] < 0.1


def test_contrast_of_the_low_rings_shows_what_has_not_converged(wide_object, crop):
    truth = crop(wide_object())
    inside = np.s_[14:114, 14:114]
    detail = truth.copy()
    detail[inside] = np.abs(truth[inside]) * np.exp(1j * split_bands(np.angle(truth)[inside])[1])
    report = compare(detail, truth, region=REGION)
    assert report["contrast_phase_low_rings"] < 0.35
    assert report["contrast_phase_high_rings"] == pytest.approx(1, abs=0.02)
    assert report["contrast_phase"] < 0.8


def test_collapse_to_a_constant_shows_in_every_band(wide_object, crop):
    truth = crop(wide_object())
    report = compare(np.full_like(truth, 0.7), truth, region=REGION)
    for part in ("amplitude", "phase"):
        for band in ("", "_low_rings", "_high_rings"):
            assert report[f"contrast_{part}{band}"] < 0.05


def test_a_reference_without_detail_has_no_contrast_of_detail():
    y, _ = np.mgrid[:64, :64] + 0.5
    truth = 1 + 0.1 * np.cos(np.pi * y / 64) + 0j
    report = compare(truth, truth, region=(0, 64, 0, 64))
    assert report["contrast_amplitude"] == pytest.approx(1)
    assert report["contrast_amplitude_high_rings"] is None
    assert report["contrast_phase"] is None
