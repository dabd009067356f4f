"""docs/dev/extending.md is true: its programs run, its recipes are valid, its tables name what is registered."""

import re
from pathlib import Path

import pytest
import yaml

from ptychopinn import Recipe
from ptychopinn.generators import architectures, parts, registry
from ptychopinn.generators.registry import Composition, Kind, build_network, resolve

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "dev" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def table(head: str) -> list[list[str]]:
    """Cells of the table that begins with a heading."""
    lines = TEXT[TEXT.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (registry._ARCHITECTURES, *registry._PARTS.values()):
        monkeypatch.setattr(table, "entries", dict(table.entries))


def test_the_programs_run_one_after_the_other(quick: list[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "docs/dev/extending.md", "exec"), names)
    assert {"wide", "forgetful"} <= set(architectures())
    assert names["result"].reconstruction.covered.any()  # type: ignore[attr-defined]


def test_the_recipes_are_valid() -> None:
    first, large = (Recipe.from_mapping(yaml.safe_load(block)).model.generator for block in blocks("yaml"))
    assert type(build_network(2, 2, first).bottleneck).__name__ == "ResidualBottleneck"
    count = sum(value.numel() for value in build_network(2, 2, large).parameters())
    assert f"({count / 1e6:.2f} million)" in TEXT


@pytest.mark.parametrize("kind", ["input", "encoder", "bottleneck", "decoder", "output"])
def test_every_part_is_named(kind: Kind) -> None:
    (row,) = [row for row in table("| part | names |") if row[0] == kind]
    assert sorted(re.findall(r"`(\w+)`", row[1])) == parts(kind)


def test_every_architecture_of_parts_is_named_with_them() -> None:
    told = {row[0].strip("`"): [cell.strip("`") for cell in row[1:4]] for row in table("| architecture | encoder |")}
    made = {name: resolve(name) for name in architectures()}
    assert {
        name: [kind.encoder, kind.bottleneck, kind.decoder]
        for name, kind in made.items()
        if isinstance(kind, Composition)
    } == told
