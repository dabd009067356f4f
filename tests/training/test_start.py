"""Training that begins with the weights of a trained model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.api.model_files import load_model
from ptychopinn.api.model_info import model_info, rows
from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.simulation import simulate
from ptychopinn.training import Fit, fit, prepare, recipe_of_start

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def model(scan: Scan, make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the usual scan."""
    folder = tmp_path_factory.mktemp("earlier")
    ptychopinn.train(scan, folder, make_recipe("training.epochs=6", "training.scheduler=constant"))
    return folder


@pytest.fixture(scope="module")
def other_scan() -> Scan:
    """Another sample, with another dose."""
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=5e4, seed=3))


def test_weights_and_normalisation_are_those_of_the_model(model: Path, other_scan: Scan) -> None:
    earlier = load_model(model)
    start = prepare(other_scan, recipe_of_start(str(model)))
    for name, value in earlier.network.generator.state_dict().items():
        assert torch.equal(start.model.generator.state_dict()[name], value), name
    fitted = start.recipe.fitted
    assert fitted is not None
    assert fitted.input_deviation == pytest.approx(earlier.fitted.input_deviation)
    assert fitted.mean_count == pytest.approx(earlier.fitted.mean_count / 2, rel=0.2), "of the new scan"
    photons = float(start.model.probe.abs().square().sum())
    assert photons == pytest.approx(5e4, rel=0.1), "the beam of the new scan"


def test_one_epoch_from_a_model_is_better_than_one_from_random_weights(
    model: Path, other_scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    tuned = ptychopinn.train(other_scan, tmp_path, start_from=model, overrides=["training.epochs=1"])
    fresh = fit(other_scan, make_recipe("training.epochs=1"))
    assert tuned.history["val_loss"][-1] < fresh.history["val_loss"][-1]
    named = json.loads((tmp_path / "metrics.json").read_text())["started_from"]
    assert named.startswith(f"{model.name}/wts.h5.zip (weights ")
    assert load_model(tmp_path).fitted.started_from == named
    assert ("training began with", named) in rows(model_info(tmp_path))
    assert "training begins with the weights of" in (tmp_path / "run.log").read_text()


def test_the_length_is_a_tenth_of_that_from_random_weights(model: Path, other_scan: Scan) -> None:
    recipe = recipe_of_start(str(model))
    assert recipe.training.epochs is None
    assert recipe.training.learning_rate == 0.01, "of the recipe of the model"
    whole = prepare(other_scan, recipe.with_overrides(["training.start_from=null"])).recipe.training.epochs
    part = prepare(other_scan, recipe).recipe.training.epochs
    assert whole is not None
    assert part == np.ceil(whole / 10)


def test_a_stopped_fine_tuning_is_resumed_to_the_same_result(model: Path, other_scan: Scan, tmp_path: Path) -> None:
    recipe = recipe_of_start(str(model)).with_overrides(["training.epochs=4"])
    whole = fit(other_scan, recipe)

    def stop(done: int, of: int, row: dict[str, float]) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(other_scan, recipe, tmp_path, on_epoch=stop)
    assert_same(whole, fit(other_scan, recipe, tmp_path, resume=True))


@pytest.mark.slow
def test_two_processes_begin_with_the_weights(model: Path, other_scan: Scan) -> None:
    recipe = recipe_of_start(str(model)).with_overrides(["training.epochs=1", "training.learning_rate=1e-9"])
    both = fit(other_scan, recipe.with_overrides(["training.devices=2"]))
    for name, value in load_model(model).network.generator.state_dict().items():
        torch.testing.assert_close(both.model.generator.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def assert_same(one: Fit, other: Fit) -> None:
    for key, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[key]), key


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("model.generator.width=4", r"model\.generator\.width \(2 instead of 4\)"),
        ("model.generator.input=amplitude", "model.generator.input"),
        ("model.generator.architecture=unrolled", "model.generator.architecture"),
    ],
)
def test_another_network_is_refused_with_the_setting(model: Path, scan: Scan, setting: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ptychopinn.train(scan, start_from=model, overrides=[setting])


def test_what_else_does_not_fit_is_refused_before_anything_is_written(
    model: Path, scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    small = replace(scan, patterns=scan.patterns[:, 2:-2, 2:-2], probe=scan.probe[:, 2:-2, 2:-2])
    with pytest.raises(BundleError, match=r"12x12 px, but the model .* was trained on 16x16 px"):
        ptychopinn.train(small, tmp_path / "out", start_from=model)
    with pytest.raises(ConfigError, match="leave out --config"):
        ptychopinn.train(scan, tmp_path / "out", make_recipe(), start_from=model)
    with pytest.raises(BundleError, match="no such model bundle"):
        ptychopinn.train(scan, tmp_path / "out", start_from=tmp_path / "none.zip")
    assert not (tmp_path / "out").exists()
