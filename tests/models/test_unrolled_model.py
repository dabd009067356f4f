"""An unrolled generator in the model: stages in the loss, thinned counts, bundles."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.mirror import MIRRORS, Mirror
from ptychopinn.data.thinning import thin
from ptychopinn.generators import GroupScene, Unrolled
from ptychopinn.losses import LIKELIHOOD, mean_loss
from ptychopinn.models import PatchModel, PtychoPINN, fit_statistics, with_labels

MakeModel = Callable[..., PatchModel]
UNROLLED = ("model.generator.architecture=unrolled", "model.generator.physics_steps=3")


@pytest.fixture
def batch(scan: Scan, groups: np.ndarray) -> Batch:
    return ScanTensors(scan).gather(groups)


@pytest.fixture
def unrolled(scan: Scan, make_model: MakeModel) -> Callable[..., PtychoPINN]:
    """A model whose networks have random last layers, as after some training."""

    def build(*overrides: str) -> PtychoPINN:
        model = make_model(scan, *UNROLLED, *overrides)
        assert isinstance(model, PtychoPINN)
        assert isinstance(model.generator, Unrolled)
        for network in model.generator.network:
            nn.init.normal_(network.head.weight, std=0.3)
        return model

    return build


def poisson(model: PtychoPINN, batch: Batch) -> float:
    return float(model.losses(batch, 50.0)["poisson"].detach())


def test_the_stages_of_the_loss_are_weighted(batch: Batch, unrolled: Callable[..., PtychoPINN]) -> None:
    alone, half, full = (
        poisson(unrolled(f"model.loss.stage_weight={w}", "model.generator.stages=2"), batch) for w in (0, 0.5, 1)
    )
    assert full > half > alone > 0
    assert full - alone == pytest.approx(2 * (half - alone), rel=1e-4)


def test_the_last_stage_is_the_prediction(batch: Batch, unrolled: Callable[..., PtychoPINN]) -> None:
    model = unrolled("model.generator.stages=3")
    stages = model.stages(batch)
    assert len(stages) == 3
    assert torch.equal(model(batch).expected, stages[-1].expected)
    canvases = model.generator.canvases(GroupScene(model.view(batch).detached()))
    torch.testing.assert_close(stages[1].merged, canvases[1])


def test_the_loss_compares_with_the_counts_that_the_generator_did_not_see(
    batch: Batch, unrolled: Callable[..., PtychoPINN]
) -> None:
    model = unrolled("model.generator.stages=1")
    thinned = thin(batch, 0.25, torch.Generator().manual_seed(0))
    counts = thinned.hidden_counts
    expected = 0.25 * model(thinned).expected.detach()
    excess = mean_loss(LIKELIHOOD, expected, counts)
    assert poisson(model, thinned) == pytest.approx(float(excess) / (0.25 * 50.0), rel=1e-4)
    swapped = replace(thinned, amplitude=(batch.amplitude.square() + 7).sqrt())
    assert poisson(model, swapped) != pytest.approx(poisson(model, thinned), rel=1e-2)


def test_the_generator_sees_only_its_part_of_the_counts(batch: Batch, unrolled: Callable[..., PtychoPINN]) -> None:
    """With noise-free counts a part of them under a dimmer beam gives the same object."""
    model = unrolled("model.generator.stages=1")
    for network in model.generator.network:
        nn.init.zeros_(network.head.weight)
    part = replace(batch, seen=0.5**0.5 * batch.amplitude, hidden_fraction=0.5)
    torch.testing.assert_close(model(part).merged, model(batch).merged, atol=1e-2, rtol=0)
    other = replace(part, seen=batch.amplitude)
    assert (model(other).merged - model(batch).merged).abs().max() > 0.05


@pytest.mark.parametrize("trainable", [True, False])
def test_a_trainable_probe_gets_gradients(batch: Batch, unrolled: Callable[..., PtychoPINN], trainable: bool) -> None:
    model = unrolled(f"model.probe.trainable={str(trainable).lower()}")
    sum(model.losses(batch, 50.0).values()).backward()
    assert (model.probe_parts.grad is not None) == trainable
    assert all(network.head.weight.grad.abs().max() > 0 for network in model.generator.network)


@pytest.mark.parametrize("mirror", MIRRORS[1:])
def test_a_mirrored_experiment_gives_the_mirrored_patches(
    noise_free: Callable[..., Scan], groups: np.ndarray, make_model: MakeModel, mirror: Mirror
) -> None:
    scan = noise_free(17)  # even windows wrap their first line
    batch, model = ScanTensors(scan).gather(groups), make_model(scan, *UNROLLED)
    with torch.no_grad():
        patches, mirrored = (model(one).patches for one in (batch, mirror.batch(batch)))
    torch.testing.assert_close(mirrored, mirror.image(patches), atol=1e-2, rtol=0)
    assert (mirrored - patches).abs().max() > 0.05


def test_labels_train_every_stage(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    batch = ScanTensors(with_labels(scan)).gather(groups)
    terms = []
    for weight in (0, 0.5, 1):
        model = make_model(
            scan, *UNROLLED, "model.kind=supervised", "model.generator.stages=2", f"model.loss.stage_weight={weight}"
        )
        terms.append(float(model.losses(batch, 1.0)["realspace_mae"].detach()))
    assert terms[2] - terms[0] == pytest.approx(2 * (terms[1] - terms[0]), rel=1e-4)
    assert terms[1] > terms[0] > 0
    model.losses(batch, 1.0)["realspace_mae"].backward()
    assert all(network.head.weight.grad.abs().max() > 0 for network in model.generator.network)


def test_statistics_are_those_of_the_first_objects(
    scan: Scan, groups: np.ndarray, unrolled: Callable[..., PtychoPINN]
) -> None:
    model, tensors = unrolled(), ScanTensors(scan)
    fitted = fit_statistics(model, [(tensors, groups)])
    assert fitted.input_mean == 0
    shown = model.generator.network_input(model.view(tensors.gather(groups)))
    assert shown.shape[:2] == (3, 5)
    assert float(shown.std()) == pytest.approx(1, rel=0.2)
