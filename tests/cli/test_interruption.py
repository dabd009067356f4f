"""Killed, interrupted, resumed: nothing is lost but the epoch that ran."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.bundle import load_bundle
from ptychopinn.cli.progress import ProgressDisplay

OVERRIDES = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=6"]
WORDS = [word for setting in OVERRIDES for word in ("--set", setting)]

KILLED = """
import os, signal, sys
import ptychopinn, torch

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

scan, folder, when = sys.argv[1:]
if when == "in an epoch":
    tell = lambda done, total, row: done == 4 and die()
else:
    tell, save, calls = None, torch.save, []
    def torn_save(state, path):
        calls.append(path)
        if len(calls) < 7:
            return save(state, path)
        with open(path, "wb") as file:
            file.write(b"half a checkpoint")
        die()
    torch.save = torn_save
ptychopinn.train(scan, folder, overrides=OVERRIDES, on_epoch=tell)
"""


@pytest.fixture(scope="module")
def whole(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Weights of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    return load_bundle(ptychopinn.train(scan_file, folder, overrides=OVERRIDES).paths["model"]).state


def expect_same(folder: Path, whole: dict[str, torch.Tensor]) -> None:
    state = load_bundle(folder / "wts.h5.zip").state
    assert state.keys() == whole.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, whole[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("when", ["in an epoch", "while saving"])
def test_kill_9_leaves_a_checkpoint_that_resumes_to_the_same_model(
    ptycho: Callable, scan_file: Path, tmp_path: Path, whole: dict[str, torch.Tensor], when: str
) -> None:
    folder = tmp_path / "out"
    code = KILLED.replace("OVERRIDES", repr(OVERRIDES))
    killed = subprocess.run([sys.executable, "-c", code, str(scan_file), str(folder), when], check=False)
    assert killed.returncode == -9
    last = torch.load(folder / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    assert 1 <= last["epoch"] + 1 < 6

    assert ptycho("train", scan_file, "-o", folder, "--resume", *WORDS).code == 0
    expect_same(folder, whole)
    epochs = np.loadtxt(folder / "history.csv", delimiter=",", skiprows=1, usecols=0)
    assert epochs.tolist() == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_says_how_to_go_on_and_resume_does(
    ptycho: Callable,
    scan_file: Path,
    tmp_path: Path,
    whole: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(self: ProgressDisplay, done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 3:
            raise KeyboardInterrupt

    words = ["run", scan_file, "-o", tmp_path / "out", "--no-refine", *WORDS]
    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "on_epoch", interrupt)
        stopped = ptycho(*words)
    assert stopped.code == 130
    assert "--resume" in stopped.err

    assert ptycho(*words, "--resume").code == 0
    expect_same(tmp_path / "out", whole)


def test_ctrl_c_in_the_solver_keeps_its_image_and_resume_goes_on(
    ptycho: Callable, scan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done_now: list[int] = []

    def interrupt(self: ProgressDisplay, done: int, total: int, numbers: dict[str, float]) -> None:
        done_now.append(done)
        if done == 3:
            raise KeyboardInterrupt

    words = ["reconstruct", scan_file, "-o", tmp_path, "--refine", 5]
    whole = ptychopinn.reconstruct(scan_file, refine=5).reconstruction
    with monkeypatch.context() as patch:
        patch.setattr(ProgressDisplay, "on_iteration", interrupt)
        stopped = ptycho(*words)
        assert stopped.code == 130
        sentence = (
            "Interrupted: give the same command with --resume to go on from the last finished iteration or epoch."
        )
        assert stopped.err.strip().splitlines()[-1] == sentence
        marked = ptychopinn.Reconstruction.load(tmp_path)
        assert marked.metadata["interrupted"] == {"iterations_done": 3, "iterations": 5}
        done_now.clear()
        assert ptycho(*words, "--resume").code == 0
    assert done_now == [4, 5]
    np.testing.assert_array_equal(ptychopinn.Reconstruction.load(tmp_path).object_, whole.object_)


def test_resume_with_another_recipe_is_refused(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path
) -> None:
    words = ["train", scan_file, "-o", tmp_path / "out", *tiny]
    assert ptycho(*words).code == 0
    model = (tmp_path / "out" / "wts.h5.zip").read_bytes()

    changed = ptycho(*words, "--resume", "--set", "training.learning_rate=0.1")
    assert changed.code == 2
    assert "training.learning_rate" in changed.err
    assert (tmp_path / "out" / "wts.h5.zip").read_bytes() == model


def test_resume_where_nothing_was_started_trains_from_the_start(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path
) -> None:
    assert ptycho("train", scan_file, "-o", tmp_path / "out", "--resume", *tiny).code == 0
    assert (tmp_path / "out" / "wts.h5.zip").exists()


def test_a_used_folder_asks_for_resume_or_overwrite(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    small = ["--set", "model.generator.width=2", "--set", "model.generator.levels=2", "--set", "training.epochs=1"]
    assert ptycho("train", scan_file, "-o", tmp_path, *small).code == 0
    log = (tmp_path / "run.log").read_bytes()
    refused = ptycho("train", scan_file, "-o", tmp_path, *small)
    assert refused.code == 2
    assert "give --resume to continue it, --overwrite to replace it" in refused.err
    assert (tmp_path / "run.log").read_bytes() == log
    assert ptycho("train", scan_file, "-o", tmp_path, *small, "--overwrite").code == 0
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"junk")
    log = (tmp_path / "run.log").read_bytes()
    refused = ptycho("train", scan_file, "-o", tmp_path, *small, "--resume")
    assert (refused.code, (tmp_path / "run.log").read_bytes()) == (2, log)


def test_a_fault_of_the_program_ends_with_one_line_and_a_traceback_in_a_file(
    ptycho: Callable, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("an \x1b[2Junforeseen\nkey")

    monkeypatch.setattr("ptychopinn.api.info.info", fail)
    result = ptycho("info", scan_file)
    assert result.code == 1
    assert "Traceback" not in result.err
    assert "\x1b" not in result.err
    path = Path(result.err.split("the traceback is in ")[1].split(". Please")[0].strip())
    assert "KeyError" in path.read_text()
    path.unlink()
