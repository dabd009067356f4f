"""Without the test data the tests run, and the run says which tests it has left out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FILE = "tests/metrics/test_alignment.py"


@pytest.mark.parametrize("processes", [[], ["-n", "1"]], ids=["one process", "a worker"])
def test_a_run_without_data_says_what_it_left_out(root: Path, tmp_path: Path, processes: list[str]) -> None:
    marked = (root / FILE).read_text(encoding="utf-8").count("@pytest.mark.shared_data")
    command = [sys.executable, "-m", "pytest", FILE, "-q", "-p", "no:cacheprovider", *processes]
    environment = {**os.environ, "PTYCHOPINN_TEST_DATA": str(tmp_path)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    (line,) = re.findall(r"^LEFT OUT: .*$", done.stdout, flags=re.MULTILINE)
    assert marked > 0
    assert f"{marked} tests" in line
    assert f"got {tmp_path}" in line
    assert line.endswith(f"tests/metrics {marked}")
