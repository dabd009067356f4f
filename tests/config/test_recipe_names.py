"""Recipes of the package are found by their names, and nothing else is."""

import importlib.util
from pathlib import Path

import pytest

from ptychopinn.api.inputs import as_recipe
from ptychopinn.config import Recipe, recipe_names
from ptychopinn.errors import ConfigError

FOLDER = Path(importlib.util.find_spec("ptychopinn").submodule_search_locations[0]) / "recipes"  # type: ignore


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without recipes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_names_are_those_of_the_files() -> None:
    assert list(recipe_names()) == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert {"default", "few_photons", "quick"} <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_name_gives_the_recipe_of_its_file(elsewhere: Path, name: str) -> None:
    assert Recipe.from_name(name) == Recipe.from_file(FOLDER / f"{name}.yaml")
    assert as_recipe(name) == as_recipe(Path(name)) == Recipe.from_name(name)


def test_overrides_are_applied_to_a_named_recipe(elsewhere: Path) -> None:
    recipe = as_recipe("few_photons", ["reconstruction.refine.iterations=3"])
    assert recipe.reconstruction.refine.iterations == 3
    assert recipe.reconstruction.refine.momentum == 0.95


def test_an_unknown_name_is_refused_with_the_names_and_a_way_out(elsewhere: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        as_recipe("few_photon")
    message = str(refused.value)
    assert all(name in message for name in recipe_names())
    assert "got 'few_photon'" in message
    assert "did you mean few_photons?" in message
    assert "or give a path" in message


def test_a_file_comes_before_a_recipe_of_the_same_name(elsewhere: Path) -> None:
    (elsewhere / "quick").write_text("training: {epochs: 7}")
    assert as_recipe("quick").training.epochs == 7


def test_a_folder_does_not_hide_a_recipe_of_the_same_name(elsewhere: Path) -> None:
    (elsewhere / "quick").mkdir()
    assert as_recipe("quick") == Recipe.from_name("quick")


def test_a_missing_file_is_refused_with_the_names(elsewhere: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such recipe file.*few_photons"):
        as_recipe("few_photons.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "..",
        ".",
        "",
        "secret",
        "quick.yaml",
        "/etc/hostname",
        "recipes/quick",
        "quick/",
        "QUICK",
        "quick\0",
    ],
)
def test_only_a_name_of_the_list_is_opened(elsewhere: Path, name: str) -> None:
    (elsewhere / "secret.yaml").write_text("training: {epochs: 7}")
    with pytest.raises(ConfigError, match="recipe name must be one of"):
        Recipe.from_name(name)


@pytest.mark.parametrize("source", ["quick\0", "a/quick", "../quick", "quick.json"])
def test_what_is_neither_a_file_nor_a_name_is_refused(elsewhere: Path, source: str) -> None:
    with pytest.raises(ConfigError):
        as_recipe(source)
