"""CONTRIBUTING.md, the workflow, the hooks, the citation and the lowest versions say what is true."""

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOL = PYPROJECT["project"], PYPROJECT["tool"]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LINTERS = ["ruff check", "ruff format --check", "mypy", "lint-imports"]


def commands(job: str) -> list[str]:
    """What a job of the workflow runs."""
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def constraints() -> list[str]:
    """What the script prints."""
    return runpy.run_path(str(ROOT / "scripts/minimum_constraints.py"))["minimum_constraints"](PROJECT)


def test_the_constraints_are_the_lowest_versions_that_the_project_allows() -> None:
    lines = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["tools"]]
    bounds = {
        canonicalize_name(requirement.name): spec.version
        for requirement in map(Requirement, lines)
        for spec in requirement.specifier
        if spec.operator == ">="
    }
    pins = [Requirement(line) for line in constraints()]
    assert {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins} == bounds
    assert all(next(iter(pin.specifier)).operator == "==" for pin in pins)
    assert len(pins) == len(constraints()) >= 20


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("numpy>=1.26", ["numpy==1.26"]),
        ("a-b.c_d >= 2.0.1 ", ["a-b.c_d==2.0.1"]),
        ("rich<15,>=13", ["rich==13"]),
        ("rich>=13,<15; python_version<'4'", ["rich==13"]),
        ("ptychopinn[tools]>=1", ["ptychopinn==1"]),
        ("tool==1.0", []),
        ("tool", []),
        ("tool; python_version>='3.11'", []),
    ],
)
def test_a_lower_bound_is_read(line: str, found: list[str]) -> None:
    script = runpy.run_path(str(ROOT / "scripts/minimum_constraints.py"))
    assert script["minimum_constraints"]({"dependencies": [line]}, extras=()) == found


def test_the_workflow_covers_every_python_from_the_lowest_on() -> None:
    pythons = WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={min(pythons, key=Version)}"
    assert set(WORKFLOW["jobs"]) == {"lint", "tests", "minimum", "newest", "wheel"}


def test_the_workflow_and_make_run_the_same_checks() -> None:
    made = re.findall(r"^\t(?:OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 )?\$\(BIN\)/(.*)$", MAKEFILE, flags=re.MULTILINE)
    assert commands("lint")[-4:] == LINTERS
    assert set(LINTERS) <= set(made)
    assert commands("tests")[-1] in made
    (torch,) = set(re.findall(r"torch==[\d.]+", MAKEFILE))
    for job in ("lint", "tests", "wheel"):
        assert f"python -m pip install {torch}" in commands(job)
    assert f"python -m pip install {torch}" in PAGE


def test_files_that_the_workflow_names_exist() -> None:
    words = [word for job in WORKFLOW["jobs"] for line in commands(job) for word in line.split()]
    paths = [word for word in words if word.startswith(("tests/", "scripts/"))]
    assert len(paths) == 6
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_hooks_are_the_checks_of_make_and_of_this_machine() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in repository["hooks"]]
    assert entries == [line.removesuffix(" --check") for line in LINTERS]
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_the_citation_is_of_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == Version(TOOL["hatch"]["version"]["fallback-version"]).base_version
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_page_names_what_is_there() -> None:
    for target in re.findall(r"\bmake (\w+)", PAGE):
        assert f"\n{target}: " in MAKEFILE, target
    for extra in re.findall(r"'\.\[(\w+)\]'", PAGE):
        assert extra in PROJECT["optional-dependencies"]
    for path in re.findall(r"\b((?:scripts|tests|docs|src)/[\w./]+)", PAGE):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / link).exists(), link
