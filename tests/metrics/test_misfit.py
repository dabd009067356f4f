"""Misfits against their definitions, and the expected deviance against drawn counts."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import poisson

from ptychopinn.data.masks import masks_of
from ptychopinn.metrics import Misfit, amplitude_misfit, expected_poisson_deviance, poisson_deviance_per_pixel


def test_amplitude_misfit_over_the_mask():
    measured, model = np.array([[[3.0, 1.0], [9.0, 2.0]]] * 2), np.array([[[2.0, 1.5], [0.0, 2.0]]] * 2)
    mask = np.array([[True, True], [False, True]])
    assert amplitude_misfit(measured, model, mask) == pytest.approx(1.5 / 6)
    assert amplitude_misfit(measured, model) == pytest.approx(10.5 / 15)


def test_deviance_is_its_formula_and_handles_empty_pixels():
    k, mean = np.array([0.0, 3.0, 7.0]), np.array([0.5, 3.0, 5.0])
    expected = (2 * 0.5 + 0 + 2 * (7 * np.log(7 / 5) - 2)) / 3
    assert poisson_deviance_per_pixel(k, mean) == pytest.approx(expected)
    assert poisson_deviance_per_pixel(np.zeros(2), np.zeros(2)) == 0
    assert poisson_deviance_per_pixel(np.ones(2), np.array([0.0, 1.0])) == np.inf
    assert poisson_deviance_per_pixel(np.array([9.0, 1.0]), np.ones(2), np.array([False, True])) == 0


@pytest.mark.parametrize("mean", [0.0, 1e-4, 0.3, 1.0, 7.5, 29.9, 30.1, 200.0, 1e5])
def test_expected_deviance_is_the_sum_over_counts(mean):
    width = 12 * np.sqrt(mean) + 30
    k = np.arange(max(0, int(mean - width)), int(mean + width))
    terms = 2 * (k * np.log(np.where(k > 0, k, 1) / max(mean, 1e-300)) * (k > 0) - (k - mean))
    exact = float(np.sum(poisson.pmf(k, mean) * terms))
    assert expected_poisson_deviance(np.array([mean])) == pytest.approx(exact, rel=2e-5, abs=1e-9)


def test_perfect_model_scores_its_expectation_and_a_wrong_one_does_not():
    rng = np.random.default_rng(0)
    expected = rng.gamma(0.3, 20, size=(40, 32, 32))
    counts = rng.poisson(expected).astype(np.uint16)
    mask = rng.random((32, 32)) < 0.8
    floor = expected_poisson_deviance(expected, mask)
    assert poisson_deviance_per_pixel(counts, expected, mask) == pytest.approx(floor, rel=0.02)
    assert poisson_deviance_per_pixel(counts, 1.2 * expected, mask) > 1.1 * floor


def test_sums_over_batches_are_the_scores_of_the_whole():
    rng = np.random.default_rng(1)
    expected = (rng.gamma(0.3, 20, size=(23, 16, 16)) * 10 ** rng.uniform(-3, 4, size=(23, 1, 1))).astype(np.float32)
    counts = rng.poisson(1.1 * expected).astype(np.float32)
    for mask in (None, rng.random((16, 16)) < 0.8, rng.random((23, 16, 16)) < 0.8):
        misfit = Misfit()
        for part in (slice(0, 10), slice(10, 23)):
            measured = None if mask is None else torch.from_numpy(masks_of(mask, part))
            misfit.add(torch.from_numpy(counts[part]), torch.from_numpy(expected[part]), measured)
        whole = None if mask is None else np.broadcast_to(mask, counts.shape)
        assert misfit.scores() == pytest.approx(
            {
                "amplitude_misfit": amplitude_misfit(np.sqrt(counts), np.sqrt(expected), whole),
                "poisson_deviance_per_pixel": poisson_deviance_per_pixel(counts, expected, whole),
                "poisson_deviance_of_a_perfect_model": expected_poisson_deviance(expected, whole),
            },
            rel=1e-6,
        )
        for sums in (misfit.deviance_of_patterns.sum(1), misfit.deviance_of_pixels.sum((1, 2))):
            found, ideal = (sums / misfit.measured.sum()).tolist()
            assert found == pytest.approx(misfit.scores()["poisson_deviance_per_pixel"], rel=1e-5)
            assert ideal == pytest.approx(misfit.scores()["poisson_deviance_of_a_perfect_model"], rel=1e-5)


def test_a_model_that_is_not_finite_has_no_score():
    counts = torch.ones(1, 2, 2)
    for wrong, is_wrong in ((torch.nan, np.isnan), (0.0, np.isinf)):
        misfit = Misfit()
        misfit.add(counts, torch.tensor([[[wrong, 1.0], [1.0, 1.0]]]))
        assert is_wrong(misfit.scores()["poisson_deviance_per_pixel"])
    with pytest.raises(ValueError, match="no pixel"):
        Misfit().scores()


def test_unusable_input_is_refused():
    good = np.ones((2, 2))
    for bad, message in [(good[:1], "shape"), (-good, "negative"), (good * np.nan, "non-finite")]:
        for score in (amplitude_misfit, poisson_deviance_per_pixel):
            with pytest.raises(ValueError, match=message):
                score(good, bad)
    with pytest.raises(ValueError, match="no pixel"):
        poisson_deviance_per_pixel(good, good, np.zeros((2, 2), bool))
    with pytest.raises(ValueError, match="boolean"):
        expected_poisson_deviance(good, np.ones((2, 2)))
    with pytest.raises(ValueError, match="signal"):
        amplitude_misfit(0 * good, good)


GROWTH = """
import numpy as np, torch
from ptychopinn.metrics.fit_sums import FitSums
from ptychopinn.metrics.misfit import Misfit
torch.set_num_threads(1)

def anonymous_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))

misfit, sums = Misfit(), FitSums(np.ones((128, 128)))
for number in range(120):
    counts, expected = torch.full((16, 128, 128), 3.0), torch.full((16, 128, 128), 2.5)
    misfit.add(counts, expected)
    sums.add(counts.numpy(), expected.numpy())
    if number == 19:
        before = anonymous_mib()
print(anonymous_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_batches_leave_no_memory_behind() -> None:
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 30  # a list of small arrays between the large ones made it 90 MiB and more
