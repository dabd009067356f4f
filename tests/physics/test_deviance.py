"""The Poisson deviance against its formula, and its mean against sums and drawn counts."""

import numpy as np
import pytest
import torch
from scipy.special import kl_div

from ptychopinn.physics.deviance import TABLE_PHOTONS, deviance, ideal_deviance, likelihood_excess, summed_deviance

OFFSETS = (0.0, 3 / 8)


@pytest.mark.parametrize("offset", OFFSETS)
def test_deviance_is_its_formula(offset: float) -> None:
    rng = np.random.default_rng(0)
    expected = 10 ** rng.uniform(-6, 7, 5000)
    counts = rng.poisson(1.1 * expected).astype(float)
    wanted = 2 * kl_div(counts + offset, expected + offset)
    found = deviance(torch.from_numpy(counts), torch.from_numpy(expected), offset).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_single_precision_holds_at_many_photons() -> None:
    counts = torch.tensor([1e6 + 1000], dtype=torch.float64)
    expected = torch.full_like(counts, 1e6)
    assert float(deviance(counts.float(), expected.float())) == pytest.approx(
        float(deviance(counts, expected)), rel=1e-4
    )


def test_dark_pixels() -> None:
    dark = torch.zeros(3)
    assert deviance(torch.tensor([0.0, 1.0, 2.0]), dark).tolist() == [0, np.inf, np.inf]
    assert torch.isfinite(deviance(torch.tensor([0.0, 1.0, 2.0]), dark, 3 / 8)).all()
    assert torch.isnan(deviance(torch.ones(1), torch.tensor([torch.nan]))).all()


def test_excess_is_a_difference_of_likelihoods_with_the_right_slope() -> None:
    counts = torch.tensor([0.0, 3.0, 8.0], dtype=torch.float64)
    expected = torch.tensor([0.4, 2.0, 9.0], dtype=torch.float64, requires_grad=True)
    reference = counts + torch.tensor([0.0, 0.1, 0.1], dtype=torch.float64)
    found = likelihood_excess(counts, expected, reference)
    likelihoods = [mean - torch.xlogy(counts, mean) for mean in (expected, reference)]
    torch.testing.assert_close(found, likelihoods[0] - likelihoods[1])
    (slope,) = torch.autograd.grad(found.sum(), expected)
    torch.testing.assert_close(slope, 1 - counts / expected.detach())


@pytest.mark.parametrize("offset", OFFSETS)
def test_table_is_the_sum_over_the_counts_to_1e_7(offset: float) -> None:
    mean = torch.from_numpy(np.concatenate([10 ** np.linspace(-9, 1.47, 3000), np.linspace(0, 29.99, 3000)]))
    np.testing.assert_allclose(ideal_deviance(mean, offset), summed_deviance(mean, offset), atol=1e-7)


@pytest.mark.parametrize(("offset", "error"), [(0.0, 1.5e-5), (3 / 8, 1e-6)])
def test_series_is_the_sum_over_the_counts(offset: float, error: float) -> None:
    mean = torch.linspace(TABLE_PHOTONS, 300, 500, dtype=torch.float64)
    np.testing.assert_allclose(ideal_deviance(mean, offset), summed_deviance(mean, offset), atol=error)


@pytest.mark.parametrize("mean", [0.003, 0.3, 7.0, 39.0, 41.0, 300.0])
def test_deviance_that_counts_allow(mean: float) -> None:
    """Against the mean over counts that are drawn."""
    counts = np.random.default_rng(1).poisson(mean, 400_000) + 3 / 8
    drawn = 2 * (counts * np.log(counts / (mean + 3 / 8)) - counts + mean + 3 / 8)
    error = float(drawn.std()) / 400_000**0.5
    allowed = float(ideal_deviance(torch.tensor([mean], dtype=torch.float64), 3 / 8))
    assert allowed == pytest.approx(drawn.mean(), abs=5 * error + 2e-5)
