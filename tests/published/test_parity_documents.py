"""The pages about legacy PtychoPINN, files and attacks are true: their names exist, and so do the tests they name."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["docs/dev/conditions.md", "docs/dev/findings.md", "docs/dev/parity.md"]
MODULE = re.compile(r"ptycho(_torch)?(\.\w+)+")


def written_tests() -> set[str]:
    """Names of all test functions."""
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in files for name in re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)}


def rows(page: str) -> list[list[str]]:
    """Cells of the tables of a page, without their headings."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in cells if row[-1] not in ("test", "---")]


@pytest.mark.parametrize("page", PAGES)
def test_every_row_names_tests_that_exist(page: str) -> None:
    known = written_tests()
    for row in rows(page):
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, f"no test: {row[0]}"
        assert set(named) <= known, f"{row[0]}: {set(named) - known}"


def test_findings_tell_every_divergence() -> None:
    told = (ROOT / "docs/dev/findings.md").read_text(encoding="utf-8")
    assert [
        name for name in sorted(written_tests()) if name.startswith("test_divergence_") and f"`{name}`" not in told
    ] == []


def test_every_earlier_name_is_there() -> None:
    module = None
    for row in rows("docs/dev/parity.md"):
        for name in re.findall(r"`([^`]+)`", row[0]):
            if MODULE.fullmatch(name):
                module = importlib.import_module(name)
            elif name.endswith(".py"):
                assert (ROOT / name).is_file(), name
            elif not name.startswith("ptycho_"):
                assert module is not None
                value = module
                for part in name.split("."):
                    value = getattr(value, part)
