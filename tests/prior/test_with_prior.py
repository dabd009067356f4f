"""A prior on an image of the solver."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError
from ptychopinn.prior import Prior, PriorNetwork, PriorRecipe, PriorRecord, with_prior
from ptychopinn.prior.apply import NO_PHOTONS
from ptychopinn.prior.strength import DOUBTED, parts_of, strengths_of

Solved = tuple[Reconstruction, ScanTensors]


def test_an_untrained_prior_changes_nothing(solved: Solved, recipe: PriorRecipe) -> None:
    image, tensors = solved
    nothing = Prior(PriorNetwork(recipe), PriorRecord(), "nothing")
    result, effect = with_prior(image, tensors, nothing, config=RefineConfig())
    assert np.array_equal(result.object_, image.object_)
    assert effect.rms_sigma == effect.largest_sigma == 0
    assert effect.withheld is not None
    assert effect.withheld.difference == 0


def test_a_harmful_prior_hardly_moves_the_image(solved: Solved, prior: Prior) -> None:
    image, tensors = solved
    with torch.no_grad():
        prior.network.last.weight.mul_(20)  # noise of several sigma
    result, effect = with_prior(image, tensors, prior)
    assert max(effect.strengths) < 0.2
    assert effect.strength == sum(effect.strengths) / 2
    assert effect.rms_sigma < 0.05 * prior.recipe.limit_sigma
    assert np.abs(result.object_ - image.object_ - effect.correction).max() < 1e-6


def test_the_rest_of_the_image_stays(solved: Solved, prior: Prior) -> None:
    image, tensors = solved
    result, effect = with_prior(image, tensors, prior)
    assert np.array_equal(result.probe, image.probe)
    assert np.array_equal(result.positions_px, image.positions_px)
    assert np.array_equal(result.coverage, image.coverage)
    assert (effect.correction[~image.covered] == 0).all()
    assert result.metadata["prior"] == effect.entry()
    assert effect.entry()["prior"] == "random"


def test_the_same_seed_gives_the_same_image(solved: Solved, prior: Prior) -> None:
    image, tensors = solved
    first, second = (with_prior(image, tensors, prior, seed=3)[0].object_ for _ in range(2))
    assert np.array_equal(first, second)


def test_patterns_that_are_no_counts_are_left_as_they_are(solved: Solved, prior: Prior) -> None:
    image, tensors = solved
    scaled = ScanTensors(replace(tensors.scan, patterns=tensors.scan.patterns.astype(np.float32) * 0.37))
    result, effect = with_prior(image, scaled, prior)
    assert np.array_equal(result.object_, image.object_)
    assert effect.reason == NO_PHOTONS
    assert effect.withheld is None


def test_a_correction_that_is_not_finite_is_refused(solved: Solved, prior: Prior) -> None:
    image, tensors = solved
    with torch.no_grad():
        for parameter in prior.network.parameters():
            parameter.fill_(1e38)
    with pytest.raises(BundleError, match="is not finite; use another prior"):
        with_prior(image, tensors, prior)


def test_a_correction_towards_the_truth_is_used_and_one_away_from_it_is_not() -> None:
    bend = torch.full((2, 60, 90), 1.0)
    gain = torch.full((2, 60, 90), 0.9)
    gain[:, :, :45] = -0.3
    gain[1] = 1.0
    overall, strengths = strengths_of(gain, bend)
    assert 0 < overall[0] < 0.3
    assert strengths[0, :, :8].max() < 0.05
    assert strengths[0, :, -8:].min() > 0.7
    assert overall[1] == pytest.approx(1.0)
    assert strengths[1].min() > 0.99


def test_where_no_photons_tell_the_strength_is_that_of_the_whole_image() -> None:
    overall, strengths = strengths_of(torch.full((2, 50, 50), 1e-9), torch.full((2, 50, 50), 1e-9))
    assert overall[0] == pytest.approx(1.0, abs=1e-3)
    assert torch.allclose(strengths, torch.ones(2, 50, 50), atol=1e-3)


def test_phase_that_the_photons_doubt_is_used_as_far_as_they_allow() -> None:
    bend = torch.full((2, 60, 60), 15 / 3600)
    gains = torch.stack([torch.full((60, 60), part * 15 / 3600) for part in (0.9, 0.1)])
    assert strengths_of(gains, bend)[0][1] == pytest.approx(0.1 + 1.5 * 30**-0.5)
    assert strengths_of(5 * gains, bend)[0][1] == pytest.approx(0.5 + 1.5 * 30**-0.5)
    assert strengths_of(-gains, bend)[0] == (0.0, pytest.approx(-0.1 + 1.5 * 30**-0.5))
    assert strengths_of(gains, bend, DOUBTED)[0][1] == pytest.approx((3 + 4) / (30 + 4))
    assert strengths_of(-4 * gains, bend)[1].max() < 1e-6


def test_the_parts_of_a_correction_change_amplitude_and_phase_and_sum_up_to_it() -> None:
    generator = torch.Generator().manual_seed(0)
    object_, correction = torch.randn(2, 9, 9, dtype=torch.complex64, generator=generator)
    radial, across = parts_of(1e-4 * correction, object_)
    torch.testing.assert_close(radial + across, 1e-4 * correction)
    torch.testing.assert_close((object_ + across).abs(), object_.abs(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((object_ + radial).angle(), object_.angle(), rtol=1e-4, atol=1e-5)
