"""Commands that are killed at random times: what is begun again ends with the result of an undisturbed run.

PTYCHOPINN_KILLS sets the number of kills, PTYCHOPINN_KILLS_SEED their times; `make kills` kills 100 times.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import Commands
from kept import differences, results, temporary_files

KILLS = int(os.environ.get("PTYCHOPINN_KILLS", "8"))
SEED = int(os.environ.get("PTYCHOPINN_KILLS_SEED", "0"))
IN_A_CHAIN = 6
"""Most kills before a command is left to end."""

MODEL = ["model.generator.width=2", "model.generator.levels=2"]
LINES = ["N=16", "size=48", "nimgs_train=1"]

Words = Callable[[Path, Path], list[object]]


def _set(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


COMMANDS: dict[str, Words] = {
    "train": lambda scan, out: ["train", scan, "-o", out, "--resume", *_set(*MODEL, "training.epochs=6")],
    "run": lambda scan, out: ["run", scan, "-o", out, "--resume", *_set(*MODEL, "training.epochs=4")],
    "reconstruct": lambda scan, out: ["reconstruct", scan, "-o", out, "--refine", "8"],
    "study": lambda _, out: [
        *("study", "grid-lines", "-o", out, "--N", "16", "--seeds", "0", "--epochs", "2", "--no-iterative"),
        *(word for setting in LINES[1:] for word in ("--data", setting)),
        *_set(*MODEL),
    ],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_ends_as_one_that_was_not(
    name: str,
    commands: Commands,
    larger_scan: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    words, whole = COMMANDS[name], tmp_path / "whole"
    undisturbed = commands.run(words(larger_scan, whole), whole)
    assert undisturbed.code == 0, undisturbed.err
    expected, rng = results(whole), np.random.default_rng([SEED, *name.encode()])
    seconds = undisturbed.seconds
    kills, chains, asked = 0, 0, -(-KILLS // len(COMMANDS))
    while kills < asked:
        folder, in_chain = tmp_path / str(chains), 0
        for _ in range(IN_A_CHAIN):
            ended = commands.run(words(larger_scan, folder), folder, kill_after_s=rng.uniform(0.02, 1.02) * seconds)
            assert ended.code in (0, -9), (SEED, chains, ended)
            in_chain += ended.code == -9
            if ended.code == 0 or kills + in_chain == asked:
                break
        last = commands.run(words(larger_scan, folder), folder)
        assert last.code == 0, (SEED, chains, last)
        assert temporary_files(folder) == [], (SEED, chains)
        assert differences(expected, results(folder), (whole, folder)) == [], (SEED, chains)
        kills, chains = kills + in_chain, chains + 1
        seconds = seconds if in_chain else 0.7 * seconds  # the first run is slower, as is any on a shared machine
    print(f"{name}: {kills} kills in {chains} chains, seed {SEED}")
    record_property("kills", kills)
