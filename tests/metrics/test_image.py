"""Image scores against scikit-image and torchmetrics, and their refusals."""

import numpy as np
import pytest
import torch
from skimage import metrics as reference_metrics
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from ptychopinn.metrics import mae, ms_ssim, ms_ssim_betas, mse, phase_difference, psnr, psnr_255, ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    truth = rng.random((48, 56))
    return truth + 0.05 * rng.normal(size=truth.shape), truth


@pytest.mark.parametrize("peak", [1.0, 2 * np.pi])
def test_psnr_equals_scikit_image(pair, peak):
    expected = reference_metrics.peak_signal_noise_ratio(pair[1], pair[0], data_range=peak)
    assert psnr(*pair, peak=peak) == pytest.approx(expected, rel=1e-12)


def test_psnr_needs_its_peak(pair):
    with pytest.raises(TypeError, match="peak"):
        psnr(*pair)
    with pytest.raises(ValueError, match="positive"):
        psnr(*pair, peak=0)
    assert psnr_255(*pair) - psnr(*pair, peak=1) == pytest.approx(48.13, abs=0.001)
    assert psnr(pair[0], pair[0], peak=1) == np.inf


def test_mean_errors_over_the_mask(pair):
    mask = np.zeros(pair[0].shape, dtype=bool)
    mask[:10] = True
    worse = pair[0].copy()
    worse[10:] += 100
    difference = (pair[0] - pair[1])[:10]
    assert mse(worse, pair[1], mask=mask) == pytest.approx(np.mean(difference**2))
    assert mae(worse, pair[1], mask=mask) == pytest.approx(np.mean(np.abs(difference)))
    assert psnr(worse, pair[1], peak=1, mask=mask) == pytest.approx(-10 * np.log10(np.mean(difference**2)))
    assert mse(*pair) == pytest.approx(reference_metrics.mean_squared_error(*pair))


def test_ssim_equals_scikit_image(pair):
    expected = reference_metrics.structural_similarity(
        *pair, data_range=1.2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(*pair, data_range=1.2) == pytest.approx(expected, rel=1e-12)
    assert ssim(*pair, data_range=1.2, mask=np.ones(pair[0].shape, bool)) == pytest.approx(expected, rel=1e-12)


def test_ssim_over_a_mask_sees_only_that_part(pair):
    half = np.zeros(pair[0].shape, dtype=bool)
    half[:, :20] = True
    broken = pair[1].copy()
    broken[:, 30:] = 0
    assert ssim(broken, pair[1], data_range=1.0, mask=half) == pytest.approx(1)
    assert ssim(broken, pair[1], data_range=1.0) < 0.8


@pytest.mark.parametrize("shape", [(180, 190), (101, 300), (50, 61), (23, 30), (12, 15)])
def test_ms_ssim_equals_torchmetrics(shape):
    rng = np.random.default_rng(2)
    truth = rng.random(shape).cumsum(0) / shape[0]
    image = truth + 0.1 * rng.normal(size=truth.shape)
    tensors = (torch.from_numpy(a)[None, None] for a in (image, truth))
    expected = multiscale_structural_similarity_index_measure(*tensors, data_range=1.0, betas=ms_ssim_betas(shape))
    assert ms_ssim(image, truth, data_range=1.0) == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.parametrize(
    ("side", "scales"), [(176, 5), (175, 4), (99, 4), (98, 3), (44, 3), (43, 2), (22, 2), (21, 1), (11, 1)]
)
def test_ms_ssim_takes_the_scales_that_fit(side, scales):
    betas = ms_ssim_betas((side, 400))
    assert len(betas) == scales
    assert sum(betas) == pytest.approx(1, abs=1e-3)
    image = np.random.default_rng(0).random((side, side + 3))
    assert ms_ssim(image, image, data_range=1.0) == pytest.approx(1)
    assert ms_ssim(image[::-1], image, data_range=1.0) < 0.6


def test_phase_difference_wraps():
    a, b = np.array([3.1, -0.2, 0.5]), np.array([-3.1, 0.3, 0.5])
    expected = [6.2 - 2 * np.pi, -0.5, 0]
    np.testing.assert_allclose(phase_difference(2 * np.exp(1j * a), 0.3 * np.exp(1j * b)), expected, atol=1e-12)


@pytest.mark.parametrize("score", [mse, mae, ssim, ms_ssim, psnr])
def test_unusable_images_are_refused(score):
    settings = {ssim: {"data_range": 1.0}, ms_ssim: {"data_range": 1.0}, psnr: {"peak": 1.0}}.get(score, {})
    good = np.zeros((16, 16))
    for bad, message in [(good[:8], "frame"), (good * np.nan, "not finite"), (good * 1j, "complex")]:
        with pytest.raises(ValueError, match=message):
            score(bad, good, **settings)


def test_sizes_and_ranges_are_checked():
    small, image = np.zeros((10, 40)), np.zeros((16, 16))
    for score in (ssim, ms_ssim):
        with pytest.raises(ValueError, match="11 px"):
            score(small, small, data_range=1.0)
        with pytest.raises(ValueError, match="data_range"):
            score(image, image, data_range=0.0)
    edge = np.zeros((16, 16), bool)
    edge[0] = True
    with pytest.raises(ValueError, match="border"):
        ssim(image, image, data_range=1.0, mask=edge)
