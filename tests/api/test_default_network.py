"""Which network a run trains that names no recipe."""

from dataclasses import replace

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Recipe, Scan
from ptychopinn.api.default_network import network_for


@pytest.fixture(scope="module")
def scan() -> Scan:
    """121 patterns of 16 px."""
    small = ("object_size_px=52", "probe_size_px=16", "step_px=3")
    return ptychopinn.simulate(overrides=[f"simulation.{setting}" for setting in small]).scan


def test_photon_counts_of_many_patterns_train_the_unrolled_network(scan: Scan) -> None:
    found = network_for(scan, Recipe(), ["training.epochs=7", "model.probe.modes=2"])
    assert found == Recipe.from_name("unrolled").with_overrides(["training.epochs=7", "model.probe.modes=2"])


@pytest.mark.parametrize("setting", ["model.generator.width=4", "data.group_size=9", "model.kind=supervised"])
def test_a_setting_of_the_network_chooses_the_default_one(scan: Scan, setting: str) -> None:
    recipe = Recipe().with_overrides([setting])
    assert network_for(scan, recipe, [setting]) is recipe


def test_a_scan_that_does_not_fit_trains_the_default_network(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    recipe = Recipe()
    with caplog.at_level("INFO", "ptychopinn"):
        assert network_for(scan.select(slice(60)), recipe, []) is recipe
        assert network_for(replace(scan, patterns=scan.patterns * np.float32(0.77)), recipe, []) is recipe
    assert "60 patterns are fewer than the 100 of a group of unrolled" in caplog.text
    assert "unrolled needs photon counts, and these counts are not whole numbers" in caplog.text


def test_the_name_cnn_is_the_default_of_train() -> None:
    assert Recipe.from_name("cnn") == Recipe()
