"""Every example runs, and says what it is for."""

import ast
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))

SAYS = {
    "build_scan.py": ("object pixel: ", "scan: "),
    "evaluate_by_hand.py": ("amplitude PSNR", "FRC falls below"),
    "own_recipe.py": ("poisson: phase PSNR", "amplitude: phase PSNR", "raw-input: phase PSNR"),
    "reconstruct_another_scan.py": ("first: ", "second: "),
    "train_and_look.py": ("covered: ", "figure: "),
}


def test_every_example_is_known() -> None:
    assert sorted(SAYS) == EXAMPLES


@pytest.mark.parametrize("name", SAYS)
def test_example_runs(
    root: Path,
    quick: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    words = [word for setting in quick for word in ("--set", setting)]
    monkeypatch.setattr(sys, "argv", [name, *words])
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(root / "examples" / name), run_name="__main__")
    said = capsys.readouterr().out
    for words_said in SAYS[name]:
        assert words_said in said


@pytest.mark.parametrize("name", SAYS)
def test_example_explains_itself(root: Path, name: str) -> None:
    text = (root / "examples" / name).read_text(encoding="utf-8")

    assert f"python examples/{name}" in (ast.get_docstring(ast.parse(text)) or "")
    assert len(text.splitlines()) <= 70
