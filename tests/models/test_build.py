"""From a recipe to a model: the statistics of its input, and training on labels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.models import PatchModel, fit_statistics, with_labels

MakeModel = Callable[..., PatchModel]
WithTruth = Callable[[PatchModel, ScanTensors, Batch], PatchModel]


@pytest.mark.parametrize("kind", ["back_projected", "log_counts", "amplitude"])
def test_statistics_are_those_of_the_training_patterns(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, kind: str
) -> None:
    bad = np.zeros((16, 16), bool)
    bad[3:5] = True
    scan = replace(scan, bad_pixels=bad)
    tensors, model = ScanTensors(scan), make_model(scan, f"model.generator.input={kind}")
    raw = model.generator.network_input(model.view(tensors.gather(groups))).detach()
    fitted = fit_statistics(model, [(tensors, groups)])
    assert fitted.n_patterns == 12
    assert fitted.pattern_size == 16
    assert fitted.mean_count == pytest.approx(float(scan.patterns[:12][:, ~bad].mean()), rel=1e-5)
    assert fitted.input_mean == pytest.approx(0 if kind == "back_projected" else float(raw.mean()), abs=1e-6)
    assert fitted.input_deviation == pytest.approx(float(raw.std(correction=0)), rel=1e-4)
    normalised = model.generator.network_input(model.view(tensors.gather(groups)))
    assert float(normalised.std()) == pytest.approx(1, rel=1e-3)


def test_an_input_without_any_contrast_is_refused(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    flat = replace(scan, patterns=np.ones_like(scan.patterns), source="flat.npz")
    model = make_model(flat, "model.generator.input=amplitude")
    with pytest.raises(ScanError, match=r"flat\.npz: every input of the network is the same number"):
        fit_statistics(model, [(ScanTensors(flat), groups)])


def test_supervised_compares_with_labels_where_there_is_light(
    scan: Scan, groups: np.ndarray, make_model: MakeModel, with_truth: WithTruth
) -> None:
    tensors = ScanTensors(with_labels(scan))
    batch = tensors.gather(groups)
    model = with_truth(make_model(scan, "model.kind=supervised"), tensors, batch)
    assert float(model.losses(batch, 1.0)["realspace_mae"].detach()) == 0
    power = model.view(batch).probes.abs().square().sum(-3).detach()
    dark = power < 1e-7 * power.amax((-2, -1), keepdim=True)
    shifted = replace(batch, labels=torch.where(dark, batch.labels, batch.labels + 0.25j))
    assert float(model.losses(shifted, 1.0)["realspace_mae"].detach()) == pytest.approx(0.25, rel=1e-4)


def test_supervised_without_labels_is_refused(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    model = make_model(scan, "model.kind=supervised")
    with pytest.raises(ScanError, match=r"model\.kind=pinn"):
        model.losses(ScanTensors(scan).gather(groups), 1.0)


def test_supervised_gradients_reach_the_network_only(scan: Scan, groups: np.ndarray, make_model: MakeModel) -> None:
    model = make_model(scan, "model.kind=supervised", "model.probe.trainable=true")
    model.losses(ScanTensors(with_labels(scan)).gather(groups), 1.0)["realspace_mae"].backward()
    assert model.generator.network.head.weight.grad.abs().max() > 0
    assert model.probe_parts.grad is None
