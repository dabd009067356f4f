"""A fault of the program ends every command with one sentence, a log with the traceback, and exit code 1."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ptychopinn.cli import app

COMMANDS = {
    "ptychopinn.api.info.info": ["info", "scan.npz"],
    "ptychopinn.api.run.run": ["run", "scan.npz", "-o", "out"],
    "ptychopinn.api.train.train": ["train", "scan.npz", "-o", "out"],
    "ptychopinn.api.reconstruct.reconstruct": ["reconstruct", "scan.npz", "-o", "out"],
    "ptychopinn.api.evaluate.evaluate": ["evaluate", "a.npz", "--reference", "b.npz"],
    "ptychopinn.api.convert.convert": ["convert", "scan.npz", "scan.cxi"],
    "ptychopinn.api.simulate.simulate": ["simulate", "-o", "scan.npz"],
    "ptychopinn.studies.generalisation.study_generalisation": [
        *("study", "generalisation", "scan.npz", "--sizes", "9", "-o", "out"),
    ],
    "ptychopinn.studies.grid_lines.study.study_grid_lines": ["study", "grid-lines", "-o", "out"],
}


@pytest.mark.parametrize("place", COMMANDS)
def test_a_fault_of_the_program(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ZeroDivisionError("a fault\nof two lines")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = CliRunner().invoke(app, COMMANDS[place])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    found = re.search(r"a fault of the program \(ZeroDivisionError: .*the traceback is in (\S+\.log)", result.stderr)
    assert found, result.stderr
    assert "in fail" in Path(found[1]).read_text()
