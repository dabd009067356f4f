"""An option that would do nothing where it is given is refused, and is absent from the help where it never acts."""

from collections.abc import Callable
from pathlib import Path

import pytest

import ptychopinn
from ptychopinn.data import write_scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, noise_free: Callable) -> Path:
    """With `scan.npz` and the result `out/` of the solver."""
    place = tmp_path_factory.mktemp("dead")
    write_scan(noise_free(16, 2), place / "scan.npz")
    ptychopinn.reconstruct(place / "scan.npz", output=place / "out", refine=2)
    return place


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["campaign", "scan.npz", "-o", "c", "--settle", "3"], "--settle needs --watch"),
        (["campaign", "scan.npz", "-o", "c", "--idle", "3"], "--idle needs --watch"),
        (["recipe", "quick", "--overwrite"], "--overwrite needs -o"),
        (["convert", "scan.npz", "x.npz", "--split-by", "x"], "--split-by needs --split"),
        (["convert", "out", "x.npz", "--shuffle", "3"], "is taken for a reconstruction"),
        (["convert", "scan.npz", "x.npz", "--to", "pytorch"], "leave --to out"),
        (["convert", "scan.npz", "x.npz", "--rename", "diff3d=frames", "--to", "pytorch"], "leave --to out"),
        (["evaluate", "out", "--reference", "out/reconstruction.npz", "--domain", "counts"], "is a reconstruction"),
        (["info", "default", "--domain", "counts"], "is no scan"),
        (["reconstruct", "scan.npz", "-o", "r", "--probe", "model"], "without a model"),
        (["run", "scan.npz", "-o", "r", "--no-train", "--no-refine"], "nothing would make an image"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    ptycho: Callable, folder: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    outcome = ptycho(*words)

    assert outcome.code == 2
    assert told in " ".join(outcome.err.split())
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("line", ["study dose", "simulate", "study grid-lines", "train-prior", "watch"])
def test_commands_that_read_no_scan_file_have_no_options_for_that(ptycho: Callable, line: str) -> None:
    text = ptycho(*line.split(), "--help").out
    assert "How the scan is read" not in text
    assert "--detector-binning" not in text


def test_the_first_line_of_the_help_names_the_arguments_plainly(ptycho: Callable) -> None:
    assert ptycho("reconstruct", "--help").out.startswith("Usage: ptychopinn reconstruct [OPTIONS] SCAN...\n")
    assert ptycho("recipe", "--help").out.startswith("Usage: ptychopinn recipe [OPTIONS] [NAME]\n")
