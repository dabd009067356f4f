"""docs/simulation.md and the benchmark are true: commands and Python run, kinds and settings exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn import Recipe
from ptychopinn.cli import app
from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import OBJECTS, make_object

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
QUICK = [f"simulation.{setting}" for setting in ("object_size_px=52", "probe_size_px=16", "step_px=4", "device=cpu")]


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, flags=re.DOTALL)
    return text


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in block("sh").splitlines():
        words = [*shlex.split(line)[1:], *(word for setting in QUICK for word in ("--set", setting))]
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, f"{line}: {result.output}"
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz")}
    assert {"scan.npz", "star.npz", "hard.npz", "folder/scan_003.npz", "doses/scan_002.npz"} <= written


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scan = ptychopinn.simulate("scan.npz", overrides=QUICK).scan
    (tmp_path / "out").mkdir()
    canvas = np.ones((52, 52))
    image = ptychopinn.Reconstruction(canvas, canvas, np.zeros(2), scan.positions_px, scan.probe)
    image.save(tmp_path / "out" / "reconstruction.npz")
    code, changed = re.subn(r'(simulate_multiple\(4, "folder",)', r"\1 overrides=QUICK,", block("python"))
    assert changed == 1
    exec(code, {"QUICK": QUICK})
    assert (tmp_path / "labelled.npz").exists()


@pytest.mark.parametrize("name", ["object_kind", "probe_kind", "scan_kind"])
def test_tables_list_every_kind(name: str) -> None:
    section = GUIDE[GUIDE.index(f"`simulation.{name}`\n") :].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(listed) == sorted(get_args(SimulationConfig.model_fields[name].annotation))


def test_settings_that_the_guide_names_exist() -> None:
    for key, value in re.findall(r"simulation\.([A-Za-z_]+)(?:=([^`\s]+))?", GUIDE):
        if hasattr(Recipe().simulation, key) and value:
            Recipe().with_overrides([f"simulation.{key}={value}"])
        elif key not in ("py", "md"):
            assert key in SimulationConfig.model_fields or hasattr(ptychopinn.simulation, key), key


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_correlations_of_the_table_are_those_of_the_default_seed(kind: str) -> None:
    row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{kind}` |"))
    sample = make_object(kind, (192, 192), np.random.default_rng(0).spawn(5)[0])
    correlation = np.corrcoef(np.abs(sample).ravel(), np.angle(sample).ravel())[0, 1]
    assert float(row.split("|")[3]) == pytest.approx(correlation, abs=0.011)


def test_benchmark_prints_time_and_ratio() -> None:
    words = ["--patterns", "60", "--size", "16", "--rounds", "1", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "simulate.py"), *words], capture_output=True, text=True, check=True
    )
    count, ratio = (
        re.search(pattern, done.stdout) for pattern in (r"^(\d+) patterns of 16", r"these two: (\d+\.\d\d)")
    )
    assert count is not None
    assert int(count[1]) >= 60
    assert ratio is not None
    assert float(ratio[1]) > 0.1
