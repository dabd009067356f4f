"""The library that makes operations on files fail, what runs commands with and without it, and the scans they read."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands

SIMULATE = (*("simulate", "--set", "simulation.object_size_px=52"), *("--set", "simulation.probe_size_px=16"))


@pytest.fixture(scope="session")
def faulty_io(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`faulty_io.c`, compiled."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("library") / "faulty_io.so"
    source = Path(__file__).with_name("faulty_io.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """What runs commands, without failing operations."""
    with Commands(tmp_path_factory.mktemp("printed")) as made:
        yield made


@pytest.fixture(scope="session")
def failing_commands(tmp_path_factory: pytest.TempPathFactory, faulty_io: Path) -> Iterator[Commands]:
    """What runs commands, with operations that fail."""
    with Commands(tmp_path_factory.mktemp("printed"), faulty_io) as made:
        yield made


@pytest.fixture(scope="session")
def scan_file(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patterns of 16 px."""
    return _simulated(commands, tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="session")
def larger_scan(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """121 patterns of 16 px."""
    return _simulated(commands, tmp_path_factory.mktemp("scan"), "--set", "simulation.step_px=3")


def _simulated(commands: Commands, folder: Path, *more: str) -> Path:
    made = commands.run([*SIMULATE, *more, "-o", folder / "scan.npz"], folder)
    assert made.code == 0, made.err
    return folder / "scan.npz"
