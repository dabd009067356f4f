"""docs/dev/extending.md is true: its programs run, its recipes are valid, its tables name what is registered."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import ptychopinn
from ptychopinn import Recipe
from ptychopinn.cli import app
from ptychopinn.generators import architectures, parts, registry
from ptychopinn.generators.registry import Composition, Kind, build_network, resolve
from ptychopinn.losses import DATA_LOSSES, PENALTIES
from ptychopinn.physics.propagation import PROPAGATORS
from ptychopinn.solver import CONSTRAINTS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "dev" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def table(head: str) -> list[list[str]]:
    """Cells of the table that begins with a heading."""
    lines = TEXT[TEXT.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (registry._ARCHITECTURES, *registry._PARTS.values(), DATA_LOSSES, PENALTIES, CONSTRAINTS, PROPAGATORS):
        monkeypatch.setattr(table, "entries", dict(table.entries))


def test_the_programs_run_one_after_the_other(quick: list[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "docs/dev/extending.md", "exec"), names)
    assert {"wide", "forgetful"} <= set(architectures())
    assert names["result"].reconstruction.covered.any()  # type: ignore[attr-defined]
    assert "anscombe" in DATA_LOSSES.names()
    assert "gain" in PENALTIES.names()
    assert np.abs(names["solved"].reconstruction.object_).max() <= 1 + 1e-6  # type: ignore[attr-defined]


def block_with(text: str) -> str:
    """The only program with a text."""
    (found,) = [block for block in blocks("python") if text in block]
    return found


def install(folder: Path) -> None:
    """The classes of the page as a package, with the entry points of the page, as `pip install` leaves them."""
    package = folder / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for module, classes in (("losses", ("Anscombe", "Gain")), ("solver", ("NoGain",)), ("physics", ("Contact",))):
        made = [
            re.sub(r"^(\w+\.register|\w+ = ptychopinn|settings).*\n", "", block_with(f"class {name}"), flags=re.M)
            for name in classes
        ]
        (package / f"{module}.py").write_text("\n".join(made))
    info = folder / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    groups = {name: table for name, table in tomllib.loads(blocks("toml")[0])["project"]["entry-points"].items()}
    lines = [
        f"[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in table.items())
        for name, table in groups.items()
        if name != "ptychopinn.generators"
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


def test_a_package_adds_a_loss_a_penalty_and_a_constraint_by_entry_points(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One class and one entry point each; both commands take the names from a recipe."""
    (tmp_path / "site").mkdir()
    install(tmp_path / "site")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "model: {loss: {poisson_weight: 0, terms: {anscombe: 1}, penalties: {gain: 0.1}}}\n"
        "reconstruction: {refine: {loss: anscombe, penalties: {gain: 300}, constraints: [no_gain]}}\n"
    )
    scan = tmp_path / "scan.npz"
    ptychopinn.simulate(scan, overrides=quick)
    train = ["train", scan, "--config", recipe, "-o", tmp_path / "model", *words(quick)]
    solve = ["reconstruct", scan, "--model", "none", "--config", recipe, "--refine", 4, "-o", tmp_path / "image"]
    for command in (train, solve):
        refused = CliRunner().invoke(app, [str(word) for word in command])
        assert refused.exit_code != 0
        assert "anscombe" in refused.stderr
    monkeypatch.syspath_prepend(tmp_path / "site")
    for command in (train, solve):
        done = CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
    history = (tmp_path / "model" / "history.csv").read_text()
    assert "train_anscombe" in history
    assert "train_gain" in history
    with np.load(tmp_path / "image" / "reconstruction.npz") as stored:
        assert np.abs(stored["object"]).max() <= 1 + 1e-6


def test_a_package_adds_a_propagator_by_an_entry_point(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One class and one entry point: the name simulates, solves and trains."""
    (tmp_path / "site").mkdir()
    install(tmp_path / "site")
    chosen = words([*quick, "model.propagation=contact"])
    scan = tmp_path / "scan.npz"
    simulate = ["simulate", "-o", scan, *chosen]
    refused = CliRunner().invoke(app, [str(word) for word in simulate])
    assert refused.exit_code != 0
    assert "model.propagation = 'contact' is not registered" in refused.stderr
    monkeypatch.syspath_prepend(tmp_path / "site")
    solve = ["reconstruct", scan, "--refine", 8, "-o", tmp_path / "image", "--set", "model.propagation=contact"]
    for command in (simulate, solve, ["train", scan, "-o", tmp_path / "model", *chosen]):
        done = CliRunner().invoke(app, [str(word) for word in command], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
    patterns = ptychopinn.read_scan(scan).patterns
    with np.load(tmp_path / "image" / "reconstruction.npz") as stored:
        assert np.abs(stored["object"]).std() > 0.01
    assert patterns.sum(axis=(1, 2)).min() > 0


def words(overrides: list[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def test_every_data_loss_is_named() -> None:
    assert sorted(row[0].strip("`") for row in table("| data loss |")) == DATA_LOSSES.names()


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
