"""Scans are found in folders, by patterns and in lists, once each; new files are taken when they are complete."""

import os
import shutil
import time
from pathlib import Path

import pytest

import ptychopinn
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.studies.campaign.sources import Arrivals, Sources

SCAN = ["simulation.object_size_px=32", "simulation.probe_size_px=16", "simulation.step_px=5"]


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ptychopinn.simulate(tmp_path_factory.mktemp("scan") / "scan.npz", overrides=SCAN).path


@pytest.fixture
def folder(scan_file: Path, tmp_path: Path) -> Path:
    """Two scans, a torn one, and what is no scan."""
    data = tmp_path / "data"
    (data / "deeper").mkdir(parents=True)
    for name in ("a.npz", "b.npz", "deeper/a.npz"):
        shutil.copy(scan_file, data / name)
    (data / "torn.npz").write_bytes(scan_file.read_bytes()[:2000])
    (data / "notes.md").write_text("no scan")
    (data / ".hidden.npz").write_bytes(b"")
    os.mkfifo(data / "pipe.npz")
    return data


def names(sources: list[str | Path], output: Path) -> list[str]:
    return [one.name for one in Sources(sources, output).scans()]


def test_a_folder_gives_its_scans_and_those_that_are_damaged(folder: Path, tmp_path: Path) -> None:
    assert names([folder], tmp_path / "out") == ["a", "b", "torn"]


def test_patterns_lists_and_files_give_each_scan_once(folder: Path, tmp_path: Path) -> None:
    (folder / "link.npz").symlink_to(folder / "a.npz")
    (folder / "some.txt").write_text("# of Monday\n\nb.npz\n./a.npz\n")
    assert names([f"{folder}/**/a.npz"], tmp_path / "out") == ["a", "a"]
    assert names([folder / "some.txt", folder / "link.npz", folder / "deeper" / ".." / "a.npz"], tmp_path) == []
    assert names([folder / "some.txt", folder / "link.npz"], tmp_path / "out") == ["b", "a"]


def test_results_are_not_taken_for_scans(scan_file: Path, folder: Path) -> None:
    output = folder / "out"
    ptychopinn.reconstruct(
        scan_file, None, output / "a", refine=1, overrides=["reconstruction.check=false", "reconstruction.prior=none"]
    )
    shutil.copy(output / "a" / "reconstruction.npz", folder / "image.npz")
    assert names([folder, f"{folder}/out/*/*.npz"], output) == ["a", "b", "torn"]


@pytest.mark.parametrize(
    ("source", "message"),
    [("nothere.npz", "no such file or folder"), ("bad.txt", "line 2: no such file 'gone.npz'"), ("x\0.npz", "zero")],
)
def test_what_was_named_must_be_there(folder: Path, tmp_path: Path, source: str, message: str) -> None:
    (folder / "bad.txt").write_text("a.npz\ngone.npz\n")
    with pytest.raises(ScanError, match=message):
        names([f"{folder}/{source}"], tmp_path / "out")


def test_nothing_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no scans are given"):
        Sources([], tmp_path)


def test_a_file_is_complete_when_it_rests_and_can_be_read(scan_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    sources, arrivals = Sources([data], tmp_path / "out"), Arrivals(0.2)
    whole = scan_file.read_bytes()

    def complete() -> list[str]:
        return [one.name for one in arrivals.complete(sources.scans())]

    with (data / "new.npz").open("wb") as file:
        for part in (whole[:1000], whole[1000:3000]):
            file.write(part)
            file.flush()
            assert complete() == []
            assert list(arrivals.waiting.values()) == ["it has changed a moment ago"]
        time.sleep(0.3)
        assert complete() == []
        assert "not finished" in arrivals.waiting[data.resolve() / "new.npz"]
        file.write(whole[3000:])
    assert complete() == []
    time.sleep(0.3)
    assert complete() == ["new"]
    assert arrivals.waiting == {}
