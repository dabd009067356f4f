"""Commands that a launcher has started several times for one run: one result, written and shown by the first."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn.api.model_files import load_model
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.run import run
from ptychopinn.api.train import train
from ptychopinn.config import SimulationConfig
from ptychopinn.data.io import write_scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.simulation import simulate

COMMAND = "from ptychopinn.cli import main; main()"
SMALL = (
    "data.group_size=4",
    "model.generator.architecture=cnn",
    "model.generator.width=2",
    "model.generator.levels=1",
    "training.epochs=3",
    "training.patterns_per_step=16",
    "training.device=cpu",
)
SETTINGS = [text for one in SMALL for text in ("--set", one)]
SOLVER = ["--set", "reconstruction.refine.iterations=12"]
Started = subprocess.Popen[str]


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 patterns of 16 px."""
    settings = SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=1e5, seed=2)
    return write_scan(simulate(settings), tmp_path_factory.mktemp("scan") / "scan.npz")


@pytest.fixture(scope="module")
def wide_scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """169 patterns of 32 px that decide their image."""
    settings = SimulationConfig(object_size_px=80, probe_size_px=32, step_px=4, photons_per_pattern=1e6, seed=2)
    return write_scan(simulate(settings), tmp_path_factory.mktemp("scan") / "scan.npz")


@pytest.fixture
def start() -> Callable[..., list[Started]]:
    """Starts a command in as many processes as it is given arguments for, as a launcher would."""
    started: list[Started] = []

    def begin(*arguments: Sequence[str | Path]) -> list[Started]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = str(listener.getsockname()[1])
        place = {"WORLD_SIZE": str(len(arguments)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for rank, words in enumerate(arguments):
            environment = {**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
            line = [sys.executable, "-c", COMMAND, *map(str, words)]
            pipe = subprocess.PIPE
            started.append(subprocess.Popen(line, env=environment, stdout=pipe, stderr=pipe, text=True))
        return started[-len(arguments) :]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def _ended(processes: Sequence[Started]) -> list[tuple[int, str, str]]:
    texts = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def _column(folder: Path, name: str) -> list[float]:
    with (folder / "history.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def _same_training(folder: Path, scan_file: Path) -> None:
    alone = train(scan_file, recipe=None, overrides=SMALL)
    assert _column(folder, "train_loss") == pytest.approx(alone.history["train_loss"], rel=1e-4)
    expected = alone.model.network.state_dict()
    for name, value in load_model(folder).network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.slow
def test_a_refusal_on_one_rank_ends_both_with_one_error(start, scan_file: Path, tmp_path: Path) -> None:
    """A file that only the second process misses, as on another machine: nothing is written, and one error is shown."""
    words = ["train", scan_file, "-o", tmp_path / "out", *SETTINGS]
    missing = ["train", tmp_path / "missing.npz", "-o", tmp_path / "out", *SETTINGS]
    (first, said, error), (second, *others) = _ended(start(words, missing))
    assert (first, second) == (2, 2)
    assert "rank 1 of 2:" in error
    assert "missing.npz" in error
    assert (said, others) == ("", ["", ""])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_train_as_one_and_the_first_one_shows_it(start, scan_file: Path, tmp_path: Path) -> None:
    words = ["train", scan_file, "-o", tmp_path / "out", *SETTINGS]
    (first, said, error), (second, *others) = _ended(start(words, words))
    assert (first, second) == (0, 0), error
    assert "trained 3 epochs" in said
    assert others == ["", ""]
    _same_training(tmp_path / "out", scan_file)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {
        "checkpoints",
        "history.csv",
        "history.png",
        "metrics.json",
        "recipe.yaml",
        "run.log",
        "wts.h5.zip",
    }
    assert {path.name for path in (tmp_path / "out/checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    longer = [*words, "--resume", "--set", "training.epochs=4"]
    assert [code for code, *_ in _ended(start(longer, longer))] == [0, 0]
    assert len(_column(tmp_path / "out", "train_loss")) == 4


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_other_one_with_an_error(start, scan_file: Path, tmp_path: Path) -> None:
    words = ["train", scan_file, "-o", tmp_path / "out", *SETTINGS, "--set", "training.epochs=5000"]
    processes = start(words, words)
    end = time.monotonic() + 240
    while not (tmp_path / "out/history.csv").exists() and time.monotonic() < end:
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGKILL)
    (first, _, error), _ = _ended(processes)
    assert first == 2, error
    assert "another process of this run has ended" in error


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
def test_two_processes_run_as_one(start, wide_scan_file: Path, tmp_path: Path, train: bool) -> None:
    """Solver, training on what it found, prediction, and the choice between the images; all written once."""
    words = ["run", wide_scan_file, "-o", tmp_path / "two", *SETTINGS, *SOLVER, *([] if train else ["--no-train"])]
    (first, said, error), (second, *others) = _ended(start(words, words))
    assert (first, second) == (0, 0), error
    assert "refining" in said
    assert others == ["", ""]
    run(wide_scan_file, tmp_path / "one", overrides=[*SMALL, SOLVER[1]], train=train)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {path.name for path in (tmp_path / "two").iterdir()} == names
    for name in names & {"reconstruction.npz", "reconstruction_network.npz", "reconstruction_solver.npz"}:
        _same_image(tmp_path / "two" / name, tmp_path / "one" / name)
    found, expected = (json.loads((tmp_path / one / "metrics.json").read_text()) for one in ("two", "one"))
    assert found["verdict"]["level"] == expected["verdict"]["level"]
    assert found["data"] == pytest.approx(expected["data"], rel=1e-4)
    if train:
        assert {"predict_s", "stitch_s"} <= set(found["timings"])


def _same_image(found: Path, expected: Path) -> None:
    ours, theirs = Reconstruction.load(found), Reconstruction.load(expected)
    for name in ("object_", "probe", "positions_px", "coverage"):
        difference = np.linalg.norm(getattr(ours, name) - getattr(theirs, name))
        assert difference <= 1e-4 * np.linalg.norm(getattr(theirs, name)), name


@pytest.mark.slow
def test_torchrun_on_two_nodes_trains_and_reconstructs(scan_file: Path, tmp_path: Path) -> None:
    """Two process groups on this machine, each started by a torchrun of its own."""
    _by_torchrun(["train", scan_file, "-o", tmp_path / "out", *SETTINGS])
    _same_training(tmp_path / "out", scan_file)
    words = ["reconstruct", scan_file, "--model", tmp_path / "out", "--device", "cpu", "-o"]
    _by_torchrun([*words, tmp_path / "two"])
    reconstruct(scan_file, tmp_path / "out", tmp_path / "one", device="cpu")
    _same_image(tmp_path / "two/reconstruction.npz", tmp_path / "one/reconstruction.npz")


def _by_torchrun(words: Sequence[str | Path]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    script = [*map(str, ["--no-python", sys.executable, "-c", COMMAND, *words])]
    where = ["--master-addr", "127.0.0.1", "--master-port", str(port), "--nnodes", "2", "--nproc-per-node", "1"]
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *where, "--node-rank", str(node), *script],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    for node in nodes:
        _, error = node.communicate(timeout=300)
        assert node.returncode == 0, error
