"""`ptychopinn reconstruct --refine` and `--model none`."""

import json
from collections.abc import Callable
from pathlib import Path


def test_without_a_model_the_solver_makes_the_image(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho(
        "reconstruct", scan_file, "--model", "none", "--refine", 3, "-o", tmp_path, "--set", "model.probe.modes=2"
    )
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


def test_nothing_to_do_is_an_error(ptycho: Callable, scan_file: Path, model_file: Path, tmp_path: Path) -> None:
    for words, told in (
        (["--model", "none"], "give a number of iterations, as in --refine 50, or a model"),
        (["--model", model_file, "--config", tmp_path / "recipe.yaml"], "a recipe was given together with a model"),
    ):
        outcome = ptycho("reconstruct", scan_file, *words, "-o", tmp_path / "out")
        assert outcome.code != 0
        assert told in " ".join(outcome.err.split())
        assert not (tmp_path / "out").exists()
