"""A trained network made ready for one scan, which leaves what it was made from as it was."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import BundleError, ScanError
from ptychopinn.models import PatchModel, TrainedModel
from ptychopinn.reconstruction import Reconstructor, prediction_groups

MakeModel = Callable[..., PatchModel]
FITTED = FittedStatistics(
    pattern_size=16, input_mean=0, input_deviation=1, mean_count=1, intensity_scale=1, n_patterns=12
)


@pytest.fixture
def trained(scan: Scan, make_model: MakeModel) -> TrainedModel:
    model = make_model(scan).eval()
    model.fit_positions(len(scan)).remember(scan)
    with torch.no_grad():
        model.shifts.raw.copy_(torch.linspace(-1, 1, 2 * len(scan)).reshape(-1, 2))
    return TrainedModel(model, Recipe(fitted=FITTED))


@pytest.fixture
def other(scan: Scan) -> Scan:
    """Another scan, with more patterns, another probe and other positions."""
    twice = np.concatenate([np.arange(len(scan)), np.arange(len(scan))])
    more = scan.select(twice)
    positions = more.positions_px + np.linspace(-0.3, 0.3, len(more))[:, None]
    return replace(more, positions_px=positions, probe=(2j * scan.probe).astype(np.complex64), object_guess=None)


def weights(trained: TrainedModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.network.state_dict().items()}


@pytest.mark.parametrize("probe", ["auto", "scan", "model"])
def test_the_trained_model_is_left_as_it_was(trained: TrainedModel, other: Scan, probe: str) -> None:
    before = weights(trained)
    reconstructor = Reconstructor.for_scan(trained, other, probe=probe)
    image, _ = reconstructor.image()
    reconstructor.patches()
    list(reconstructor.expected(image))
    after = trained.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_are_shared_on_one_device(trained: TrainedModel, scan: Scan) -> None:
    assert Reconstructor.for_scan(trained, scan, device="cpu").network is trained.network


def test_several_scans_can_be_ready_at_once(trained: TrainedModel, scan: Scan, other: Scan) -> None:
    """Each has its own probe and positions, whatever was made ready or reconstructed after it."""
    alone = Reconstructor.for_scan(trained, scan, probe="model").image()[0]
    first = Reconstructor.for_scan(trained, scan, probe="model")
    second = Reconstructor.for_scan(trained, other, probe="scan")
    second.image()
    again = first.image()[0]
    np.testing.assert_array_equal(again.object_, alone.object_)
    np.testing.assert_array_equal(again.probe, alone.probe)


@pytest.mark.parametrize(("probe", "fitted", "whose"), [
    ("scan", False, "scan"),
    ("scan", True, "scan"),
    ("model", False, "model"),
    ("auto", False, "scan"),
    ("auto", True, "model"),
])  # fmt: skip
def test_whose_probe_applies(trained: TrainedModel, other: Scan, probe: str, fitted: bool, whose: str) -> None:
    overrides = [f"model.probe.trainable={str(fitted).lower()}", "model.intensity_scale=probe"]
    trained = replace(trained, recipe=trained.recipe.with_overrides(overrides))
    image = Reconstructor.for_scan(trained, other, probe=probe).image()[0]
    expected = other.probe if whose == "scan" else trained.network.probe.detach().numpy()
    np.testing.assert_allclose(image.probe, expected, rtol=1e-6)


def test_fitted_positions_apply_to_the_patterns_that_were_fitted_only(
    trained: TrainedModel, scan: Scan, other: Scan
) -> None:
    same = Reconstructor.for_scan(trained, scan)
    assert float(same.tensors.shifts_px.abs().max()) > 0.5
    np.testing.assert_allclose(
        same.image()[0].positions_px, scan.positions_px + same.tensors.shifts_px.numpy(), atol=1e-6
    )
    foreign = Reconstructor.for_scan(trained, other)
    assert foreign.tensors.shifts_px.shape == (len(other), 2)
    assert float(foreign.tensors.shifts_px.abs().max()) == 0
    np.testing.assert_array_equal(foreign.image()[0].positions_px, other.positions_px)


def test_tensors_are_used_without_changing_them(trained: TrainedModel, scan: Scan) -> None:
    tensors = ScanTensors(scan)
    reconstructor = Reconstructor.for_scan(trained, tensors)
    assert reconstructor.tensors._patterns is tensors._patterns
    assert tensors.probe is None
    assert tensors.shifts_px is None


def test_pixels_that_training_never_saw_are_masked(trained: TrainedModel, scan: Scan) -> None:
    bad = np.zeros((16, 16), bool)
    bad[3, 4] = True
    filled = scan.patterns.copy()
    filled[:, 3, 4] = 60000
    unmasked, masked = replace(scan, patterns=filled), replace(scan, bad_pixels=bad)
    trained = replace(trained, unseen=bad)
    image = Reconstructor.for_scan(trained, unmasked).image()[0]
    np.testing.assert_array_equal(image.object_, Reconstructor.for_scan(trained, masked).image()[0].object_)
    seen = Reconstructor.for_scan(replace(trained, unseen=None), unmasked).image()[0]
    assert np.abs(seen.object_ - image.object_).max() > 1e-3


def test_scans_that_do_not_fit_are_refused(trained: TrainedModel, scan: Scan) -> None:
    with pytest.raises(ScanError):
        Reconstructor.for_scan(trained, replace(scan, scan_index=np.arange(len(scan)) % 2))
    large = replace(trained, recipe=Recipe(fitted=FittedStatistics(**{**FITTED.model_dump(), "pattern_size": 32})))
    with pytest.raises(BundleError, match=r"16x16 px, but the model was trained on 32x32 px"):
        Reconstructor.for_scan(large, scan)


@pytest.mark.parametrize("grouping", ["single", "stacked"])
def test_groups_hold_every_pattern(scan: Scan, grouping: str) -> None:
    recipe = Recipe().with_overrides([f"model.generator.grouping={grouping}", "data.group_size=4"])
    groups = prediction_groups(scan, recipe)
    assert groups.shape == (len(scan), 1 if grouping == "single" else 4)
    assert set(groups.flatten()) == set(range(len(scan)))
