"""README and first pages are true: their commands and Python run, their recipe is valid, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn import Recipe
from ptychopinn.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
INSTALL = [
    "python3.11 -m venv .venv",
    "source .venv/bin/activate",
    "pip install torch==2.13.0",
    "pip install -e .",
]
FILES = (".npz", ".png")
PAGES = ["README.md", "docs/running.md", "docs/your_scan.md", "docs/python.md", "docs/check.md"]
"""What a new user reads, in this order, in one folder."""
SETTINGS_NAMED_IN = [*PAGES, "docs/choosing.md", "docs/conventions.md", "docs/dev/decisions.md"]
DOCUMENTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]


def blocks(language: str, page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


COMMANDS = [line for page in PAGES for block in blocks("sh", page) for line in block.splitlines()]
OURS = list(dict.fromkeys(line for line in COMMANDS if line.startswith("ptychopinn ")))
"""Each once: a page may repeat what the reader did before."""
RECIPE = blocks("yaml", "docs/running.md")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, quick: list[str]) -> Path:
    """Where a reader of the README stands: two scans and a recipe."""
    path = tmp_path_factory.mktemp("reader")
    ptychopinn.simulate(path / "scan.npz", overrides=quick)
    ptychopinn.simulate(path / "other.npz", overrides=[*quick, "simulation.seed=7"])
    (path / "recipe.yaml").write_text(RECIPE)
    for name, value in arrays(quick).items():
        np.save(path / f"{name}.npy", value)
    y_um, x_um = 1e6 * np.stack([arrays(quick)[name] for name in ("y_m", "x_m")])
    np.savetxt(path / "positions.csv", np.stack([x_um, y_um], axis=1), delimiter=",", header="x_um,y_um")
    return path


def arrays(quick: list[str]) -> dict[str, np.ndarray]:
    """What a user who builds a scan has: patterns, positions in metres and a probe."""
    made = ptychopinn.simulate(overrides=quick).scan
    y_m, x_m = 2e-7 * made.positions_px.T
    return {"patterns": made.patterns, "x_m": x_m, "y_m": y_m, "probe": made.probe}


def made_quick(line: str, quick: list[str]) -> list[str]:
    """A command with settings that finish in a second; a later one wins."""
    words = shlex.split(line)[1:]
    words = ["15,35,15,35" if word.count(",") == 3 else word for word in words]
    if words[0] in ("run", "train", "simulate") and "--help" not in words:
        words += [word for setting in quick for word in ("--set", setting)]
    return words


def run_all(lines: list[str], quick: list[str]) -> list[str]:
    outputs = []
    for line in lines:
        result = CliRunner().invoke(app, made_quick(line, quick), catch_exceptions=False)
        assert result.exit_code == 0, f"{line}: {result.stderr}"
        outputs.append(result.stdout)
    return outputs


def test_every_command_is_known() -> None:
    others = [line for line in COMMANDS if line not in OURS and not line.startswith("make ")]

    assert others == INSTALL
    assert len(OURS) >= 18
    assert "pip install torch==2.13.0" in MAKEFILE


def test_commands_run_in_their_order(folder: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run_all(OURS, quick)

    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    promised = re.findall(r"^\| (`.*?`) \|", page[page.index("## Output files") :], flags=re.MULTILINE)
    names = {name.strip("`/") for row in promised for name in row.split(", ")}
    assert names == {path.name for path in (folder / "out").iterdir()}


@pytest.mark.parametrize("page", ["docs/your_scan.md", "docs/python.md", "docs/check.md", "docs/refine.md"])
def test_python_runs(folder: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"QUICK": quick, **arrays(quick), "scan": "scan.npz", "model": "out/wts.h5.zip"}
    names["ptychopinn"] = ptychopinn
    for code in blocks("python", page):
        exec(re.sub(r"overrides=\[(.*?)\]", r"overrides=[\1, *QUICK]", code), names)
    if page == "docs/your_scan.md":
        assert len(names["scan"]) == len(names["patterns"])  # type: ignore[arg-type]


def test_every_page_with_a_program_is_run() -> None:
    assert [page for page in PAGES if blocks("python", page)] == [
        "docs/your_scan.md",
        "docs/python.md",
        "docs/check.md",
    ]


def test_recipe_is_valid() -> None:
    recipe = Recipe.from_yaml(RECIPE)

    assert (recipe.data.group_size, recipe.model.probe.modes, recipe.training.epochs) == (9, 3, 80)


def test_make_targets_exist() -> None:
    targets = [line.removeprefix("make ") for line in COMMANDS if line.startswith("make ")]

    assert targets == ["test"]
    assert "`make demo`" in README
    for target in [*targets, "demo"]:
        assert f"\n{target}: " in MAKEFILE


def test_demo_commands_run_and_leave_the_picture(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^\t\$\(BIN\)/(ptychopinn .*)$", MAKEFILE, flags=re.MULTILINE)
    outputs = run_all([line.replace("$(DEMO)", "outputs/demo") for line in lines], quick)

    assert [line.split()[1] for line in lines] == ["simulate", "run", "evaluate"]
    assert (tmp_path / "outputs/demo/reconstruction.png").stat().st_size > 10_000
    assert "phase PSNR" in outputs[-1]
    assert "outputs/demo/reconstruction.png" in README


def test_ci_calls_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert script.rstrip().endswith("\nmake test")
    assert "PTYCHOPINN_TEST_DATA" in script


def links_of(document: Path) -> list[str]:
    found = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name

    assert [link for link in links_of(document) if not (document.parent / link).exists()] == []


def settings_named_in(document: str) -> set[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    pattern = r"`((?:data|model|training|reconstruction|simulation)\.[a-z_.]+[a-z])(?:=([^`]*))?`"
    found = [(key, value) for key, value in re.findall(pattern, text) if Path(key).suffix not in FILES]
    return {f"{key}={value}" if value else key for key, value in found}


@pytest.mark.parametrize("document", SETTINGS_NAMED_IN)
def test_settings_that_the_documents_name_exist(document: str) -> None:
    for setting in settings_named_in(document):
        key, equals, _ = setting.partition("=")
        assert _has(Recipe(), key.split(".")), f"{document} names {key}"
        if equals:
            Recipe().with_overrides([setting])


def _has(section: object, path: list[str]) -> bool:
    for name in path:
        if not hasattr(section, name):
            return False
        section = getattr(section, name)
    return True
