"""`reconstruct` leaves the model that it is given as it is, and what a model leaves open may be changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api.train import Trained
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=5"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def other() -> Scan:
    """Another sample under another probe."""
    scan = ptychopinn.simulate(overrides=[*SCAN, "simulation.seed=2"]).scan
    return replace(scan, probe=(1.5 * np.roll(scan.probe, 2, axis=-1)).astype(np.complex64))


@pytest.fixture(scope="module")
def trained(scan: Scan) -> Trained:
    return ptychopinn.train(scan, overrides=MODEL)


@pytest.mark.parametrize("between", ["auto", "scan", "model"])
def test_the_same_call_gives_the_same_image_whatever_was_reconstructed_before(
    scan: Scan, other: Scan, between: str
) -> None:
    trained = ptychopinn.train(scan, overrides=MODEL)
    before = ptychopinn.reconstruct(scan, trained, probe="model").reconstruction
    ptychopinn.reconstruct(other, trained, probe=between)
    after = ptychopinn.reconstruct(scan, trained, probe="model").reconstruction
    np.testing.assert_array_equal(after.object_, before.object_)
    np.testing.assert_array_equal(after.probe, before.probe)


def test_pixels_that_training_never_saw_travel_with_the_model(scan: Scan, tmp_path: Path) -> None:
    bad = np.zeros((16, 16), bool)
    bad[2, 11] = True
    trained = ptychopinn.train(replace(scan, bad_pixels=bad), tmp_path, overrides=MODEL)
    filled = scan.patterns.copy()
    filled[:, 2, 11] = 50000
    masked = ptychopinn.reconstruct(replace(scan, bad_pixels=bad), trained).reconstruction
    for model in (trained, tmp_path):
        image = ptychopinn.reconstruct(replace(scan, patterns=filled), model).reconstruction
        np.testing.assert_array_equal(image.object_, masked.object_)


def of_text(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SOURCES: list[Callable[[Path], object]] = [
    lambda folder: {"reconstruction": {"weight": "uniform"}},
    lambda folder: of_text(folder, "reconstruction: {weight: uniform}\ntraining: {threads: 1, epochs: null}\n"),
    lambda folder: Recipe.from_mapping({"reconstruction": {"weight": "uniform"}, "model": {"generator": {"width": 2}}}),
]


@pytest.mark.parametrize("source", [SOURCES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in SOURCES[1:])])
def test_a_recipe_beside_a_model_may_change_what_training_left_open(
    scan: Scan, trained: Trained, tmp_path: Path, source: Callable[[Path], object]
) -> None:
    expected = ptychopinn.reconstruct(scan, trained, overrides=["reconstruction.weight=uniform"]).reconstruction
    made = ptychopinn.reconstruct(scan, trained, recipe=source(tmp_path)).reconstruction
    np.testing.assert_array_equal(made.object_, expected.object_)
    usual = ptychopinn.reconstruct(scan, trained).reconstruction
    assert np.abs(usual.object_ - expected.object_).max() > 1e-5


def test_the_recipe_of_the_model_itself_is_accepted(scan: Scan, trained: Trained) -> None:
    ptychopinn.reconstruct(scan, trained, recipe=trained.recipe)


@pytest.mark.parametrize(
    "named", ["model.subpixel is 'bilinear' here but 'probe' in", "training.epochs is 7 here but 2 in"]
)
@pytest.mark.parametrize("way", ["recipe", "overrides"])
def test_what_training_has_fixed_is_refused_by_name(scan: Scan, trained: Trained, named: str, way: str) -> None:
    tree = {"model": {"subpixel": "bilinear"}, "training": {"epochs": 7}}
    texts = ["model.subpixel=bilinear", "training.epochs=7"]
    with pytest.raises(ConfigError, match=f"{named}.*a trained model has fixed these settings"):
        ptychopinn.reconstruct(scan, trained, **({"recipe": tree} if way == "recipe" else {"overrides": texts}))


def test_recipe_and_overrides_together_change_both(scan: Scan, trained: Trained) -> None:
    made = ptychopinn.reconstruct(
        scan,
        trained,
        recipe={"reconstruction": {"refine": {"iterations": 2}}},
        overrides=["reconstruction.refine.probe=0"],
    )
    assert made.metrics["refine"]["iterations"] == 2
