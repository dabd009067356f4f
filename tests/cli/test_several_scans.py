"""`ptychopinn reconstruct SCAN...`: a folder for each scan, what is done is left out, what fails stops no other."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ptychopinn import Reconstruction
from ptychopinn.api import reconstruct as module
from ptychopinn.cli.several import FINISHED, INCOMPLETE, folder_names
from ptychopinn.errors import ConfigError

QUICK = ["--refine", "2", "--set", "reconstruction.check=false"]


@pytest.fixture
def scans(scan_file: Path, tmp_path: Path) -> list[Path]:
    """Two scans of one name."""
    made = [tmp_path / folder / "scan.npz" for folder in ("monday", "tuesday")]
    for path in made:
        path.parent.mkdir()
        path.write_bytes(scan_file.read_bytes())
    return made


def test_scans_of_one_name_have_folders_of_their_own(ptycho: Callable, scans: list[Path], tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", *scans, "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 0, outcome.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["monday_scan", "tuesday_scan"]
    for name in ("monday_scan", "tuesday_scan"):
        assert Reconstruction.load(tmp_path / "out" / name).object_.shape == (52, 52)
    assert "scans 1/2" in outcome.err
    assert str(tmp_path / "out" / "tuesday_scan" / "reconstruction.png") in outcome.out
    assert outcome.out.index("verdict") > outcome.out.index("reconstruction.png")


def test_a_scan_that_fails_does_not_stop_the_others(ptycho: Callable, scans: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"no scan")
    outcome = ptycho("reconstruct", bad, tmp_path / "none.npz", scans[0], "-o", tmp_path / "out", *QUICK)

    assert outcome.code == INCOMPLETE
    assert f"2 of 3 scans failed: {bad}, {tmp_path / 'none.npz'}" in outcome.err
    assert (tmp_path / "out" / "scan" / "reconstruction.npz").is_file()
    assert not (tmp_path / "out" / "bad").exists()


def test_a_fault_of_the_program_stops_no_other_scan(
    ptycho: Callable, scans: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module.reconstruct

    def faulty(scan: Path, *given: object, **named: object) -> object:
        if scan == scans[0]:
            raise RuntimeError("a bug")
        return whole(scan, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "reconstruct", faulty)
    outcome = ptycho("reconstruct", *scans, "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 1
    assert "a fault of the program (RuntimeError: a bug)" in outcome.err
    assert (tmp_path / "out" / "tuesday_scan" / "reconstruction.npz").is_file()


def test_ctrl_c_stops_all(ptycho: Callable, scans: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "reconstruct", stopped)
    outcome = ptycho("reconstruct", *scans, "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 130
    assert outcome.err.count("Interrupted") == 1


def test_what_is_done_is_left_out_until_something_changes(ptycho: Callable, scans: list[Path], tmp_path: Path) -> None:
    words = ["reconstruct", *scans, "-o", tmp_path / "out", *QUICK, "--skip-done"]
    image = tmp_path / "out" / "monday_scan" / "reconstruction.npz"

    def changed(*more: str) -> list[bool]:
        before = [path.stat().st_mtime_ns for path in images]
        outcome = ptycho(*words, *more)
        assert outcome.code == 0, outcome.err
        return [path.stat().st_mtime_ns != old for path, old in zip(images, before, strict=True)]

    images = [image, tmp_path / "out" / "tuesday_scan" / "reconstruction.npz"]
    assert ptycho(*words).code == 0
    assert changed() == [False, False]
    os.utime(scans[1])
    assert changed() == [False, True]
    assert changed("--set", "reconstruction.min_coverage=0.02") == [True, True]
    finished = image.parent / FINISHED
    finished.write_text(json.dumps({"stated": 3}))
    assert changed("--set", "reconstruction.min_coverage=0.02") == [True, False]


def test_one_scan_is_written_into_the_folder_itself(ptycho: Callable, scans: list[Path], tmp_path: Path) -> None:
    words = ["reconstruct", scans[0], "-o", tmp_path / "out", *QUICK, "--skip-done"]

    assert ptycho(*words).code == 0
    assert (tmp_path / "out" / "reconstruction.npz").is_file()
    assert "done before" in ptycho(*words).out


def test_what_is_wrong_for_all_scans_is_said_once(ptycho: Callable, scans: list[Path], tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", *scans, "-o", tmp_path / "out", "--set", "training.epoch=1")

    assert outcome.code == 2
    assert outcome.err.count("did you mean") == 1


def test_a_scan_is_given_once() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        folder_names([Path("a/scan.npz"), Path("a/../a/scan.npz")])


@pytest.mark.parametrize(
    "scans",
    [
        ["a/x.npz", "a/x.cxi", "b/x.npz"],
        ["a/b_x.npz", "b/x.npz", "c/x.npz"],
        ["r/a/x.npz", "s/a/x.npz", "s/a_x.npz"],
        ["one/two/x.npz", "one/two_x.npz", "two_x/x.npz"],
    ],
)
def test_no_two_scans_have_one_folder(scans: list[str]) -> None:
    names = folder_names([Path(scan) for scan in scans])

    assert len(set(names)) == len(scans)
    assert all("/" not in name for name in names)
