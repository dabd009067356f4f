"""Losses against the numbers of the earlier implementation: amplitudes there, photons here.

Tolerance: 1e-4 of each value plus 1e-5 of the largest.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, vmap

from ptychopinn.losses import LIKELIHOOD, AmplitudeDifference, MeanDeviation, TotalVariation, mean_loss
from ptychopinn.physics.likelihood import SMALLEST_AMPLITUDE, TRAINING_PHOTONS

pytestmark = pytest.mark.shared_data
PIXELS = 64
total_variation = TotalVariation().value
mean_deviation = MeanDeviation().value


def poisson_nll(expected: Tensor, counts: Tensor) -> Tensor:
    """The mean of lambda - k log(lambda + epsilon): training's loss is 0 where the expectation is the count."""
    best = (counts - counts * torch.log(counts + TRAINING_PHOTONS)).mean()
    return mean_loss(LIKELIHOOD, expected, counts) + best


def amplitude_mae(expected: Tensor, amplitude: Tensor) -> Tensor:
    return mean_loss(AmplitudeDifference(), expected, amplitude.square())


@pytest.fixture
def data(shared_dir: Path) -> dict[str, Tensor]:
    """Predicted and true amplitudes (2, 8, 8) and the losses, in float64."""
    with np.load(shared_dir / "parity" / "forward" / "losses.npz") as archive:
        arrays = {name: torch.from_numpy(archive[name]).double() for name in archive.files}
    for name in ("in_pred_amp", "in_true_amp", "tf_negloglik_elementwise"):
        arrays[name] = arrays[name][..., 0]
    return arrays


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def negative_log_likelihood(data: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Expected intensity less our epsilon, and counts: in our logarithm stands then what stands in theirs."""
    return data["in_pred_amp"].square() - TRAINING_PHOTONS, data["in_true_amp"].square()


def test_tensorflow_negative_log_likelihood(data: dict[str, Tensor]) -> None:
    """lambda - k log(lambda), the mean over pixels, without a constant: ours, up to the epsilon."""
    expected, counts = negative_log_likelihood(data)
    each = vmap(poisson_nll)(expected.flatten(), counts.flatten()).reshape(counts.shape) + TRAINING_PHOTONS
    same(each, data["tf_negloglik_elementwise"])
    same(poisson_nll(expected, counts) + TRAINING_PHOTONS, data["tf_negloglik_keras_mean"])


@pytest.mark.parametrize("name", ["PoissonLoss", "RectangularPoissonLoss", "CIIntensityPoissonLoss"])
def test_torch_negative_log_likelihood(data: dict[str, Tensor], name: str) -> None:
    """The sum over the pixels of a pattern, with the constant log k!."""
    expected, counts = negative_log_likelihood(data)
    constant = torch.lgamma(counts + 1).sum((-2, -1))
    ours = PIXELS * (vmap(poisson_nll)(expected, counts) + TRAINING_PHOTONS) + constant
    same(ours, data[f"torch_{name}_per_sample"])


def test_divergence_no_constant_in_the_likelihood(data: dict[str, Tensor]) -> None:
    """log k! has no gradient, and a loss that depends on the dose through it does not compare doses."""
    expected, counts = negative_log_likelihood(data)
    ours = PIXELS * vmap(poisson_nll)(expected, counts)
    assert (data["torch_PoissonLoss_per_sample"] - ours > 1000).all()


def test_divergence_the_likelihood_is_finite_in_the_dark(data: dict[str, Tensor]) -> None:
    """Theirs has no epsilon: counts where none are expected give an infinite loss. Ours stays finite."""
    expected = torch.zeros(2, 8, 8, dtype=torch.float64, requires_grad=True)
    loss = poisson_nll(expected, data["in_true_amp"].square())
    (gradient,) = torch.autograd.grad(loss, expected)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_mean_absolute_error_of_amplitudes(data: dict[str, Tensor]) -> None:
    """|A - A'|, TensorFlow its mean, PyTorch each; our epsilon stands under the root."""
    expected = data["in_pred_amp"].square() - SMALLEST_AMPLITUDE**2
    each = vmap(amplitude_mae)(expected.flatten(), data["in_true_amp"].flatten())
    same(each.reshape(2, 1, 8, 8), data["torch_MAELoss_elementwise"])
    same(amplitude_mae(expected, data["in_true_amp"]), data["tf_mae"])


def test_divergence_amplitudes_are_compared_with_amplitudes(data: dict[str, Tensor]) -> None:
    """`RectangularMAELoss` compares a predicted intensity with a measured amplitude. Ours does not."""
    mixed = (data["in_pred_amp"].square() - data["in_true_amp"]).abs()[:, None]
    same(mixed, data["torch_RectangularMAELoss_elementwise"])
    ours = amplitude_mae(data["in_pred_amp"].square(), data["in_true_amp"])
    assert ours < 0.1 * data["torch_RectangularMAELoss_elementwise"].mean()


def test_total_variation(data: dict[str, Tensor]) -> None:
    """Sums of a pattern there, means along each axis (56 differences) here; of the prediction."""
    same(56 * vmap(total_variation)(data["in_pred_amp"]), data["torch_TotalVariation"])


def test_mean_deviation(data: dict[str, Tensor]) -> None:
    """A sum of a pattern there, a mean here; of the prediction."""
    same(PIXELS * vmap(mean_deviation)(data["in_pred_amp"]), data["torch_MeanDeviation"])
