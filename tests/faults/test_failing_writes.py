"""The N-th write of a command fails, or kills: one sentence, old files whole, no file left over.

PTYCHOPINN_FAULTS=all tries every N with every error (an hour); without it some of them, with a seed.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from kept import differences, results, temporary_files

SEED = int(os.environ.get("PTYCHOPINN_FAULTS_SEED", "0"))
IS_WHOLE = os.environ.get("PTYCHOPINN_FAULTS") == "all"
SOME = 6
"""Operations of a command that are tried in an ordinary run of the tests."""
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, 0)
"""Full disk, quota, read-only, broken disk; SIGKILL."""

MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]
Words = Callable[[Path, Path], list[object]]


def _set(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


COMMANDS: dict[str, Words] = {
    "train": lambda scan, out: ["train", scan, "-o", out, "--overwrite", *_set(*MODEL)],
    "run": lambda scan, out: ["run", scan, "-o", out, "--overwrite", "--no-refine", *_set(*MODEL)],
    "run, image first": lambda scan, out: ["run", scan, "-o", out, "--overwrite", "--config", "cnn", *_set(*MODEL)],
    "reconstruct": lambda scan, out: ["reconstruct", scan, "-o", out, "--refine", "1"],
    "simulate": lambda scan, out: [
        *("simulate", "-o", out / "scan.npz"),
        *_set("simulation.object_size_px=52", "simulation.probe_size_px=16"),
    ],
    "convert to CXI": lambda scan, out: ["convert", scan, out / "scan.cxi"],
    "convert to HDF5": lambda scan, out: ["convert", scan, out / "scan.h5"],
    "convert to NPZ": lambda scan, out: ["convert", scan, out / "scan.npz"],
    "study": lambda _, out: [
        *("study", "grid-lines", "-o", out, "--N", "16", "--seeds", "0", "--epochs", "1", "--no-iterative"),
        *("--no-baseline", "--data", "size=48", "--data", "nimgs_train=1"),
        *_set(*MODEL[:2]),
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_write_that_fails_ends_in_one_sentence(
    name: str, failing_commands: Commands, scan_file: Path, tmp_path: Path
) -> None:
    words, whole, folder = COMMANDS[name], tmp_path / "whole", tmp_path / "folder"
    for one in (whole, folder):
        one.mkdir()
        first = failing_commands.run(words(scan_file, one), one)
        assert first.code == 0, first.err
    expected, operations = results(whole), first.operations
    assert operations is not None
    assert operations > 15
    rng = np.random.default_rng([SEED, *name.encode()])
    every = [(at, error) for at in range(1, operations + 1) for error in ERRORS]
    chosen = every if IS_WHOLE else [every[one] for one in sorted(rng.choice(len(every), SOME, replace=False))]
    for at, error in chosen:
        if name == "study":  # nothing is written where everything has ended
            shutil.rmtree(folder)
            folder.mkdir()
        lasting = bool(rng.integers(2))
        ended = failing_commands.run(words(scan_file, folder), folder, at=at, error=error, lasting=lasting)
        case = f"{name}, operation {at}, errno {error}, lasting {lasting}, seed {SEED}: {ended}"
        if error:
            assert ended.is_one_sentence or (ended.code == 0 and "Traceback" not in ended.err), case
            assert temporary_files(folder) == [], case
        else:
            assert ended.code == -9 or ended.code == 0, case
        if name not in ("study", "run, image first"):  # which write whole results one after the other
            assert differences(expected, results(folder), (whole, folder)) == [], case
    last = failing_commands.run(words(scan_file, folder), folder)
    assert last.code == 0, last.err
    assert temporary_files(folder) == []
    assert differences(expected, results(folder), (whole, folder)) == []
    print(f"{name}: {len(chosen)} of {len(every)} failures, seed {SEED}")
