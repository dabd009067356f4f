"""Sessions of ptychodus, each in a process of its own and in an empty working directory."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Drive:
    """What one ptychodus process did: its report, what it and its children printed, what lay in its directory."""

    report: dict[str, dict[str, dict[str, Any]]]
    printed: str
    left_behind: list[str]

    def value(self, algorithm: str, step: str) -> Any:
        """What a step gave; fails with the client's own account where the step failed."""
        taken = self.report[algorithm][step]
        if taken["error"] is not None:
            pytest.fail(f"{algorithm} {step}:\n{taken['error']}", pytrace=False)
        return taken["value"]

    def error(self, algorithm: str, step: str) -> str:
        """The account of a step that had to fail."""
        taken = self.report[algorithm][step]
        assert taken["error"] is not None, f"{algorithm} {step} gave {taken['value']}"
        return taken["error"]

    def log(self, algorithm: str, step: str) -> list[tuple[str, str, str]]:
        """(logger, level, message) of a step."""
        return [tuple(record) for record in self.report[algorithm][step]["log"]]


def run_quietly(command: list[str], cwd: Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a command on one thread and without a display, standard output and error together."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def run_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_command(command, cwd)`: one thread, no display, output and error together."""
    return run_quietly


@pytest.fixture(scope="session")
def drive() -> Callable[..., Drive]:
    """`drive(folder, steps, settings)`: one ptychodus process on the files of a folder.

    `steps` maps reconstructors to the methods of `drive.Client` that are called in turn. With `one_folder` they
    all train in the folder of the data.
    """

    def start(
        folder: Path,
        name: str,
        steps: dict[str, list[str]],
        settings: dict[str, dict[str, Any]],
        *,
        one_folder: bool = False,
        timeout: float = 900,
    ) -> Drive:
        job, report, empty = (folder / f"{name}{ending}" for ending in (".job.json", ".report.json", ".cwd"))
        job.write_text(json.dumps({"steps": steps, "settings": settings, "one_folder": one_folder}))
        empty.mkdir()
        command = [sys.executable, str(HERE / "drive.py"), str(folder), str(job), str(report)]
        done = run_quietly(command, empty, timeout)
        assert done.returncode == 0, done.stdout
        left_behind = sorted(str(path) for path in empty.rglob("*") if path.is_file())
        return Drive(json.loads(report.read_text()), done.stdout, left_behind)

    return start


@pytest.fixture(scope="session")
def scene() -> ModuleType:
    """The module scene.py: scans in the client's structures, made in this process."""
    sys.path.insert(0, str(HERE))
    try:
        return importlib.import_module("scene")
    finally:
        sys.path.remove(str(HERE))
