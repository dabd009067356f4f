"""Each verb once, as a person would use it."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn import Recipe, Reconstruction, read_scan
from ptychopinn.bundle import load_bundle
from ptychopinn.cli.progress import ProgressDisplay

FILES = {
    "recipe.yaml",
    "wts.h5.zip",
    "reconstruction.npz",
    "reconstruction.png",
    "reconstruction_network.npz",
    "reconstruction_network.png",
    "history.csv",
    "history.png",
    "metrics.json",
    "run.log",
    "checkpoints",
}


def test_simulate_writes_a_scan_that_info_describes(ptycho: Callable, tmp_path: Path) -> None:
    path = tmp_path / "new" / "scan.npz"
    outcome = ptycho(
        "simulate",
        "-o",
        path,
        "--set",
        "simulation.object_size_px=52",
        "--set",
        "simulation.probe_size_px=16",
    )

    assert outcome.code == 0
    assert str(path) in outcome.out
    assert read_scan(path).pattern_size == 16
    described = ptycho("info", path).out
    assert "counts: stated in the metadata" in described
    assert "a calibrated probe" in described


def test_info_reads_as_it_is_told(ptycho: Callable, scan_file: Path) -> None:
    described = ptycho("info", scan_file, "--domain", "amplitude")

    assert "amplitude: given explicitly" in described.out
    assert "only if the patterns are counts and not amplitude" in described.out


@pytest.fixture(scope="module")
def finished(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """The folder of `ptychopinn run`, and what it printed."""
    folder = tmp_path_factory.mktemp("run") / "out"
    outcome = ptycho("run", scan_file, "-o", folder, "--threads", "1", *tiny)
    assert outcome.code == 0, outcome.err
    return folder, outcome.out, outcome.err


def test_run_leaves_all_files(finished: tuple[Path, str, str]) -> None:
    folder, out, _ = finished

    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "part_image.npz"}
    assert out.strip().endswith(f"figure: {folder / 'reconstruction.png'}")


def test_run_says_how_good_it_is_and_how_far(finished: tuple[Path, str, str]) -> None:
    _, out, err = finished

    assert "phase PSNR (peak 2 pi)" in out
    assert "training 2/2  loss " in err
    assert "reconstructing 121/121" in err


def test_run_says_which_image_is_the_result(finished: tuple[Path, str, str]) -> None:
    folder, out, err = finished

    assert f"image: {folder / 'reconstruction.npz'} (solver)" in err
    assert err.index("(solver)") < err.index("training 1/2")
    assert "result: solver; the solver's image explains the withheld photons better than the network's" in out
    assert f"the other image: {folder / 'reconstruction_network.npz'}" in out


def test_the_network_alone_warns_of_a_collapsed_image(
    ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path
) -> None:
    outcome = ptycho("run", scan_file, "-o", tmp_path, "--no-refine", *tiny)

    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {name for name in FILES if "_network" not in name}
    assert "the image may have collapsed" in outcome.err


def test_without_training_no_model_is_written(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("run", scan_file, "-o", tmp_path, "--no-train", "--set", "reconstruction.refine.iterations=2")

    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "reconstruction.npz",
        "reconstruction.png",
        "metrics.json",
        "recipe.yaml",
        "run.log",
    }
    assert "model:" not in outcome.out
    refused = ptycho("run", scan_file, "-o", tmp_path / "out", "--no-train", "--no-refine")
    assert refused.code == 2
    assert "--no-train and --no-refine must not be given together" in refused.err
    assert not (tmp_path / "out").exists()


def test_run_writes_what_the_formats_promise(finished: tuple[Path, str, str]) -> None:
    folder, _, _ = finished
    recipe = Recipe.from_file(folder / "recipe.yaml")
    metrics = json.loads((folder / "metrics.json").read_text())
    history = list(csv.DictReader((folder / "history.csv").open()))
    image = Reconstruction.load(folder)

    assert recipe.training.epochs == 2
    assert recipe.fitted is not None
    assert {"load_s", "train_s", "predict_s", "stitch_s", "write_s"} <= set(metrics["timings"])
    assert metrics["reference"]["psnr_phase"] > 10
    assert [float(row["epoch"]) for row in history] == [1.0, 2.0]
    assert image.object_.shape == (52, 52)
    assert image.origin_px.tolist() == [0, 0]
    assert load_bundle(folder / "wts.h5.zip").recipe == recipe


def test_run_log_says_what_ran_and_why(finished: tuple[Path, str, str]) -> None:
    log = (finished[0] / "run.log").read_text()

    assert "backend pytorch" in log
    assert "counts (stated in the metadata)" in log
    assert "intensity scale 1" in log


def test_reconstruct_with_a_saved_model_gives_the_image_of_the_run(
    ptycho: Callable, scan_file: Path, finished: tuple[Path, str, str], tmp_path: Path
) -> None:
    folder, _, _ = finished
    words = ["--model", folder / "wts.h5.zip", "--probe", "model", "-o", tmp_path / "recon"]
    outcome = ptycho("reconstruct", scan_file, *words)

    assert outcome.code == 0, outcome.err
    again = Reconstruction.load(tmp_path / "recon")
    of_run = Reconstruction.load(folder / "reconstruction_network.npz")
    np.testing.assert_allclose(again.object_, of_run.object_, atol=1e-5)
    assert outcome.out.strip().endswith(f"figure: {tmp_path / 'recon' / 'reconstruction.png'}")


def test_reconstruct_changes_only_what_training_left_open(
    ptycho: Callable, scan_file: Path, finished: tuple[Path, str, str], tmp_path: Path
) -> None:
    words = ["reconstruct", scan_file, "--model", finished[0], "-o", tmp_path / "recon"]

    refused = ptycho(*words, "--set", "model.generator.width=4")
    assert refused.code == 2
    assert "a trained model has fixed this setting" in refused.err
    assert not (tmp_path / "recon").exists()
    assert ptycho(*words, "--set", "reconstruction.weight=uniform", "--domain", "counts").code == 0


def test_evaluate_scores_a_region_and_draws_it(
    ptycho: Callable, scan_file: Path, finished: tuple[Path, str, str], tmp_path: Path
) -> None:
    image = finished[0] / "reconstruction.npz"
    words = ["evaluate", image, "--reference", scan_file, "--region", "15,35,16,38"]
    outcome = ptycho(*words, "-o", tmp_path / "scores")

    assert outcome.code == 0, outcome.err
    assert "[15, 35, 16, 38]" in outcome.out
    report = json.loads((tmp_path / "scores" / "metrics.json").read_text())["reference"]
    assert report["region"] == [15, 35, 16, 38]
    assert (tmp_path / "scores" / "evaluation.png").stat().st_size > 10_000


def test_evaluate_against_itself_finds_no_error(ptycho: Callable, finished: tuple[Path, str, str]) -> None:
    image = finished[0] / "reconstruction.npz"
    outcome = ptycho("evaluate", image, "--reference", image)

    assert re.search(r"amplitude SSIM +1\.000", outcome.out)


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "20,10,0,40", "0,40,0,4000"])
def test_evaluate_refuses_a_bad_region(ptycho: Callable, finished: tuple[Path, str, str], region: str) -> None:
    image = finished[0] / "reconstruction.npz"
    outcome = ptycho("evaluate", image, "--reference", image, "--region", region)

    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")


def test_verbose_tells_the_story(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    quiet = ptycho("simulate", "-o", tmp_path / "a.npz", "--set", "simulation.object_size_px=80")
    told = ptycho("simulate", "-o", tmp_path / "b.npz", "--set", "simulation.object_size_px=80", "-v")

    assert quiet.err == ""
    assert "simulated 4 patterns" in told.err


def test_named_options_win_over_the_recipe(ptycho: Callable, scan_file: Path, tiny: list[str], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("training: {device: cuda:7, seed: 5}\ndata: {group_size: 4}\n")
    before = torch.get_num_threads()
    words = ["train", scan_file, "-o", tmp_path / "out", "--config", recipe, "--device", "cpu", *tiny]

    assert ptycho(*words).code == 0
    assert torch.get_num_threads() == before
    written = Recipe.from_file(tmp_path / "out" / "recipe.yaml")
    assert (written.training.device, written.training.seed, written.data.group_size) == ("cpu", 5, 4)


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(interval_s=1e9) as shown:
        for epoch in range(1, 6):
            shown.on_epoch(epoch, 5, {"train_loss": 1 / epoch})

    assert capsys.readouterr().err == "training 1/5  loss 1\ntraining 5/5  loss 0.2\n"
