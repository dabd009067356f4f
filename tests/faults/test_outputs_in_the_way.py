"""A pipe, or a link to a device, stands where a command writes a file: one sentence, and it stays what it is.

PTYCHOPINN_FAULTS=all tries every file; without it some of them, with a seed.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from kept import results, temporary_files
from test_failing_writes import COMMANDS, IS_WHOLE, SEED

from ptychopinn.errors import OutputError
from ptychopinn.studies.finished import read_finished

SOME = 3
"""Files of a command that are tried in an ordinary run of the tests."""
KINDS = ("pipe", "link to a pipe", "link to a device", "link to a full device", "link to itself", "folder")


def put(kind: str, path: Path, pipe: Path) -> None:
    """Something that is no file, at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        (path / "inside").mkdir(parents=True)
    else:
        goals = {"link to a pipe": pipe, "link to a device": "/dev/null", "link to a full device": "/dev/full"}
        path.symlink_to(goals.get(kind, path))


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_no_file_is_never_replaced(name: str, commands: Commands, scan_file: Path, tmp_path: Path) -> None:
    whole, pipe = tmp_path / "whole", tmp_path / "pipe"
    whole.mkdir()
    os.mkfifo(pipe)
    first = commands.run(COMMANDS[name](scan_file, whole), whole)
    assert first.code == 0, first.err
    files = sorted({key for key in results(whole) if ": " not in key})
    rng = np.random.default_rng([SEED, *name.encode()])
    every = [(file, kind) for file in files for kind in KINDS]
    chosen = every if IS_WHOLE else [every[one] for one in rng.choice(len(every), min(SOME, len(every)), replace=False)]
    for number, (file, kind) in enumerate(chosen):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        put(kind, folder / file, pipe)
        before = (folder / file).lstat()
        ended = commands.run(COMMANDS[name](scan_file, folder), folder)
        case = f"{name}, {kind} as {file}: {ended}"
        assert ended.is_one_sentence or (ended.code == 0 and "Traceback" not in ended.err), case
        assert temporary_files(folder) == [], case
        if kind != "link to itself":  # nothing is lost with it
            assert (folder / file).lstat().st_ino == before.st_ino, case
            assert (folder / file).lstat().st_mode == before.st_mode, case
    print(f"{name}: {len(chosen)} of {len(every)} cases, seed {SEED}")


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize("name", ["train", "run", "reconstruct", "study"])
def test_an_output_folder_that_is_none(
    kind: str, name: str, commands: Commands, scan_file: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    put(kind, tmp_path / "out", tmp_path / "pipe")
    before = (tmp_path / "out").lstat()
    ended = commands.run(COMMANDS[name](scan_file, tmp_path / "out"), tmp_path)
    assert ended.is_one_sentence, ended
    assert (tmp_path / "out").lstat().st_ino == before.st_ino
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "pipe"]


def test_a_pipe_in_place_of_what_a_run_of_a_study_left_is_refused(tmp_path: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(OutputError, match=r"run\.json: is a pipe"):
        read_finished(tmp_path / "run.json", {})
