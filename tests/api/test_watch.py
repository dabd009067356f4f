"""`watch`: the image of a scan whose pieces arrive in any order is that of the whole scan."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.api import live_solver
from ptychopinn.api.watch import LIVE, watch
from ptychopinn.cli import app
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError, PtychoPINNError, ScanError
from ptychopinn.metrics import compare

MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]
SCAN = ["simulation.object_size_px=64", "simulation.probe_size_px=16", "simulation.step_px=3"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Whole counts at positions that are no multiples of a pixel; without an object, as a measurement."""
    from dataclasses import replace

    return replace(ptychopinn.simulate(overrides=SCAN).scan, object_guess=None, truth_patches=None)


@pytest.fixture(scope="module")
def trained(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ptychopinn.train(scan, tmp_path_factory.mktemp("model"), overrides=MODEL).paths["model"]


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which ignores Ctrl-C there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def write(path: Path, frames: np.ndarray, **arrays: np.ndarray) -> None:
    """Under another name first, as a careful writer does."""
    hidden = path.with_name(f".{path.name}")
    np.savez(hidden, frames=frames, **arrays)
    os.replace(hidden, path)


def send(scan: Scan, folder: Path, order: np.ndarray, at_once: int = 16, pause_s: float = 0.0) -> None:
    """Patterns and positions in pieces of their own; every fifth piece comes twice."""
    for number, first in enumerate(range(0, len(order), at_once)):
        part = order[first : first + at_once]
        y, x = scan.positions_px[part[::-1]].T
        write(folder / f"b{number:03d}.npz", part[::-1], ycoords=y, xcoords=x)
        write(folder / f"a{number:03d}.npz", part, diffraction=scan.patterns[part])
        if number % 5 == 0:
            write(folder / f"c{number:03d}.npz", part, diffraction=scan.patterns[part])
        time.sleep(pause_s)


def whole(scan: Scan, trained: Path) -> Any:
    return ptychopinn.reconstruct(scan, trained, probe="model").reconstruction


def test_the_last_image_is_that_of_the_whole_scan(scan: Scan, trained: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "pieces", tmp_path / "out"
    folder.mkdir()
    order = np.random.default_rng(0).permutation(len(scan))
    sending = threading.Thread(target=send, args=(scan, folder, order, 16, 0.1))
    sending.start()
    words = (folder, "--model", trained, "-o", output, "--frames", len(scan), "--every", "0.2")
    ended = CliRunner().invoke(app, ["watch", *map(str, words)], catch_exceptions=False)
    sending.join()

    assert ended.exit_code == 0, ended.stderr
    assert f"frames: {len(scan)} placed" in ended.stdout
    image, expected = ptychopinn.Reconstruction.load(output), whole(scan, trained)
    assert image.object_.shape == expected.object_.shape
    assert image.origin_px.tolist() == expected.origin_px.tolist()
    np.testing.assert_allclose(image.object_, expected.object_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(image.coverage, expected.coverage, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(image.positions_px, expected.positions_px)
    live = json.loads((output / "metrics.json").read_text())["live"]
    assert (live["placed"], live["conflicting"], live["without_pattern"]) == (len(scan), 0, 0)
    assert 0 < live["latency_median_s"] <= live["latency_p99_s"] <= live["latency_largest_s"]
    assert (output / LIVE).stat().st_size > 5000


def test_missing_and_damaged_pieces_are_reported(scan: Scan, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pieces"
    folder.mkdir()
    numbers = np.arange(len(scan))
    send(scan, folder, numbers)
    (folder / "a000.npz").unlink()
    (folder / "c000.npz").write_bytes((folder / "a001.npz").read_bytes()[:500])
    write(folder / "d.npz", numbers[:2], diffraction=np.ones((2, 8, 8)))
    done = watch(folder, trained, tmp_path / "out", idle_s=0.5, every_s=100)
    assert done.report["placed"] == len(scan) - 16
    assert done.report["without_pattern"] == 16
    assert {path.name for path in done.unread} == {"c000.npz", "d.npz"}
    assert "all must have one size" in done.unread[folder / "d.npz"]
    assert not (tmp_path / "out" / LIVE).exists()


def test_the_solver_refines_what_has_arrived_and_ctrl_c_ends_with_an_image(
    scan: Scan, trained: Path, tmp_path: Path, ctrl_c_interrupts: None
) -> None:
    folder = tmp_path / "pieces"
    folder.mkdir()
    send(scan, folder, np.arange(len(scan)))
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))

    def on_frames(done: int, total: int | None) -> None:
        timer.start() if not timer.is_alive() and done == len(scan) else None

    done = watch(
        folder,
        trained,
        tmp_path / "out",
        every_s=100,
        overrides=["reconstruction.refine.iterations=3"],
        on_frames=on_frames,
    )
    expected = ptychopinn.reconstruct(scan, trained, probe="model", refine=3).reconstruction
    np.testing.assert_allclose(done.reconstructed.reconstruction.object_, expected.object_, rtol=0, atol=1e-3)
    assert done.report["placed"] == len(scan)


WRITER = """
import sys, time
import h5py, numpy as np
scan, path = np.load(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
count = len(scan["patterns"])
order = rng.permutation(count)
late, again = order[:6], order[6:12]
sent = np.concatenate([order[6:], again, late])
with h5py.File(path, "w", libver="latest") as file:
    size = scan["patterns"].shape[1:]
    file.create_dataset("diffraction", (0, *size), scan["patterns"].dtype, maxshape=(None, *size), chunks=(8, *size))
    for name, fill in (("frames", -1), ("position_frames", -1)):
        file.create_dataset(name, (0,), np.int64, maxshape=(None,), chunks=(64,), fillvalue=fill)
    for name in ("xcoords", "ycoords"):
        file.create_dataset(name, (0,), np.float64, maxshape=(None,), chunks=(64,), fillvalue=np.nan)
    file.swmr_mode = True
    for first in range(0, count + 6, 20):
        part = sent[first : first + 20]
        y, x = scan["positions"][part[::-1]].T
        for name, values in (("ycoords", y), ("xcoords", x), ("position_frames", part[::-1]), ("frames", part),
                             ("diffraction", scan["patterns"][part])):
            file[name].resize(len(file[name]) + len(part), axis=0)
            file[name].flush()
            time.sleep(0.005)
            file[name][-len(part):] = values
            file[name].flush()
        time.sleep(0.02)
"""


def test_a_file_that_another_process_writes_gives_the_image_of_the_whole_scan(
    scan: Scan, trained: Path, tmp_path: Path
) -> None:
    """In SWMR mode, rows out of order, some of them twice and some late; each flush comes in two steps."""
    np.savez(tmp_path / "scan.npz", patterns=scan.patterns, positions=scan.positions_px)
    file = tmp_path / "growing.h5"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "scan.npz"), str(file)])
    while not file.exists():
        time.sleep(0.01)
    done = watch(file, trained, tmp_path / "out", idle_s=3, every_s=0.2)
    assert writer.wait() == 0
    assert done.unread == {}
    report = done.report
    assert (report["placed"], report["conflicting"], report["without_pattern"]) == (len(scan), 0, 0)
    assert report["repeated"] == 12
    assert report["late"] >= 6
    expected = whole(scan, trained)
    np.testing.assert_allclose(done.reconstructed.reconstruction.object_, expected.object_, rtol=0, atol=1e-5)
    assert (tmp_path / "out" / "recipe.yaml").is_file()


def test_the_solver_goes_on_between_the_pieces(scan: Scan, trained: Path, tmp_path: Path) -> None:
    """The image is as good as that of the solver alone on the whole scan."""
    truth = ptychopinn.simulate(overrides=SCAN).scan.object_guess
    folder = tmp_path / "pieces"
    folder.mkdir()
    order = np.random.default_rng(1).permutation(len(scan))
    sending = threading.Thread(target=send, args=(scan, folder, order, 20, 0.2))
    sending.start()
    words = (folder, "--model", trained, "-o", tmp_path / "out", "--frames", len(scan), "--solve", "--every", "0.5")
    ended = CliRunner().invoke(app, ["watch", *map(str, words)], catch_exceptions=False)
    sending.join()
    assert ended.exit_code == 0, ended.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["live"]["solver"]["rounds"] > 1
    assert metrics["refine"]["iterations"] == 30

    def psnr(image: ptychopinn.Reconstruction) -> float:
        found, _ = image.in_frame((0, 0), truth.shape)
        return float(compare(found, truth, region=(14, 50, 14, 50))["psnr_phase"])

    alone = ptychopinn.reconstruct(scan, overrides=["reconstruction.prior=none"]).reconstruction
    assert psnr(ptychopinn.Reconstruction.load(tmp_path / "out")) > psnr(alone) - 0.2


def test_an_error_of_the_solver_does_not_end_the_scan(
    scan: Scan, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any error of the thread in which it runs: the log has it, no round begins after it, and the scan goes on."""
    calls = []

    def breaks(*_: Any, **__: Any) -> Any:
        calls.append(threading.current_thread() is not threading.main_thread())
        raise RuntimeError("no memory on the device")

    monkeypatch.setattr(live_solver, "refine", breaks)
    folder = tmp_path / "pieces"
    folder.mkdir()
    sending = threading.Thread(target=send, args=(scan, folder, np.arange(len(scan)), 40, 0.3))
    sending.start()
    settings = ["reconstruction.refine.iterations=2"]
    done = watch(folder, trained, tmp_path / "out", frames=len(scan), idle_s=20, solve=True, overrides=settings)
    sending.join()

    assert calls == [True]
    assert done.report["placed"] == len(scan)
    assert done.report["solver"]["failed"] == "RuntimeError: no memory on the device"
    assert done.report["solver"]["rounds"] == 0
    assert done.reconstructed.metrics["refine"]["iterations"] == 2
    log = (tmp_path / "out" / "run.log").read_text()
    assert "the solver stops, and the scan goes on without it" in log
    assert "RuntimeError: no memory on the device" in log


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"frames": np.arange(2)}, "must hold frames, and diffraction"),
        ({"frames": np.array([0, 0]), "diffraction": np.ones((2, 4, 4))}, "a number twice"),
        ({"frames": np.array([0.5]), "diffraction": np.ones((1, 4, 4))}, "whole numbers"),
        ({"frames": np.array([-1]), "diffraction": np.ones((1, 4, 4))}, "whole numbers"),
        ({"frames": np.arange(2), "diffraction": np.ones((3, 4, 4))}, r"numbers \(2, H, H\)"),
        ({"frames": np.arange(1), "diffraction": -np.ones((1, 4, 4))}, "not negative"),
        ({"frames": np.arange(1), "xcoords": np.array([np.nan]), "ycoords": np.ones(1)}, "must be finite"),
        ({"frames": np.arange(1), "xcoords": np.ones(2), "ycoords": np.ones(1)}, "one for each frame"),
    ],
)
def test_bad_pieces_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    from ptychopinn.data.io.pieces import read_piece

    np.savez(tmp_path / "piece.npz", **arrays)
    with pytest.raises(ScanError, match=message):
        read_piece(tmp_path / "piece.npz")


def test_bad_requests_are_refused(scan: Scan, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such folder or file"):
        watch(tmp_path / "nothere", trained, tmp_path / "out")
    np.savez(tmp_path / "scan.npz", frames=np.arange(2))
    with pytest.raises(ScanError, match="got an NPZ file, which does not grow"):
        watch(tmp_path / "scan.npz", trained, tmp_path / "out")
    with pytest.raises(ScanError, match=r"1 files could not be read; .*scan.npz: .* must hold frames, and diffraction"):
        watch(tmp_path, trained, tmp_path / "nothing", idle_s=0)
    (tmp_path / "scan.npz").unlink()
    with pytest.raises(ConfigError, match="frames must be 1 or more"):
        watch(tmp_path, trained, tmp_path / "out", frames=0)
    assert not (tmp_path / "out").exists()
    with pytest.raises(PtychoPINNError, match="no frame has both"):
        watch(tmp_path, trained, tmp_path / "out", idle_s=0)
