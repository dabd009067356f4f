"""`ptychopinn reconstruct` without a model, and with `--refine`."""

import json
from collections.abc import Callable
from pathlib import Path


def test_without_a_model_the_solver_makes_the_image(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", scan_file, "--refine", 3, "-o", tmp_path, "--set", "model.probe.modes=2")
    assert outcome.code == 0, outcome.err
    assert "refining 3/3" in outcome.err
    assert "refining" in outcome.out
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["refine"]["iterations"] == 3
    assert "refined 3/3" in (tmp_path / "run.log").read_text()
    assert (tmp_path / "reconstruction.png").stat().st_size > 0


def test_a_networks_image_is_refined(ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("reconstruct", scan_file, "--model", model_file, "--refine", 2, "-o", tmp_path)
    assert outcome.code == 0, outcome.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["timings"]["predict_s"] > 0
    assert len(metrics["refine"]["deviance_of_iterations"]) == 2


def test_the_word_none_stands_for_no_model(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    """Scripts of the first version give it."""
    outcome = ptycho("reconstruct", scan_file, "--model", "none", "--refine", 1, "-o", tmp_path)
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "metrics.json").read_text())["refine"]["iterations"] == 1


def test_the_help_does_not_mention_none(ptycho: Callable) -> None:
    words = ptycho("reconstruct", "--help").out.replace("│", " ").split()
    text = " ".join(words)
    model = text.partition("--model")[2].partition("--refine")[0]
    assert "none" not in model.lower()
    assert "28 to 40 by the dose if not given" in text


def test_what_contradicts_itself_is_refused(
    ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "recipe.yaml"
    other.write_text("model: {generator: {width: 9}}\nreconstruction: {weight: uniform}\n", encoding="utf-8")
    for words, told in (
        (["--refine", 0], "refine must be at least 1 without a model, got 0"),
        (["--probe", "model"], "probe must be 'scan' or 'auto' without a model, got 'model'"),
        (["--model", model_file, "--config", other], "model.generator.width is 9 here but"),
    ):
        outcome = ptycho("reconstruct", scan_file, *words, "-o", tmp_path / "out")
        assert outcome.code == 2
        assert told in " ".join(outcome.err.split())
        assert not (tmp_path / "out").exists()
