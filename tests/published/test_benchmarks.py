"""The benchmarks run and print what their tables quote; the figures themselves are not tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def run_script(root: Path, *arguments: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_overhead_prints_both_ratios(root: Path) -> None:
    printed = run_script(root, "benchmarks/overhead.py", "--rounds", "1", "--threads", "1")
    ratios = [int(percent) for percent in re.findall(r"alone [\d.]+ m?s: (\d+)%", printed)]
    assert len(ratios) == 2
    assert all(10 < ratio <= 130 for ratio in ratios)


@pytest.mark.shared_data
def test_quality_prints_a_row_and_the_halves(root: Path, shared_dir: Path, tmp_path: Path) -> None:
    quick = ["--set", "training.epochs=1", "--set", "data.n_patterns=96", "--set", "model.generator.width=2"]
    scan = [str(shared_dir / "data"), "-o", str(tmp_path), "--only", "siemens64"]
    printed = run_script(root, "benchmarks/quality.py", *scan, *quick)
    row = printed.splitlines()[-1]
    assert row.startswith("| siemens64 |")
    assert row.count("|") == 12
    halves = run_script(root, "benchmarks/quality.py", *scan, *quick, "--halves")
    assert "trained on the other half: phase" in halves
    assert "trained on the whole scan: phase" in halves
