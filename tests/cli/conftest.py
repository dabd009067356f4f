"""A tiny scan, a tiny model, and the command line in this process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.cli import app

Arrays = dict[str, NDArray]

SCAN = ["object_size_px=52", "probe_size_px=16", "step_px=3"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2"]


class Outcome:
    """What a command printed and how it ended."""

    def __init__(self, arguments: list[str]) -> None:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code = result.exit_code
        self.out = result.stdout
        self.err = result.stderr


@pytest.fixture(scope="session")
def ptycho() -> Callable[..., Outcome]:
    """Run a command line, given as words."""
    return lambda *words: Outcome([str(word) for word in words])


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options that make a training finish in a second."""
    return [word for setting in MODEL for word in ("--set", setting)]


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """121 patterns of 16 px."""
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    ptychopinn.simulate(path, overrides=[f"simulation.{setting}" for setting in SCAN])
    return path


@pytest.fixture
def arrays(scan_file: Path) -> Arrays:
    """Its arrays under the keys of the file, without metadata, to be spoiled."""
    with np.load(scan_file) as archive:
        return {key: archive[key] for key in archive.files if key != "_metadata"}


@pytest.fixture(scope="session")
def model_file(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a model trained on it."""
    folder = tmp_path_factory.mktemp("model")
    return ptychopinn.train(scan_file, folder, overrides=MODEL).paths["model"]
