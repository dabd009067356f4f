"""The terms of the loss against numpy and scipy, and their gradients at zero."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import gammaln, xlogy
from scipy.stats import poisson
from torch import Tensor

from ptychopinn.losses import (
    LIKELIHOOD,
    AmplitudeDifference,
    MeanDeviation,
    Poisson,
    TotalVariation,
    masked_mean,
    mean_loss,
    realspace_mae,
)
from ptychopinn.physics.likelihood import SOLVER_PHOTONS, STEEPEST, TRAINING_PHOTONS

SHAPE = (3, 2, 5, 6)
Loss = Callable[..., Tensor]
total_variation = TotalVariation().value
mean_deviation = MeanDeviation().value


def poisson_nll(expected: Tensor, counts: Tensor, measured: Tensor | None = None) -> Tensor:
    """The mean of lambda - k log(lambda + epsilon): training's loss is 0 where the expectation is the count."""
    best = masked_mean(counts - counts * torch.log(counts + TRAINING_PHOTONS), measured)
    return mean_loss(LIKELIHOOD, expected, counts, measured) + best


def amplitude_mae(expected: Tensor, amplitude: Tensor, measured: Tensor | None = None) -> Tensor:
    return mean_loss(AmplitudeDifference(), expected, amplitude.square(), measured)


@pytest.fixture
def expected() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0.5, 30, SHAPE))


@pytest.fixture
def counts(expected: Tensor) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).poisson(expected.numpy())).double()


def test_poisson_nll_is_scipys_but_for_the_constant(expected: Tensor, counts: Tensor) -> None:
    k, rate = counts.numpy(), expected.numpy() + TRAINING_PHOTONS
    reference = -(poisson.logpmf(k, rate) + gammaln(k + 1)).mean() - TRAINING_PHOTONS
    assert float(poisson_nll(expected, counts)) == pytest.approx(reference, rel=1e-12)


def test_poisson_nll_is_smallest_where_the_expectation_is_the_count(counts: Tensor) -> None:
    k = counts.clamp_min(1)
    best = float(poisson_nll(k, k))
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert float(poisson_nll(factor * k, k)) > best
    rate = k.clone().requires_grad_()
    poisson_nll(rate, k).backward()
    torch.testing.assert_close(rate.grad, torch.zeros_like(k), atol=TRAINING_PHOTONS / k.numel(), rtol=0)


def test_amplitude_mae_is_numpys(expected: Tensor, counts: Tensor) -> None:
    reference = np.abs(np.sqrt(expected.numpy()) - np.sqrt(counts.numpy())).mean()
    assert float(amplitude_mae(expected, counts.sqrt())) == pytest.approx(reference, rel=1e-6)


@pytest.mark.parametrize("loss", [poisson_nll, amplitude_mae])
@pytest.mark.parametrize("shape", [(5, 6), SHAPE])
def test_masked_pixels_leave_both_sums(loss: Loss, shape: tuple[int, ...], expected: Tensor, counts: Tensor) -> None:
    measured = torch.from_numpy(np.random.default_rng(2).random(shape) > 0.4)
    kept = measured.expand(SHAPE)
    garbage = torch.where(kept, counts, 1e5)
    result = float(loss(expected, garbage, measured))
    assert result == pytest.approx(float(loss(expected[kept], counts[kept])), rel=1e-12)
    assert result != pytest.approx(float(loss(expected, counts)), rel=1e-3)


def test_masked_pixels_give_no_gradient(expected: Tensor, counts: Tensor) -> None:
    measured = torch.ones(5, 6, dtype=torch.bool)
    measured[2, 3] = False
    rate = expected.clone().requires_grad_()
    poisson_nll(rate, counts, measured).backward()
    assert not rate.grad[..., 2, 3].any()
    assert rate.grad[..., 2, 4].all()


def test_a_mean_over_no_pixel_is_zero() -> None:
    assert float(masked_mean(torch.ones(2, 3, 3), torch.zeros(3, 3, dtype=torch.bool))) == 0


@pytest.mark.parametrize("loss", [poisson_nll, amplitude_mae])
@pytest.mark.parametrize("rate", [0.0, 3.0])
@pytest.mark.parametrize("count", [0.0, 3.0])
def test_gradients_are_finite_at_zero(loss: Loss, rate: float, count: float) -> None:
    wave = torch.full((4, 4), rate**0.5, dtype=torch.complex64, requires_grad=True)
    value = loss(wave.real.square() + wave.imag.square(), torch.full((4, 4), count))
    value.backward()
    assert value.isfinite()
    assert wave.grad.isfinite().all()


def test_amplitude_mae_training_has_no_nan_where_the_wave_is_zero() -> None:
    """The earlier system differentiates a square root at zero, which is infinite, times zero."""
    wave = torch.zeros(4, 4, dtype=torch.complex64, requires_grad=True)
    torch.sqrt(wave.abs().square()).sum().backward()
    assert wave.grad.isnan().all()  # what the earlier system does
    wave.grad = None
    amplitude_mae(wave.real.square() + wave.imag.square(), torch.ones(4, 4)).backward()
    assert wave.grad.isfinite().all()


def test_realspace_mae_is_the_mean_modulus_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    patches, labels = (torch.from_numpy(rng.normal(size=(2, 3, 4, 4)) + 1j * sign) for sign in (1, -1))
    reference = np.abs(patches.numpy() - labels.numpy()).mean()
    assert float(realspace_mae(patches, labels)) == pytest.approx(reference)
    assert float(realspace_mae(labels, labels)) == 0


def test_total_variation_sums_the_mean_steps_of_both_axes() -> None:
    image = torch.zeros(1, 4, 5)
    image[:, 2:] = 3.0  # one of three steps down the rows
    assert float(total_variation(image)) == pytest.approx(1.0)
    image = torch.zeros(1, 4, 5)
    image[..., 1:] = 3.0  # one of four steps along the columns
    assert float(total_variation(image)) == pytest.approx(0.75)
    wave = np.random.default_rng(0).normal(size=(2, 6, 7)) + 1j
    reference = np.abs(np.diff(wave, axis=-2)).mean() + np.abs(np.diff(wave, axis=-1)).mean()
    assert float(total_variation(torch.from_numpy(wave))) == pytest.approx(reference)


def test_mean_deviation_is_from_each_images_own_mean() -> None:
    images = torch.tensor([[[1.0, 3.0]], [[10.0, 14.0]]])
    assert float(mean_deviation(images)) == pytest.approx((1 + 2) / 2)
    assert float(mean_deviation(torch.full((2, 3, 3), 1 + 2j))) == 0


def test_the_solvers_loss_is_the_quarter_deviance_then_a_line_of_the_amplitude() -> None:
    expected = torch.tensor([0.0, 1e-3, 0.3, 5.0, 40.0], dtype=torch.float64)[:, None]
    counts = torch.tensor([0.0, 1.0, 3.0, 44.0, 1000.0], dtype=torch.float64)
    value, slope = Poisson().value_and_slope(expected, counts)
    rate, steepest = (expected + SOLVER_PHOTONS).numpy(), STEEPEST
    k = counts.numpy()
    limit = np.maximum(rate, k / steepest)
    likelihood = limit - k + xlogy(k, k) - xlogy(k, limit)
    line = 2 * (steepest**0.5 - steepest**-0.5) * np.sqrt(k) * (np.sqrt(k / steepest) - np.sqrt(rate))
    steep = k > steepest * rate
    assert 0 < steep.sum() < steep.size
    np.testing.assert_allclose(value.numpy(), (likelihood + np.where(steep, line, 0)) / 2, rtol=1e-12, atol=1e-14)
    steps = torch.tensor([-1e-6, 1e-6], dtype=torch.float64)[:, None, None] + expected[1:]
    low, high = Poisson().value(steps, counts)
    torch.testing.assert_close(slope[1:], (high - low) / 2e-6, rtol=1e-4, atol=1e-6)
