"""A finished reconstruction of a small scan, made once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ptychopinn
from ptychopinn.data.io import write_scan


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, noise_free: Callable[..., Any]) -> Path:
    """The folder of a result of the solver; its scan is `scan.npz` beside it."""
    folder = tmp_path_factory.mktemp("view")
    write_scan(noise_free(16, 2), folder / "scan.npz")
    ptychopinn.reconstruct(folder / "scan.npz", output=folder / "out", refine=4)
    return folder / "out"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "out"))
