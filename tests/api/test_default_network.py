"""Which network a run trains whose recipe sets none."""

from dataclasses import replace

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Recipe, Scan
from ptychopinn.api.default_network import network_for

UNROLLED = Recipe.from_name("unrolled")


@pytest.fixture(scope="module")
def scan() -> Scan:
    """121 patterns of 16 px."""
    small = ("object_size_px=52", "probe_size_px=16", "step_px=3")
    return ptychopinn.simulate(overrides=[f"simulation.{setting}" for setting in small]).scan


def test_photon_counts_of_many_patterns_train_the_unrolled_network(scan: Scan) -> None:
    settings = ["training.epochs=7", "model.probe.modes=2"]
    assert network_for(scan, None, settings) == UNROLLED.with_overrides(settings)


def test_a_recipe_without_a_network_keeps_its_other_settings(scan: Scan) -> None:
    assert network_for(scan, "quick", []).training.epochs == Recipe.from_name("quick").training.epochs
    found = network_for(scan, "few_photons", ["training.epochs=7"])
    assert found.model == UNROLLED.model
    assert found.reconstruction == Recipe.from_name("few_photons").reconstruction
    assert found.training == UNROLLED.training.changed(epochs=7)


@pytest.mark.parametrize("setting", ["model.generator.width=4", "data.group_size=9", "model.kind=supervised"])
def test_a_setting_of_the_network_keeps_the_recipe(scan: Scan, setting: str) -> None:
    assert network_for(scan, None, [setting]) == Recipe().with_overrides([setting])


@pytest.mark.parametrize("name", ["cnn", "default", "stacked", "modes", "transfer", "supervised", "grid_lines"])
def test_recipes_of_other_networks_are_kept(scan: Scan, name: str) -> None:
    assert network_for(scan, name, []) == Recipe.from_name(name)


def test_a_scan_that_does_not_fit_keeps_the_recipe(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ptychopinn"):
        assert network_for(scan.select(slice(60)), None, []) == Recipe()
        assert network_for(replace(scan, patterns=scan.patterns * np.float32(0.77)), None, []) == Recipe()
    assert "network: cnn, since 60 patterns are fewer than the 100 of a group of unrolled" in caplog.text
    assert "unrolled needs photon counts, and these counts are not whole numbers" in caplog.text


def test_the_name_cnn_is_the_default_of_train() -> None:
    assert Recipe.from_name("cnn") == Recipe()
