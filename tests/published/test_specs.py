"""The specifications are true: their names exist, their examples run, their tables are the arrays."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptycho.loader import PtychoDataContainer
from ptycho.raw_data import RawData
from ptycho_torch.dataloader import batches_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "specs/ptychodus_interface.md",
    "specs/data_contracts.md",
    "specs/configuration_bridge.md",
    "workflows/pytorch.md",
]
CALLED = {
    "ptycho": [
        *("raw_data.RawData", "config.config", "workflows.components", "model_manager"),
        *("probe", "loader", "tf_helper"),
    ],
    "ptycho_torch": ["api.base_api", "model", "lightning_utils"],
}
"""Where the names of the diagrams live."""


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def raw() -> RawData:
    overrides = ["simulation.object_size_px=44", "simulation.probe_size_px=16", "simulation.step_px=4"]
    return RawData.of_scan(ptychopinn.simulate(overrides=overrides).scan)


@pytest.mark.parametrize("page", [*PAGES, "dev/developer_guide.md"])
def test_modules_and_links_exist(page: str) -> None:
    text = text_of(page)
    for name in set(re.findall(r"`((?:ptycho|ptycho_torch|ptychopinn)(?:\.\w+)+)`", text)):
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            try:
                value: Any = importlib.import_module(".".join(parts[:length]))
            except ModuleNotFoundError:
                continue
            for part in parts[length:]:
                value = getattr(value, part)
            break
        else:
            raise AssertionError(name)
    for folder in set(re.findall(r"`((?:tests|docs|scripts)/[\w/.]+)`", text)):
        assert (ROOT / folder).exists(), folder


def test_calls_of_the_diagrams_exist() -> None:
    found = 0
    for block in re.findall(r"```mermaid\nsequenceDiagram(.*?)```", text_of("specs/ptychodus_interface.md"), re.DOTALL):
        for receiver, call in re.findall(r"->>([PT]): ([^\n]+)", block):
            package = "ptycho" if receiver == "P" else "ptycho_torch"
            for name in re.findall(r"([A-Za-z_][\w.]*)\(", call):
                assert exists(package, name), name
                found += 1
    assert found > 20


def exists(package: str, name: str) -> bool:
    """Whether a called name is one of the modules, of their classes, or of what these make."""
    last = name.split(".")[-1]
    objects: list[Any] = []
    for path in CALLED[package]:
        module, _, attribute = path.rpartition(".") if path == "raw_data.RawData" else (path, "", "")
        value = importlib.import_module(f"{package}.{module}")
        objects += [getattr(value, attribute) if attribute else value]
    objects += [value for one in list(objects) for value in vars(one).values() if isinstance(value, type)]
    trained = importlib.import_module("ptycho.model").TrainedModel
    return any(hasattr(one, last) for one in [*objects, trained])


def test_groups_and_containers_have_the_arrays_of_the_tables(raw: RawData) -> None:
    text = text_of("specs/data_contracts.md")
    groups = raw.generate_grouped_data(16, K=6, gridsize=2)
    named = set(re.findall(r"^\| (`.*?`) \|", text.split("## Dictionary")[1].split("## Containers")[0], re.MULTILINE))
    assert {name for cell in named for name in re.findall(r"`(\w+)`", cell)} == set(groups)
    container = PtychoDataContainer.of_groups(groups, raw.probeGuess)
    table = text.split("## Containers")[1].split("## Batches")[0]
    for names, kind in re.findall(r"^\| (`.*`) \| (.*) \|$", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            array = np.asarray(getattr(container, name))
            assert str(array.dtype) in kind, name
            letters = re.match(r"\(([^)]*)\)", kind)
            assert letters is not None
            assert array.ndim == len(letters[1].split(",")), name
    batch = next(batches_of(raw, {"N": 16, "n_subsample": 1}, 4))
    rows = re.findall(r"^\| (`.*`) \| \(B", text.split("## Batches")[1], re.MULTILINE)
    assert {name for cell in rows for name in re.findall(r"`(\w+)`", cell)} == set(batch)


def test_examples_of_the_pages_are_python() -> None:
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = importlib.import_module(node.module)
                    assert all(hasattr(module, alias.name) for alias in node.names), node.module


def test_the_example_of_the_bridge_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", text_of("specs/configuration_bridge.md"), re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out == "4 3\n"


def test_lightning_by_hand_runs_as_the_page_says(raw: RawData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw.to_file("scan.npz")
    _, by_hand = re.findall(r"```python\n(.*?)```", text_of("workflows/pytorch.md"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(by_hand.replace("max_epochs=2", "max_epochs=1, limit_train_batches=1"), names)
    assert names["module"].recipe.fitted.pattern_size == 16


def test_every_promise_of_the_interface_names_a_test_that_exists() -> None:
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", text_of("specs/ptychodus_interface.md")))
    assert len(named) >= 8
    assert named <= tests
