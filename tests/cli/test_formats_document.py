"""The commands of docs/formats.md run, on files as the document describes them."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn import Reconstruction, read_scan
from ptychopinn.data import write_scan
from ptychopinn.data.geometry import Geometry

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader stands: a CXI file with an object, a result, a product and its patterns."""
    place = tmp_path_factory.mktemp("reader")
    scan = replace(read_scan(scan_file), geometry=Geometry(8800.0, 1.75, 75e-6))
    write_scan(scan, place / "scan.cxi")
    with h5py.File(place / "frames.h5", "w") as file:
        file["patterns"], file["indexes"] = scan.patterns, np.arange(len(scan))
    image = Reconstruction(
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape),
        origin_px=(0, 0),
        positions_px=scan.positions_px,
        probe=scan.probe,
    )
    (place / "out").mkdir()
    image.save(place / "out")
    image.save(place / "product.h5")
    return place


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 5
    assert all(line.startswith("ptychopinn convert ") for line in COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_it_runs(ptycho: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(line)[1:]
    outcome = ptycho(*words)
    assert outcome.code == 0, outcome.err
    assert Path(words[2]).is_file()
