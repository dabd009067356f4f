"""`ptychopinn recipe` and `ptychopinn init` write what a person changes and an editor checks."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from ptychopinn import Recipe
from ptychopinn.cli.init import README
from ptychopinn.config import recipe_names
from ptychopinn.config.text import commented_yaml, json_schema, leaves
from ptychopinn.errors import ConfigError


def stated(recipe: Recipe) -> dict[str, object]:
    return leaves(recipe.model_dump(mode="json", exclude_unset=True))


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "default"])
def test_a_written_recipe_states_the_same_settings(name: str) -> None:
    recipe = Recipe.from_name(name)
    again = Recipe.from_yaml(commented_yaml(recipe))

    assert again == recipe
    assert stated(again) == stated(recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_fits_the_schema(name: str) -> None:
    tree = yaml.safe_load(commented_yaml(Recipe.from_name(name)))
    jsonschema.validate(tree, json_schema())


@pytest.mark.parametrize("text", ["training: {epoch: 3}", "training: {epochs: x}", "backend: jax", "data: 3"])
def test_the_schema_refuses_what_the_recipe_refuses(text: str) -> None:
    with pytest.raises(ConfigError):
        Recipe.from_yaml(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json_schema())


def test_an_empty_section_states_nothing() -> None:
    assert stated(Recipe.from_yaml("data:\nmodel:\n  probe:\ntraining: {epochs: 2}")) == {"training.epochs": 2}
    with pytest.raises(ConfigError, match="did you mean probe"):
        Recipe.from_yaml("model: {probes: }")


def test_the_names_are_listed_with_their_use(ptycho: Callable) -> None:
    out = ptycho("recipe").out

    assert all(f"{name} " in out for name in recipe_names())
    assert "For scans with few photons" in out


def test_a_recipe_is_written_with_its_schema(ptycho: Callable, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mine.yaml"
    outcome = ptycho("recipe", "few_photons", "-o", path, "--set", "training.epochs=7")
    text = path.read_text()

    assert outcome.code == 0
    assert text.splitlines()[0] == "# yaml-language-server: $schema=recipe.schema.json"
    assert json.loads((path.parent / "recipe.schema.json").read_text()) == json_schema()
    expected = Recipe.from_name("few_photons").with_overrides(["training.epochs=7"])
    assert Recipe.from_file(path) == expected
    assert set(stated(Recipe.from_file(path))) == {*stated(Recipe.from_name("few_photons")), "training.epochs"}
    refused = ptycho("recipe", "quick", "-o", path)
    assert refused.code == 2
    assert "exists already; give --overwrite" in refused.err
    assert ptycho("recipe", "quick", "-o", path, "--overwrite").code == 0
    assert Recipe.from_file(path) == Recipe.from_name("quick")


def test_a_recipe_is_printed(ptycho: Callable) -> None:
    assert Recipe.from_yaml(ptycho("recipe", "unrolled").out) == Recipe.from_name("unrolled")
    assert ptycho("recipe", "few_photon").err.startswith("Error: recipe name must be one of")


def test_the_commands_of_a_new_folder_run(
    ptycho: Callable, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ptycho("init", tmp_path / "mine").code == 0
    monkeypatch.chdir(tmp_path / "mine")
    assert {path.name for path in Path().iterdir()} == {
        "recipe.yaml",
        "recipe.schema.json",
        "build_scan.py",
        "README.md",
    }
    assert stated(Recipe.from_file("recipe.yaml")) == {}

    small = [
        "--set",
        "simulation.object_size_px=52",
        "--set",
        "simulation.probe_size_px=16",
        "--set",
        "simulation.step_px=3",
    ]
    lines = [line for line in README.splitlines() if line.startswith("ptychopinn ")]
    assert [line.split()[1] for line in lines] == ["simulate", "info", "check", "run", "run"]
    for line in lines:
        extra = (
            small if " simulate " in line else [*tiny, "--set", "reconstruction.check=false"] if " run " in line else []
        )
        outcome = ptycho(*shlex.split(line)[1:], *extra)
        assert outcome.code == 0, outcome.err
        assert (Path("out").exists()) == (line == lines[-1])
    assert Path("out/reconstruction.png").is_file()
    assert ptycho("init", ".").code == 2
