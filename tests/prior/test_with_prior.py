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
from ptychopinn.prior.canvas import PriorCanvas
from ptychopinn.prior.strength import part_asked_for, parts_of
from ptychopinn.solver import flat_start, refine
from ptychopinn.solver.trials import nearest
from ptychopinn.studies.prior.scans import DrawnScan
from ptychopinn.studies.prior.solved import aligned_truth

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


@pytest.mark.parametrize("part", [1.0, -1.0])
def test_a_correction_towards_the_truth_is_used_and_one_away_from_it_is_not(
    solved: Solved, prior: Prior, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tensors = solved
    start = flat_start(tensors.scan, torch.from_numpy(tensors.scan.probe))
    image = refine(start, tensors, RefineConfig(iterations=12, probe=False)).reconstruction

    def correction(canvas: PriorCanvas, orientations: int = 4, *, half: bool = False) -> torch.Tensor:
        true = torch.from_numpy(aligned_truth(canvas, DrawnScan(tensors.scan, 1e4, {})))
        radial, across = parts_of((true - canvas.object_) * canvas.covered, canvas.object_)
        return part * radial - part * across

    monkeypatch.setattr(prior.network, "correction", correction)
    _, effect = with_prior(image, tensors, prior)
    assert effect.strengths == ((1.0, 0.0) if part > 0 else (0.0, 1.0))


@pytest.mark.parametrize("best", [0.7, -0.2, 3.0])
def test_the_part_that_is_asked_for_is_where_the_deviance_is_least(best: float) -> None:
    half, whole = (5 * ((part - best) ** 2 - best**2) for part in (0.5, 1.0))
    assert part_asked_for(half, whole) == pytest.approx(best)


def test_the_parts_of_a_correction_change_amplitude_and_phase_and_sum_up_to_it() -> None:
    generator = torch.Generator().manual_seed(0)
    object_, correction = torch.randn(2, 9, 9, dtype=torch.complex64, generator=generator)
    radial, across = parts_of(1e-4 * correction, object_)
    torch.testing.assert_close(radial + across, 1e-4 * correction)
    torch.testing.assert_close((object_ + across).abs(), object_.abs(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close((object_ + radial).angle(), object_.angle(), rtol=1e-4, atol=1e-5)


def test_some_patterns_near_the_middle_decide_for_a_large_scan(
    solved: Solved, prior: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, tensors = solved
    monkeypatch.setattr("ptychopinn.prior.strength.MOST_PATTERNS", 12)
    _, effect = with_prior(image, tensors, prior)
    part = nearest(image.positions_px, 12)
    other = replace(image, positions_px=image.positions_px[part])
    _, alone = with_prior(other, ScanTensors(tensors.scan.select(part)), prior)
    assert effect.strengths == alone.strengths
    assert effect.withheld is not None
    assert alone.withheld is not None
    assert effect.withheld.photons == alone.withheld.photons > 0
