"""A trained model is one value that nothing changes."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError
from ptychopinn.models import PatchModel, TrainedModel, unseen_pixels

FITTED = FittedStatistics(
    pattern_size=16, input_mean=0, input_deviation=1, mean_count=1, intensity_scale=1, n_patterns=12
)


@pytest.fixture
def trained(scan: Scan, make_model: Callable[..., PatchModel]) -> TrainedModel:
    return TrainedModel(make_model(scan), Recipe(fitted=FITTED))


def test_it_is_frozen_and_needs_the_statistics_of_a_training(trained: TrainedModel) -> None:
    with pytest.raises(FrozenInstanceError):
        trained.network = trained.network
    with pytest.raises(BundleError, match="must hold the statistics of its training"):
        TrainedModel(trained.network, Recipe())


def test_the_network_is_shared_on_its_device_and_copied_to_another(trained: TrainedModel) -> None:
    assert trained.network_on("cpu") is trained.network
    elsewhere = trained.network_on("meta")
    assert elsewhere is not trained.network
    assert {parameter.device.type for parameter in elsewhere.parameters()} == {"meta"}
    assert {parameter.device.type for parameter in trained.network.parameters()} == {"cpu"}


def test_unseen_pixels_mask_a_scan_that_has_no_mask(scan: Scan, trained: TrainedModel) -> None:
    unseen = np.eye(16, dtype=bool)
    trained = replace(trained, unseen=unseen)
    np.testing.assert_array_equal(trained.masked(scan).bad_pixels, unseen)
    own = replace(scan, bad_pixels=~unseen)
    assert trained.masked(own) is own
    assert replace(trained, unseen=np.eye(8, dtype=bool)).masked(scan) is scan


def test_pixels_that_some_pattern_measured_are_seen(scan: Scan) -> None:
    bad = np.zeros(scan.patterns.shape, bool)
    bad[:, 3, 4] = True
    bad[1:, 5, 6] = True
    found = unseen_pixels([replace(scan, bad_pixels=bad), scan])
    assert found is not None
    assert np.argwhere(found).tolist() == [[3, 4]]
    assert unseen_pixels([scan]) is None


def test_a_copy_has_the_same_weights(trained: TrainedModel) -> None:
    with torch.no_grad():
        trained.network.generator.network.head.weight.add_(0.25)
    trained.network.generator.compile_networks()
    copy = trained.network_on("meta")
    assert [name for name, _ in copy.named_parameters()] == [name for name, _ in trained.network.named_parameters()]
