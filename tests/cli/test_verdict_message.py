"""The verdict stands at the end of every command that makes an image, in its log, its metrics and its result."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.cli.summary import show_verdict
from ptychopinn.data import Scan

SOLVER = [
    "simulation.object_size_px=64",
    "simulation.probe_size_px=32",
    "simulation.photons_per_pattern=1e5",
    "simulation.step_px=3.5",
]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return replace(ptychopinn.simulate(overrides=[*SOLVER, "simulation.seed=3110"]).scan, object_guess=None)


def test_a_right_scan_fits_without_a_warning(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ptychopinn"):
        result = ptychopinn.reconstruct(scan, refine=20)
    assert result.verdict is not None
    assert result.verdict.level == "fits"
    assert result.metrics["verdict"] == result.verdict.entry()
    records = [record for record in caplog.records if record.name == "ptychopinn.verdict"]
    assert [(record.levelno, record.getMessage()) for record in records] == [(logging.INFO, result.verdict.message)]


def test_a_wrong_geometry_is_a_warning(scan: Scan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wrong = replace(scan, positions_px=scan.positions_px[:, ::-1].copy())
    with caplog.at_level(logging.INFO, "ptychopinn"):
        result = ptychopinn.reconstruct(wrong, None, tmp_path, refine=10)
    assert result.verdict is not None
    assert result.verdict.level == "does not fit"
    assert result.verdict.causes[0].kind == "model"
    records = [record for record in caplog.records if record.name == "ptychopinn.verdict"]
    assert [record.levelno for record in records] == [logging.WARNING]
    assert json.loads((tmp_path / "metrics.json").read_text())["verdict"]["message"] == result.verdict.message
    assert result.verdict.message in (tmp_path / "run.log").read_text()


@pytest.mark.parametrize("verb", ["run", "reconstruct"])
def test_every_kind_of_result_has_one(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path, verb: str
) -> None:
    """A network, and the solver, from the command line."""
    outcome = ptycho(verb, scan_file, "-o", tmp_path, *(tiny if verb == "run" else ["--refine", "2"]))
    entry = json.loads((tmp_path / "metrics.json").read_text())["verdict"]
    shown = [line for line in (outcome.out + outcome.err).splitlines() if line.startswith("VERDICT: ")]
    assert outcome.code == 0
    assert shown == [f"VERDICT: {entry['message']}."]


@pytest.mark.parametrize(("level", "stream"), [("fits", "out"), ("fits in part", "err"), ("does not fit", "err")])
def test_where_it_is_shown(capsys: pytest.CaptureFixture[str], level: str, stream: str) -> None:
    show_verdict({"level": level, "message": "The image is [so]"})
    assert getattr(capsys.readouterr(), stream) == "VERDICT: The image is [so].\n"


def test_bad_pixels_do_not_count(scan: Scan) -> None:
    """The same where each pattern has a mask of its own."""
    broken, mask = scan.patterns.copy(), np.zeros(scan.patterns.shape[1:], bool)
    mask[8:10] = True
    broken[:, mask] = 0
    own = np.broadcast_to(mask, broken.shape)
    without, masked, each = (
        ptychopinn.reconstruct(replace(scan, patterns=broken, bad_pixels=bad), refine=20).verdict
        for bad in (None, mask, own)
    )
    assert without is not None
    assert masked is not None
    assert each is not None
    assert without.pixels.rows == (8, 9)
    assert (masked.level, each.level) == ("fits", "fits")
