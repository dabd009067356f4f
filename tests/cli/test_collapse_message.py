"""What a command says when an image has collapsed, and that it still ends well."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ptychopinn.cli.summary import show_metrics

NO_BETTER = "it explains the patterns no better than a flat object"


@pytest.mark.parametrize("verb", ["run", "train"])
def test_a_network_that_never_learns_ends_with_a_warning(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path, verb: str
) -> None:
    """Once on stderr, in the log, and in the metrics; the exit code stays 0."""
    alone = ["--no-refine"] if verb == "run" else []
    outcome = ptycho(verb, scan_file, "-o", tmp_path, *tiny, *alone, "--set", "training.learning_rate=1e-12")
    warnings = [line for line in outcome.err.splitlines() if NO_BETTER in line]
    assert outcome.code == 0
    assert len(warnings) == 1
    assert warnings[0].startswith("Warning: the image is flat or wrong")
    assert NO_BETTER not in outcome.out
    entry = json.loads((tmp_path / "metrics.json").read_text())["collapse"]
    assert entry["flat"] == ["amplitude", "phase"]
    assert entry["message"] in (tmp_path / "run.log").read_text()
    assert f"Warning: {entry['message']}." in outcome.err


def test_reconstruct_warns_too(ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path) -> None:
    ptycho("train", scan_file, "-o", tmp_path / "model", *tiny, "--set", "training.learning_rate=1e-12")
    outcome = ptycho("reconstruct", scan_file, "--model", tmp_path / "model", "-o", tmp_path / "image")
    assert (outcome.code, outcome.err.count(NO_BETTER)) == (0, 1)


def test_patterns_and_reference_are_both_heard(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"collapse": {"message": "the phase is gone"}, "reference": {"contrast_amplitude": 0.3}}
    show_metrics(metrics)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "Warning: the phase is gone."
    assert told[1].startswith("Warning: the amplitude has 0.30 times the contrast of the reference")


def test_a_sound_image_gives_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    show_metrics({"collapse": {"message": None}, "reference": {"contrast_amplitude": 0.9, "contrast_phase": None}})
    assert capsys.readouterr().err == ""
