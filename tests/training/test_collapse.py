"""A short training must not end in a flat object, the easy way out of an ill-posed problem."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.losses import LIKELIHOOD, mean_loss
from ptychopinn.reconstruction.predict import expected_counts, predict_and_stitch
from ptychopinn.simulation import simulate
from ptychopinn.training import Fit, fit


def training(grouping: str, epochs: int) -> tuple[str, ...]:
    return (
        f"model.generator.grouping={grouping}",
        f"training.epochs={epochs}",
        "training.learning_rate=0.005",
        "model.generator.width=8",
        "model.generator.levels=2",
        "data.validation_fraction=0",
    )


def reconstruct(result: Fit) -> Reconstruction:
    alone = result.recipe.model.generator.grouping == "single"
    groups = np.arange(len(result.tensors))[:, None] if alone else result.groups
    return predict_and_stitch(result.model, result.tensors, groups, result.recipe.reconstruction)[0]


def contrast_and_likeness(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Deviation over the true one, and correlation."""
    return float(image.std() / truth.std()), float(np.corrcoef(image.ravel(), truth.ravel())[0, 1])


def loss_of(result: Fit, image: Reconstruction) -> float:
    """Poisson loss, per mean count, of all patterns under an object."""
    batches = expected_counts(result.model, result.tensors, image)
    expected = torch.cat([photons for _, photons in batches])
    counts = result.tensors.amplitude.square()
    return float(mean_loss(LIKELIHOOD, expected, counts)) / float(counts.mean())


@pytest.fixture(scope="module")
def grains() -> Scan:
    """64 patterns of 32 px, 10^6 photons each: dense overlap, little noise."""
    return simulate(
        SimulationConfig(
            object_kind="dead_leaves",
            object_size_px=64,
            probe_size_px=32,
            step_px=3.5,
            photons_per_pattern=1e6,
            seed=3,
        )
    )


@pytest.mark.parametrize(("grouping", "epochs"), [("single", 60), ("stacked", 160)])
def test_a_short_training_gives_contrast_and_not_a_flat_object(
    grains: Scan, make_recipe: Callable[..., Recipe], grouping: str, epochs: int
) -> None:
    result = fit(grains, make_recipe(*training(grouping, epochs)))
    image = reconstruct(result)
    truth = grains.object_guess
    first, last = grains.positions_px.min(axis=0).astype(int), grains.positions_px.max(axis=0).astype(int)
    region = np.s_[first[0] : last[0], first[1] : last[1]]
    object_ = image.object_[region] * np.exp(-1j * np.angle(np.vdot(truth[region], image.object_[region])))
    for measure in (np.abs, np.angle):
        contrast, likeness = contrast_and_likeness(measure(object_), measure(truth[region]))
        assert contrast > 0.4
        assert likeness > 0.5
    mean = complex(truth[region].mean())
    flat, true = (
        loss_of(result, replace(image, object_=np.broadcast_to(object_, truth.shape)))
        for object_ in (np.complex64(mean), truth)
    )
    assert flat - loss_of(result, image) > 0.6 * (flat - true)
    assert torch.isfinite(result.model.generator.network.head.weight).all()
