"""The file format of docs/dev/extending.md: its program runs, and the format works in every command."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Scan, convert, read_scan
from ptychopinn.data import write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.errors import ScanError

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "dev" / "extending.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## A file format") :]
(PROGRAM,) = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)


@pytest.fixture
def scan(quick: list[str]) -> Scan:
    made = ptychopinn.simulate(overrides=[text for text in quick if text.startswith("simulation")]).scan
    return replace(made, geometry=Geometry(8800.0, 1.75, 75e-6))


@pytest.fixture
def run_program() -> Callable[[], None]:
    return lambda: exec(compile(PROGRAM, "docs/dev/extending.md", "exec"), {})


def test_a_scan_goes_there_and_back(scan: Scan, tmp_path: Path, run_program: Callable[[], None]) -> None:
    source = write_scan(scan, tmp_path / "scan.cxi")
    run_program()
    found = read_scan(convert(source, tmp_path / "scan.frames").path)
    np.testing.assert_array_equal(found.counts(), scan.counts())
    np.testing.assert_allclose(found.positions_px, scan.positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.probe, scan.probe)
    assert found.geometry == scan.geometry
    again = convert(tmp_path / "scan.frames", tmp_path / "again.npz")
    np.testing.assert_array_equal(read_scan(again.path).counts(), scan.counts())


def test_without_the_program_the_file_is_not_known(scan: Scan, tmp_path: Path, run_program: Callable[[], None]) -> None:
    source = write_scan(scan, tmp_path / "scan.npz")
    with pytest.raises(ptychopinn.PtychoPINNError, match=r"a scan is written as NPZ, CXI or ptychodus training data;"):
        convert(source, tmp_path / "scan.frames")
    (tmp_path / "scan.frames").write_bytes(b"FRAMES")
    with pytest.raises(ScanError, match="is no NPZ or HDF5 file"):
        read_scan(tmp_path / "scan.frames")
