"""The package states what it needs and supports, and the files of conda-forge and Apptainer agree with it."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
VERSION = Version(PYPROJECT["tool"]["hatch"]["version"]["fallback-version"]).base_version
CONDA: dict[str, Any] = yaml.safe_load((ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8"))
APPTAINER = (ROOT / "packaging/apptainer/ptychopinn.def").read_text(encoding="utf-8")
NAMES_IN_CONDA = {"torch": "pytorch", "PyYAML": "pyyaml", "matplotlib": "matplotlib-base"}
SECTIONS = {"labels", "files", "post", "environment", "runscript", "test", "help"}


def in_conda(requirement: Requirement) -> str:
    return f"{NAMES_IN_CONDA.get(requirement.name, requirement.name)} {requirement.specifier}"


def test_all_versions_are_that_of_the_next_release() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert CONDA["context"]["version"] == VERSION
    assert re.search(r"^    Version (\S+)$", APPTAINER, flags=re.MULTILINE)[1] == VERSION  # type: ignore[index]
    assert re.search(r"^## (\S+)", changes, flags=re.MULTILINE)[1] == VERSION  # type: ignore[index]


def test_conda_needs_what_the_package_needs() -> None:
    run = [f"python {PROJECT['requires-python']}", *(in_conda(Requirement(one)) for one in PROJECT["dependencies"])]
    host = [in_conda(Requirement(one)) for one in PYPROJECT["build-system"]["requires"]]

    assert sorted(CONDA["requirements"]["run"]) == sorted(run)
    assert set(host) < set(CONDA["requirements"]["host"])
    entries = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert CONDA["build"]["python"]["entry_points"] == entries
    packages = [Path(path).name for path in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    assert CONDA["tests"][0]["python"]["imports"] == packages
    assert CONDA["about"]["summary"] == PROJECT["description"]
    assert CONDA["about"]["license"] == PROJECT["license"]
    source = (ROOT / "packaging/conda" / CONDA["source"]["path"]).resolve()
    assert source == ROOT
    assert (source / CONDA["about"]["license_file"]).is_file()


def test_the_image_of_apptainer_has_its_sections_and_valid_scripts() -> None:
    header, *parts = re.split(r"^%", APPTAINER, flags=re.MULTILINE)
    sections = {part.split("\n", 1)[0].strip(): part.split("\n", 1)[1] for part in parts}

    assert set(sections) == SECTIONS
    assert re.search(r"^Bootstrap: docker\nFrom: python:(\d+\.\d+)-slim$", header, flags=re.MULTILINE)
    for name in ("post", "environment", "runscript", "test"):
        checked = subprocess.run(["sh", "-n"], input=sections[name], text=True, capture_output=True, check=False)
        assert checked.returncode == 0, (name, checked.stderr)


def test_the_classifiers_name_every_supported_python() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_every_example_is_in_the_wheel() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    expected = {
        f"examples/{path.name}": f"ptychopinn/examples/{path.name}" for path in (ROOT / "examples").glob("*.py")
    }
    assert included == expected
    assert all(ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) for name in included)


FIGURES = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.png"))


@pytest.mark.parametrize("path", FIGURES, ids=str)
def test_no_figure_has_a_palette(path: Path) -> None:
    """A palette of 256 colours replaces those of a colour map by others."""
    with Image.open(ROOT / path) as image:
        assert image.mode in ("RGB", "RGBA", "L")
