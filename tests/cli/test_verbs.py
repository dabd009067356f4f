"""Each verb once, as a person would use it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn import Recipe, Reconstruction, read_scan
from ptychopinn.bundle import load_bundle
from ptychopinn.cli.progress import ProgressDisplay

FILES = {
    "recipe.yaml",
    "wts.h5.zip",
    "reconstruction.npz",
    "reconstruction.png",
    "history.csv",
    "history.png",
    "metrics.json",
    "run.log",
    "checkpoints",
}


def test_simulate_writes_a_scan_that_info_describes(ptycho: Callable, tmp_path: Path) -> None:
    path = tmp_path / "new" / "scan.npz"
    outcome = ptycho(
        "simulate", "-o", path, "--set", "simulation.object_size_px=52", "--set", "simulation.probe_size_px=16"
    )

    assert outcome.code == 0
    assert str(path) in outcome.out
    assert read_scan(path).pattern_size == 16
    described = ptycho("info", path).out
    assert "counts: stated in the metadata" in described
    assert "a calibrated probe" in described


def test_info_reads_as_it_is_told(ptycho: Callable, scan_file: Path) -> None:
    described = ptycho("info", scan_file, "--domain", "amplitude")

    assert "amplitude: given explicitly" in described.out
    assert "only if the patterns are counts and not amplitude" in described.out


@pytest.fixture(scope="module")
def finished(scan_file: Path, tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of `ptychopinn run`, and what it printed."""
    from tests_outcome import Outcome  # type: ignore[import-not-found]

    folder = tmp_path_factory.mktemp("run") / "out"
    outcome = Outcome(["run", str(scan_file), "-o", str(folder), "--threads", "1", *tiny])
    assert outcome.code == 0, outcome.err
    return folder, outcome.out, outcome.err
