"""What the door refuses, and what it lets through."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn.data.io import memory
from ptychopinn.data.io.child import survives
from ptychopinn.data.io.door import check_regular_file, create_hdf5, open_hdf5, open_npz, read_npy
from ptychopinn.data.io.hdf5 import array
from ptychopinn.errors import OutputError, ScanError


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A file with a link and a virtual dataset into a folder below its own."""
    (tmp_path / "raw").mkdir()
    with h5py.File(tmp_path / "raw" / "frames.h5", "w") as file:
        file["data"] = np.arange(24.0).reshape(2, 3, 4)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["link"] = h5py.ExternalLink("raw/frames.h5", "/data")
        layout = h5py.VirtualLayout((2, 3, 4), "f8")
        layout[:] = h5py.VirtualSource("raw/frames.h5", "data", (2, 3, 4))
        file.create_virtual_dataset("virtual", layout)
    return tmp_path / "master.h5"


@pytest.mark.parametrize("name", ["link", "virtual"])
def test_references_below_the_folder_are_followed_and_logged(linked: Path, name: str, caplog) -> None:
    caplog.set_level(logging.INFO, "ptychopinn")
    with open_hdf5(linked) as file:
        np.testing.assert_array_equal(array(file[name]), np.arange(24.0).reshape(2, 3, 4))
    assert "links lead to" in caplog.text
    assert "raw/frames.h5" in caplog.text


@pytest.mark.parametrize("place", ["raw/frames.h5", "frames.h5"])
def test_references_out_of_the_folder_are_refused(linked: Path, tmp_path: Path, place: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with h5py.File(inner / "master.h5", "w") as file:
        file["link"] = h5py.ExternalLink(f"../{place}", "/data")
    (linked.parent / "frames.h5").write_bytes((linked.parent / "raw/frames.h5").read_bytes())
    with pytest.raises(ScanError, match="outside the folder of the file"), open_hdf5(inner / "master.h5"):
        pass


def test_a_link_to_the_file_in_a_folder_above_both_is_a_way_out(linked: Path, tmp_path: Path) -> None:
    """The usual layout: `processed/scan.h5` leads to `raw/frames.h5`."""
    inner = tmp_path / "processed"
    inner.mkdir()
    with h5py.File(inner / "scan.h5", "w") as file:
        file["link"] = h5py.ExternalLink("../raw/frames.h5", "/data")
    with pytest.raises(ScanError, match="make a symbolic link to scan"):
        open_hdf5(inner / "scan.h5").__enter__()
    (tmp_path / "scan.h5").symlink_to(inner / "scan.h5")
    with open_hdf5(tmp_path / "scan.h5") as file:
        assert array(file["link"]).shape == (2, 3, 4)


def test_the_working_folder_is_searched_like_the_library_does(linked: Path, tmp_path: Path, monkeypatch) -> None:
    inner, elsewhere = tmp_path / "inner", tmp_path / "raw"
    inner.mkdir()
    with h5py.File(inner / "master.h5", "w") as file:
        file["link"] = h5py.ExternalLink("frames.h5", "/data")
    with open_hdf5(inner / "master.h5") as file:
        assert file.get("link") is None
    monkeypatch.chdir(elsewhere)
    with pytest.raises(ScanError, match="outside the folder of the file"), open_hdf5(inner / "master.h5"):
        pass


def test_a_link_of_a_linked_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = 1
    with h5py.File(tmp_path / "a" / "one.h5", "w") as file:
        file["l"] = h5py.ExternalLink("two.h5", "/l")
    with h5py.File(tmp_path / "a" / "two.h5", "w") as file:
        file["l"] = h5py.ExternalLink("../secret.h5", "/x")
    with pytest.raises(ScanError, match="outside the folder"), open_hdf5(tmp_path / "a" / "one.h5"):
        pass


def test_a_file_that_was_sound_is_checked_again_when_it_changes(tmp_path: Path) -> None:
    path, other = tmp_path / "inner" / "a.h5", tmp_path / "secret.h5"
    path.parent.mkdir()
    for one in (path, other):
        with h5py.File(one, "w") as file:
            file["x"] = 1
    for age in (0, 10):
        os.utime(path, ns=(time.time_ns() - age * 10**9,) * 2)
        for _ in range(2):
            with open_hdf5(path) as file:
                assert file["x"][()] == 1
    with h5py.File(path, "r+") as file:
        file["l"] = h5py.ExternalLink("../secret.h5", "/x")
    with pytest.raises(ScanError, match="outside the folder"), open_hdf5(path):
        pass


def test_files_that_link_to_each_other_end(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{one}.h5", "w") as file:
            file["l"] = h5py.ExternalLink(f"{other}.h5", "/l")
    with open_hdf5(tmp_path / "a.h5") as file:
        assert file.get("l") is None


def test_what_memory_is_free_decides(tmp_path: Path, monkeypatch) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(2**18))
    np.save(tmp_path / "a.npy", np.zeros(2**18))
    monkeypatch.setattr(memory, "free_bytes", lambda: 2**21 - 1)
    with open_npz(tmp_path / "a.npz") as arrays, pytest.raises(ScanError, match="2 MiB are needed"):
        arrays["a"]
    with pytest.raises(ScanError, match="2 MiB are needed and 2 MiB are free"):
        read_npy(tmp_path / "a.npy")
    monkeypatch.setattr(memory, "free_bytes", lambda: 2**21)
    assert len(read_npy(tmp_path / "a.npy")) == 2**18


def test_a_limit_on_memory_is_seen() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30,) * 2)\n"
        "from ptychopinn.data.io.memory import free_bytes; print(free_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 4 << 30


def test_expansion_is_limited_in_proportion(tmp_path: Path) -> None:
    memory.check_expansion(memory.FREE_BYTES, 0, "a")
    memory.check_expansion(memory.FREE_BYTES + 100 * memory.MAX_EXPANSION, 100, "a")
    with pytest.raises(ScanError, match="a declares 128 MiB but only 100 B are stored"):
        memory.check_expansion(memory.FREE_BYTES + 100 * memory.MAX_EXPANSION + 1, 100, "a")


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ScanError, match="is a pipe, a device or a socket"):
            check_regular_file(path)
    with pytest.raises(ScanError, match="cannot be opened"):
        check_regular_file("a\0b")


def test_an_array_behind_its_header(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(6).reshape(2, 3), b=np.array([{}], object))
    with open_npz(tmp_path / "a.npz") as arrays:
        assert arrays.header("a") == ((2, 3), np.dtype("i8"))
        assert arrays.header("b")[1].hasobject
        with pytest.raises(ScanError, match="never unpickled"):
            arrays["b"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with create_hdf5(path) as file:
        file["a"] = 1
    code = (
        "import resource, signal, sys; import numpy as np\n"
        "from ptychopinn.data.io.door import create_hdf5; from ptychopinn.errors import OutputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "try:\n    with create_hdf5(sys.argv[1]) as file:\n        file['a'] = np.random.rand(10_000)\n"
        "except OutputError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    assert done.stderr == ""
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    with open_hdf5(path) as file:
        assert file["a"][()] == 1
    with pytest.raises(OutputError, match="does not exist"), create_hdf5(tmp_path / "absent" / "a.h5"):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tried on Linux only")
def test_a_crash_of_the_child_is_seen() -> None:
    assert survives(lambda: 1 / 0)
    assert not survives(lambda: os.kill(os.getpid(), signal.SIGKILL))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tried on Linux only")
def test_a_hard_limit_of_the_batch_system_does_not_fail_the_child() -> None:
    code = (
        "import resource\nfrom ptychopinn.data.io.child import completes\n"
        "from ptychopinn.data.io.memory import reserved_bytes\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (reserved_bytes() + 200 * 2**20,) * 2)\n"
        "print(completes(lambda: None, 2**30))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
