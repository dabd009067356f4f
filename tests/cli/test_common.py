"""`ptychopinn reconstruct A B --common ...`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptychopinn import Reconstruction, read_scan, write_scan

QUICK = ["--refine", "2", "--set", "reconstruction.check=false"]


@pytest.fixture(scope="module")
def parts(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files with every second pattern of a scan."""
    scan, folder = read_scan(scan_file), tmp_path_factory.mktemp("parts")
    index = np.arange(len(scan))
    return [write_scan(scan.select(index[first::2]), folder / f"part_{first}.npz") for first in range(2)]


@pytest.mark.parametrize("common", ["object", "probe", "both"])
def test_each_scan_has_a_folder(ptycho: Callable, parts: list[Path], tmp_path: Path, common: str) -> None:
    outcome = ptycho("reconstruct", *parts, "--common", common, "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 0, outcome.err
    images = [Reconstruction.load(tmp_path / "out" / path.stem) for path in parts]
    assert [len(image.positions_px) for image in images] == [61, 60]
    words = {"object": "each with its own probe", "probe": "each of its own object", "both": "with one probe"}
    assert all(words[common] in image.metadata["method"] for image in images)
    assert (tmp_path / "out" / "common_object.npz").is_file() == (common != "probe")
    assert "part_0:" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "some.zip"], "--model must not be given with --common"),
        (["--dry-run"], "--dry-run must not be given with --common"),
        (["--skip-done"], "--skip-done must not be given with --common"),
        (["--probe", "model"], "--probe model must not be given with --common"),
    ],
)
def test_options_that_do_not_go_together(
    ptycho: Callable, parts: list[Path], tmp_path: Path, words: list[str], message: str
) -> None:
    outcome = ptycho("reconstruct", *parts, "--common", "object", "-o", tmp_path / "out", *words)

    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert not (tmp_path / "out").exists()


def test_a_network_is_trained_with_the_probe_that_each_scan_had(
    ptycho: Callable, parts: list[Path], tmp_path: Path
) -> None:
    """As docs/dev/together.md states it: reconstruct, give each scan its probe, train on all."""
    assert ptycho("reconstruct", *parts, "--common", "object", "-o", tmp_path / "first", *QUICK).code == 0
    found = []
    for path in parts:
        image, target = tmp_path / "first" / path.stem / "reconstruction.npz", tmp_path / path.name
        assert ptycho("convert", path, target, "--probe", image).code == 0
        np.testing.assert_array_equal(read_scan(target).probe, Reconstruction.load(image).probe)
        assert np.abs(read_scan(target).probe - read_scan(path).probe).max() > 0
        found.append(target)
    quick = [f"--set={name}" for name in ("model.generator.width=2", "model.generator.levels=2", "training.epochs=1")]
    outcome = ptycho("train", *found, "-o", tmp_path / "model", *quick)

    assert outcome.code == 0, outcome.err
    assert (tmp_path / "model" / "wts.h5.zip").is_file()


def test_scores_by_withheld_photons_are_shown(ptycho: Callable, parts: list[Path], tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", *parts, "--common", "object", "--held-out", "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 0, outcome.err
    assert " ".join(outcome.out.split()).count("the withheld photons of this scan are explained") == 2


def test_held_out_scores_need_scans_together(ptycho: Callable, parts: list[Path], tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", *parts, "--held-out", "-o", tmp_path / "out", *QUICK)

    assert outcome.code == 2
    assert "--held-out must be given with --common" in " ".join(outcome.err.split())
    assert not (tmp_path / "out").exists()


def test_one_scan_is_refused(ptycho: Callable, parts: list[Path], tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", parts[0], "--common", "object", "-o", tmp_path / "out")

    assert outcome.code == 2
    assert "--common needs two or more scans, got 1" in " ".join(outcome.err.split())
