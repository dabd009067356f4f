"""Folders that are really read-only or full, and a machine without shared memory, in a mount namespace of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Ended
from kept import differences, results, temporary_files

MODEL = ("--set", "model.generator.width=2", "--set", "model.generator.levels=2", "--set", "training.epochs=1")
SIZE = "simulation.probe_size_px=16"
WORDS = {
    "train": ("train", "SCAN", "-o", "OUT", "--overwrite", *MODEL),
    "run": ("run", "SCAN", "-o", "OUT", "--overwrite", "--no-refine", *MODEL),
    "reconstruct": ("reconstruct", "SCAN", "-o", "OUT", "--refine", "1"),
    "convert to NPZ": ("convert", "SCAN", "OUT/scan.npz"),
    "convert to CXI": ("convert", "SCAN", "OUT/scan.cxi"),
    "simulate": ("simulate", "-o", "OUT/scan.npz", "--set", "simulation.object_size_px=52", "--set", SIZE),
}
PROGRAM = "from ptychopinn.cli import app; app()"


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    """Where a user may mount file systems that only the command sees."""
    unshare = shutil.which("unshare")
    allowed = unshare is not None and subprocess.run([unshare, "-rm", "true"], capture_output=True).returncode == 0
    if not allowed:
        pytest.skip("needs unshare and user namespaces")


def run(mounts: str, name: str, scan: Path, out: Path, *more: str) -> tuple[Ended, str]:
    """How a command ends behind mounts, and what then lies in its folder."""
    words = [word.replace("SCAN", str(scan)).replace("OUT", str(out)) for word in (*WORDS[name], *more)]
    script = f'set -e; {mounts}; set +e; "$@"; code=$?; ls -A "{out}"; exit $code'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )
    return Ended(done.returncode, done.stderr, False, None, 0.0), done.stdout


@pytest.fixture(scope="module")
def whole(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with the results of each command."""
    folders = {name: tmp_path_factory.mktemp("whole") for name in ("reconstruct", "convert to NPZ", "train")}
    for name, folder in folders.items():
        assert run("true", name, scan_file, folder)[0].code == 0
    return folders


@pytest.mark.parametrize("name", WORDS)
def test_a_read_only_folder(name: str, scan_file: Path, tmp_path: Path) -> None:
    """Nothing changes in it, not even for root."""
    (tmp_path / "scan.npz").write_bytes(b"old")
    mounts = f'mount --bind "{tmp_path}" "{tmp_path}"; mount -o remount,bind,ro "{tmp_path}"'
    ended, _ = run(mounts, name, scan_file, tmp_path)
    assert ended.is_one_sentence, ended
    assert "Read-only file system" in ended.err
    assert [one.name for one in tmp_path.iterdir()] == ["scan.npz"]
    assert (tmp_path / "scan.npz").read_bytes() == b"old"


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("size", [pytest.param("16k", marks=pytest.mark.slow), "64k"])
def test_a_full_disk(name: str, size: str, scan_file: Path, tmp_path: Path) -> None:
    ended, listed = run(f'mount -t tmpfs -o size={size} none "{tmp_path}"', name, scan_file, tmp_path)
    assert ended.is_one_sentence or ended.code == 0, ended
    assert ".tmp" not in listed, listed


@pytest.mark.parametrize("name", ["reconstruct", "convert to NPZ", "train"])
@pytest.mark.parametrize(
    "shm",
    [
        "mount -t tmpfs -o ro none /dev/shm",
        pytest.param("mount -t tmpfs -o mode=000,size=4k none /dev/shm", marks=pytest.mark.slow),
    ],
)
def test_no_shared_memory_is_needed(name: str, shm: str, scan_file: Path, whole, tmp_path: Path) -> None:
    ended, _ = run(shm, name, scan_file, tmp_path)
    assert ended.code == 0, ended
    assert temporary_files(tmp_path) == []
    assert differences(results(whole[name]), results(tmp_path), (whole[name], tmp_path)) == []


def test_several_processes_without_shared_memory_end_in_one_sentence(scan_file: Path, tmp_path: Path) -> None:
    ended, _ = run("mount -t tmpfs -o ro none /dev/shm", "train", scan_file, tmp_path, "--set", "training.devices=2")
    assert ended.is_one_sentence, ended
    assert "/dev/shm" in ended.err
    assert "training.devices=1" in ended.err
    assert temporary_files(tmp_path) == []
