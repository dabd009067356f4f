"""The report: numbers that follow from the noise put in, guards against collapse, plain JSON."""

import json

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from ptychopinn.metrics import compare, covered_region

REGION = (14, 114, 14, 114)


def test_numbers_follow_from_the_noise(wide_object, crop, perturbed):
    rng = np.random.default_rng(0)
    wide = wide_object()
    moved = perturbed(wide, (1, -2), (0.02, -0.03), 0.6j)
    noisy = moved * (1 + 0.01 * rng.normal(size=moved.shape)) * np.exp(0.05j * rng.normal(size=moved.shape))
    report = compare(noisy, crop(wide), region=REGION, pixel_size_m=4e-9)
    amplitude_rms = 0.01 * np.sqrt(np.mean(np.abs(crop(wide)[14:114, 14:114]) ** 2))
    assert report["psnr_phase"] == pytest.approx(20 * np.log10(2 * np.pi / 0.05), abs=0.2)
    assert report["psnr_amplitude"] == pytest.approx(-20 * np.log10(amplitude_rms), abs=0.6)
    assert report["psnr_amplitude_peak"] == 1.0
    assert report["psnr_phase_peak"] == pytest.approx(2 * np.pi)
    assert report["mae_phase"] == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.03)
    np.testing.assert_allclose(report["shift_px"], [-1, 2], atol=0.03)
    np.testing.assert_allclose(report["ramp_rad_per_px"], [-0.02, 0.03], atol=1e-3)
    assert report["scale_abs"] == pytest.approx(1 / 0.6, rel=0.01)
    for name in ("0.5", "1/7", "half_bit"):
        frequency = report[f"frc_{name}_cycles_per_px"]
        assert report[f"frc_{name}_nyquist"] == pytest.approx(2 * frequency)
        assert report[f"frc_{name}_full_period_nm"] == pytest.approx(4 / frequency)
        assert report[f"frc_{name}_half_period_nm"] == pytest.approx(2 / frequency)
    assert report["region"] == list(REGION)


def test_report_is_flat_json(wide_object, crop):
    truth = crop(wide_object())
    report = compare(truth, truth, region=REGION)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert not any(isinstance(value, dict) for value in report.values())
    assert report["ssim_amplitude"] == pytest.approx(1, abs=1e-6)
    assert report["ssim_phase"] == pytest.approx(1, abs=1e-6)
    assert report["frc_0.5_nyquist"] == 1.0
    assert report["contrast_phase"] == pytest.approx(1, abs=1e-6)


def test_psnr_of_the_older_papers_is_48_13_db_above_peak_1(wide_object, crop):
    truth = crop(wide_object())
    noisy = truth * np.exp(0.1j * np.random.default_rng(0).normal(size=truth.shape)) + 0.02
    report = compare(noisy, truth, region=REGION)
    assert report["psnr_255_amplitude"] - report["psnr_amplitude"] == pytest.approx(20 * np.log10(255))
    assert report["psnr_255_phase"] - report["psnr_1_phase"] == pytest.approx(48.13, abs=1e-3)
    assert report["psnr_phase"] - report["psnr_1_phase"] == pytest.approx(20 * np.log10(2 * np.pi))


def test_report_states_what_its_numbers_mean(wide_object, crop):
    truth = crop(wide_object())
    report = compare(truth, truth)
    assert report["region"] == [8, 120, 8, 120]
    assert report["region_rule"].startswith("covered rectangle")
    assert "sigma 1.5 px, 11 px wide" in report["ssim_window"]
    assert "Hann" in report["frc_of"]
    assert report["frc_ring_width_cycles_per_px"] == pytest.approx(1 / 112)
    assert report["frc_first_ring"] == 5
    assert "translation, phase ramp and complex scale" in report["alignment"]
    for stated in ("phase_comparison", "contrast", "frc_half_bit_threshold"):
        assert len(report[stated]) > 20
    assert not any(key.endswith("_nm") for key in report)


def test_phase_wraps_do_not_count_as_errors(wide_object, crop, perturbed):
    wide = wide_object(phase_range=9.0)
    report = compare(perturbed(wide, scale=np.exp(2j)), crop(wide), region=REGION)
    assert report["psnr_phase"] is None or report["psnr_phase"] > 90
    assert report["ssim_phase"] == pytest.approx(1, abs=1e-4)
    assert report["ms_ssim_phase"] == pytest.approx(1, abs=1e-4)


def test_collapse_to_a_constant_shows(wide_object, crop):
    truth = crop(wide_object())
    report = compare(np.ones_like(truth), truth, region=REGION)
    assert report["contrast_amplitude"] < 0.05
    assert report["contrast_phase"] < 0.05
    assert report["frc_0.5_nyquist"] < 0.15
    assert report["frc_0.5_outcome"] == "never above"
    assert report["ssim_amplitude"] < 0.7


def test_collapse_shows_where_the_region_is_not_covered(wide_object, crop):
    """The value 1 of what is not covered beside a constant of another value is no contrast."""
    truth = crop(wide_object())
    mask = np.ones(truth.shape, dtype=bool)
    mask[:40] = False
    report = compare(np.where(mask, 0.6 + 0j, 1), truth, mask=mask, region=REGION)
    assert report["region_covered"] < 0.85
    assert report["contrast_amplitude"] < 0.1
    assert report["contrast_phase"] < 0.1


def test_flipped_reconstruction_scores_badly(wide_object, crop):
    truth = crop(wide_object())
    good, flipped = compare(truth * 1j, truth, region=REGION), compare(truth[::-1], truth, region=REGION)
    assert flipped["ssim_amplitude"] < 0.5 < good["ssim_amplitude"]
    assert flipped["frc_0.5_nyquist"] < 0.3 < good["frc_0.5_nyquist"]


def test_alignment_is_that_of_the_scored_region(wide_object, crop, perturbed):
    wide = wide_object()
    canvas = perturbed(wide, (2.0, 0.0))
    canvas[:, 64:] = perturbed(wide, (-3.0, 1.0))[:, 64:]
    left = compare(canvas, crop(wide), region=(14, 114, 14, 50))
    right = compare(canvas, crop(wide), region=(14, 114, 78, 114))
    np.testing.assert_allclose(left["shift_px"], [-2, 0], atol=0.01)
    np.testing.assert_allclose(right["shift_px"], [3, -1], atol=0.01)


def test_uncovered_pixels_count_and_are_told(wide_object, crop):
    truth = crop(wide_object())
    mask = np.ones(truth.shape, dtype=bool)
    mask[:40] = False
    canvas = np.where(mask, truth, 1)
    partly, fully = compare(canvas, truth, mask=mask, region=REGION), compare(canvas, truth, mask=mask)
    assert partly["region_covered"] == pytest.approx(0.74)
    assert partly["psnr_amplitude"] < 30
    assert fully["region_covered"] == 1.0
    assert fully["psnr_amplitude"] is None or fully["psnr_amplitude"] > 60
    assert fully["region"][0] >= 40


def test_constant_reference_has_no_structure():
    noise = 1 + 0.1 * np.random.default_rng(0).normal(size=(48, 48))
    report = compare(noise * np.exp(0j), 2 + np.zeros((48, 48)), region=(0, 48, 0, 48))
    assert report["ssim_phase"] is None
    assert report["contrast_amplitude"] is None
    assert report["mae_amplitude"] > 0.05


def test_default_region_is_covered_everywhere():
    y, x = np.mgrid[:120, :150]
    mask = (np.hypot(y - 60, x - 70) < 50) | ((y > 20) & (y < 90) & (x > 30) & (x < 110))
    y0, y1, x0, x1 = covered_region(mask)
    assert mask[y0:y1, x0:x1].all()
    assert (y1 - y0) * (x1 - x0) > 2500


def test_unusable_regions_are_refused(wide_object, crop):
    truth = crop(wide_object())
    mask = np.zeros(truth.shape, dtype=bool)
    mask[:30, :30] = True
    cases = [
        ({"region": (0, 129, 0, 20)}, "leaves the frame"),
        ({"region": (0, 15, 0, 100)}, "16 px"),
        ({"region": (60, 100, 60, 100), "mask": mask}, "no covered pixel"),
        ({"mask": np.eye(128, dtype=bool)}, "16 px"),
        ({"region": REGION, "pixel_size_m": 0.0}, "pixel_size_m"),
    ]
    for settings, message in cases:
        with pytest.raises(ValueError, match=message):
            compare(truth, truth, **settings)


@pytest.mark.shared_data
def test_simulated_truth_with_known_noise(shared_dir):
    with np.load(shared_dir / "data" / "synth_dev_1e6.npz") as archive:
        truth = archive["objectGuess"].astype(complex)
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:300, :300]
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(truth), (-4.2, 2.7))) * np.exp(0.03j * y - 0.06j * x)
    noisy = moved * np.exp(0.094j * rng.normal(size=truth.shape))
    report = compare(0.8j * noisy, truth, region=(40, 260, 40, 260))
    assert report["psnr_phase"] == pytest.approx(36.5, abs=0.2)
    assert report["ms_ssim_scales"] == 5
    np.testing.assert_allclose(report["shift_px"], [4.2, -2.7], atol=0.03)
