"""Two predictions of counts that neither was made from."""

import numpy as np
import pytest

from ptychopinn.metrics.withheld import LEAST_EXPECTED, Preference, deviance_of_patterns
from ptychopinn.metrics.withheld import preference as preference_of

MEAN = np.full((200, 8, 8), 3.0, np.float32)


def drawn(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(MEAN).astype(np.float32)


def preference(
    counts: np.ndarray, first: np.ndarray, second: np.ndarray, measured: np.ndarray | None = None
) -> Preference:
    known = np.broadcast_to(True if measured is None else measured, counts.shape)
    deviances = (deviance_of_patterns(counts, expected, measured) for expected in (first, second))
    return preference_of(*deviances, int(known.sum()), float(counts[known].sum()))


def test_the_truth_is_preferred_wherever_it_stands() -> None:
    wrong = 1.2 * MEAN
    first, second = preference(drawn(), MEAN, wrong), preference(drawn(), wrong, MEAN)
    assert first.difference > 0
    assert second.difference == pytest.approx(-first.difference)
    assert (first.is_second_better, second.is_second_better) == (False, True)
    expected = 2 * MEAN.sum() * (0.2 - np.log(1.2))
    assert first.difference == pytest.approx(expected, abs=4 * first.standard_error)
    assert first.photons == drawn().sum()


def test_equal_predictions_are_a_tie() -> None:
    found = preference(drawn(), MEAN, MEAN)
    assert (found.difference, found.errors, found.is_tie, found.is_second_better) == (0, 0, True, False)


def test_the_error_is_that_of_repeated_counts() -> None:
    nearly = MEAN * np.random.default_rng(1).uniform(0.97, 1.03, MEAN.shape).astype(np.float32)
    found = [preference(drawn(seed), MEAN, nearly) for seed in range(30)]
    scatter = np.std([one.difference for one in found], ddof=1)
    assert np.mean([one.standard_error for one in found]) == pytest.approx(scatter, rel=0.4)


def test_pixels_that_were_not_measured_do_not_count() -> None:
    counts, measured = drawn(), np.ones((8, 8), bool)
    measured[0] = False
    spoiled = counts.copy()
    spoiled[:, 0] = 1e6
    assert preference(spoiled, MEAN, 1.2 * MEAN, measured) == preference(counts, MEAN, 1.2 * MEAN, measured)


def test_a_photon_where_none_was_expected_costs_a_finite_amount() -> None:
    dark = np.zeros((2, 1, 1), np.float32)
    found = preference(np.ones_like(dark), dark, dark + 1)
    assert found.deviance[0] == pytest.approx(2 * (-np.log(LEAST_EXPECTED) - 1 + LEAST_EXPECTED))


def test_one_pattern_gives_no_error_and_so_a_tie() -> None:
    found = preference(np.full((1, 2, 2), 9.0), np.full((1, 2, 2), 1.0), np.full((1, 2, 2), 9.0))
    assert found.is_tie
    assert not found.is_second_better
