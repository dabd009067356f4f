"""What is wrong with a scan is said by every command, and stands in metrics.json."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import simulate
from ptychopinn.data import Scan

QUICK = ["training.epochs=1", "model.generator.width=4", "model.generator.levels=2", "data.group_size=4"]
SMALL = ["simulation.object_size_px=96", "simulation.probe_size_px=32", "simulation.photons_per_pattern=1e5"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return replace(simulate(overrides=SMALL).scan, object_guess=None)


@pytest.fixture(scope="module")
def gap(scan) -> Scan:
    """A module gap of the largest number of its type, without a mask."""
    counts = scan.patterns.astype(np.uint32)
    counts[:, 15:17] = 2**32 - 1
    return replace(scan, patterns=counts)


def metrics(folder: Path) -> list[str]:
    problems: list[str] = json.loads((folder / "metrics.json").read_text())["scan_problems"]
    return problems


@pytest.mark.parametrize("command", ["run", "train", "reconstruct", "solve"])
def test_every_command_says_what_info_says(gap, tmp_path, caplog, command) -> None:
    known = list(ptychopinn.info(gap, overrides=QUICK).problems)
    assert any("--mask-pixels saturated" in sentence for sentence in known)
    caplog.clear()
    if command == "run":
        ptychopinn.run(gap, tmp_path, overrides=QUICK)
    elif command == "train":
        ptychopinn.train(gap, tmp_path, overrides=QUICK)
    elif command == "solve":
        ptychopinn.reconstruct(gap, None, tmp_path, refine=1, overrides=QUICK)
    else:
        made = ptychopinn.train(gap, overrides=QUICK)
        caplog.clear()
        ptychopinn.reconstruct(gap, made, tmp_path)
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert all(any(sentence in line for line in warned) for sentence in known)
    assert metrics(tmp_path) == known
    log = (tmp_path / "run.log").read_text()
    assert all(sentence in log for sentence in known)


def test_a_note_of_reading_a_file_is_logged_once(scan, tmp_path, caplog) -> None:
    """Reading logged it, and the command again."""
    path = tmp_path / "scan.npz"
    columns = {"xcoords": scan.positions_px[:, 1], "ycoords": scan.positions_px[:, 0]}
    np.savez(path, diff3d=scan.patterns, objectGuess=np.array(None), _metadata=np.array({}, dtype=object), **columns)
    ptychopinn.run(path, tmp_path / "run", overrides=QUICK)
    log = (tmp_path / "run" / "run.log").read_text()
    for words in ("There is no probe", "objectGuess is a pickled", "_metadata is a pickled"):
        assert log.count(words) == 1, log
        assert caplog.text.count(words) == 1
        assert any(words in sentence for sentence in metrics(tmp_path / "run"))
    caplog.clear()
    ptychopinn.convert(path, tmp_path / "scan.cxi")
    assert caplog.text.count("There is no probe") == 1


def test_frames_left_out_are_listed_in_the_metrics(scan, tmp_path) -> None:
    moved = scan.positions_px.copy()
    moved[5] = 4000
    ptychopinn.reconstruct(replace(scan, positions_px=moved), None, tmp_path, refine=1)
    assert "outlying: frame 5" in metrics(tmp_path)[0]


def test_several_scans_of_a_training_are_all_looked_at(scan, gap, tmp_path) -> None:
    ptychopinn.train([scan, gap], tmp_path, overrides=QUICK)
    assert any("largest one" in sentence for sentence in metrics(tmp_path))


def test_a_good_scan_has_no_problems(tmp_path) -> None:
    good = simulate(overrides=["simulation.object_size_px=150", "simulation.photons_per_pattern=1e6"]).scan
    ptychopinn.reconstruct(good, None, tmp_path, refine=1)
    assert metrics(tmp_path) == []


@pytest.mark.parametrize("factor", [1e-8, 1e-5, 1e-3])
def test_positions_in_metres_taken_for_pixels_are_named(scan, factor) -> None:
    close = replace(scan, positions_px=scan.positions_px * factor)
    assert any("within" in text and "--position-unit" in text for text in ptychopinn.info(close).problems)


def test_an_option_that_the_advice_names_mends_the_scan(gap, tmp_path) -> None:
    ptychopinn.write_scan(gap, tmp_path / "scan.npz")
    mended = ptychopinn.info(tmp_path / "scan.npz", overrides=["data.mask_pixels=saturated"])
    assert mended.saturated_pixels == 0
    assert mended.bad_pixel_fraction == pytest.approx(2 / 32)
