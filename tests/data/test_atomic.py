"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ptychopinn.data import check_output_folder
from ptychopinn.data.io import atomic_path, write_text_atomically
from ptychopinn.errors import OutputError


def test_text_replaces_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "history.csv"
    target.write_text("old")
    assert write_text_atomically(target, "neu, größer") == target
    assert target.read_text(encoding="utf-8") == "neu, größer"
    assert os.listdir(tmp_path) == ["history.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ValueError])
def test_an_interrupted_block_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "wts.h5.zip"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as path:  # noqa: PT012
        path.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["wts.h5.zip"]


def test_the_temporary_file_lies_beside_the_target_with_its_extension(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "picture.png") as path:
        assert path.parent == tmp_path
        assert path.suffix == ".png"
        assert not (tmp_path / "picture.png").exists()
    assert (tmp_path / "picture.png").exists()


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text_atomically(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent.* does not exist; create it first"):
        write_text_atomically(tmp_path / "absent" / "a.txt", "")


def test_a_folder_with_the_name_of_the_target_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"a folder has that name; name another file"):
        write_text_atomically(tmp_path / "taken", "")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot be written .*in a folder that you may write to"):
        write_text_atomically(tmp_path / "file" / "a.txt", "")


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No space left.*free space"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_other_errors_of_the_block_keep_their_type(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "no such input").read_text()
    assert os.listdir(tmp_path) == []


def test_the_output_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    assert check_output_folder(folder) == folder
    assert folder.is_dir()
    assert os.listdir(folder) == []
    assert check_output_folder(folder) == folder


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_of_the_output_folder(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"a file is in the way; remove that file or name another"):
        check_output_folder(tmp_path / "taken" / below)


def test_an_output_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("ptychopinn.data.io.atomic.tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"cannot be used as an output folder \(Permission denied\)"):
        check_output_folder(tmp_path)


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_never_replaced(tmp_path: Path, linked: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    target = tmp_path / "pipe"
    if linked:
        target = tmp_path / "metrics.json"
        target.symlink_to(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a pipe, a device or a socket"):
        write_text_atomically(target, "text")
    assert (tmp_path / "pipe").is_fifo()


def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    code = (
        "import os, sys; from ptychopinn.data.io.atomic import atomic_path\nwith atomic_path(sys.argv[1]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "note.txt")], check=False)
    left = list(tmp_path.iterdir())
    assert len(left) == 1
    with atomic_path(tmp_path / "other.txt") as ours:
        check_output_folder(tmp_path)
        assert not left[0].exists()
        assert ours.exists()
