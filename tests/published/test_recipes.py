"""Every recipe is valid and runs."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Recipe, Scan
from ptychopinn.config import recipe_names

RECIPES = recipe_names()


@pytest.fixture(scope="module")
def scan(quick: list[str]) -> Scan:
    """121 patterns of 16 px."""
    return ptychopinn.simulate(overrides=quick).scan


def test_there_are_recipes() -> None:
    assert {
        "default",
        "quick",
        "demo",
        "supervised",
        "modes",
        "stacked",
    } <= set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_runs(scan: Scan, quick: list[str], name: str) -> None:
    result = ptychopinn.run(scan, recipe=name, overrides=quick)

    assert np.isfinite(result.trained.history["train_loss"]).all()
    assert result.reconstruction.covered.mean() > 0.3
    assert result.reconstruction.object_[result.reconstruction.covered].std() > 0


def test_default_recipe_is_the_default() -> None:
    assert Recipe.from_name("default") == Recipe()


def test_default_recipe_is_complete_and_explained(root: Path) -> None:
    written = runpy.run_path(str(root / "scripts" / "write_default_recipe.py"))["default_text"]()
    stored = (root / "src/ptychopinn/recipes/default.yaml").read_text(encoding="utf-8")

    assert stored == written, "defaults have changed: run `python scripts/write_default_recipe.py`"
    assert stored.count("#") > 40


def test_modes_recipe_fits_three_modes(scan: Scan, quick: list[str]) -> None:
    trained = ptychopinn.train(scan, recipe="modes", overrides=quick)
    untrained = ptychopinn.train(scan, recipe="modes", overrides=[*quick, "model.probe.trainable=false"])

    assert trained.model.network.probe.shape == (3, 16, 16)
    assert not np.allclose(trained.model.network.probe.detach(), untrained.model.network.probe.detach())
