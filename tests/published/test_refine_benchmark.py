"""The benchmark of refinement runs and prints a table; its figures are no tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.shared_data
def test_refine_prints_the_measured_star_with_one_and_three_modes(root: Path, shared_dir: Path) -> None:
    command = [sys.executable, "benchmarks/refine.py", str(shared_dir / "data"), "--rows", "4", "--iterations", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    head, *rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row[2] for row in rows[1:]] == ["1 probe mode", "3 probe modes"]
    assert all(0.04 < float(row[head.index("misfit")]) < 1 for row in rows[1:])
