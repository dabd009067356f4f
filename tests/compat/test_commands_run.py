"""`ptycho_train`, `ptycho_inference` and `ptycho_evaluate` as a person runs them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptycho import params
from ptycho.commands.evaluate import main as evaluate
from ptycho.commands.inference import main as infer
from ptycho.commands.train import main as train
from ptychopinn import Recipe, Reconstruction
from ptychopinn.bundle import load_bundle
from ptychopinn.data import subsample

ROOT = Path(__file__).resolve().parents[2]
SCAN = ["object_size_px=52", "probe_size_px=16", "step_px=3"]
QUICK = ["--nepochs", "2", "--n_filters_scale", "1"]
TRAINING = {"recipe.yaml", "wts.h5.zip", "history.csv", "history.png", "checkpoints", "run.log"}
IMAGE = {
    "reconstruction.npz",
    "reconstruction.png",
    "reconstructed_amplitude.png",
    "reconstructed_phase.png",
    "metrics.json",
    "run.log",
}
PNG = b"\x89PNG"

Command = Callable[[list[str]], int]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, no backend asked for, and a legacy dictionary that is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PTYCHOPINN_BACKEND", raising=False)
    monkeypatch.setattr(params, "cfg", dict(params.DEFAULT_CFG))
    monkeypatch.setattr("ptychopinn.config.backend._is_installed", lambda: False)


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """121 patterns of 16 px."""
    path = tmp_path_factory.mktemp("scan") / "scan.npz"
    ptychopinn.simulate(path, overrides=[f"simulation.{setting}" for setting in SCAN])
    return path


@pytest.fixture(scope="module")
def model_dir(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ptycho_train` leaves."""
    folder = tmp_path_factory.mktemp("training") / "out"
    assert train(["--train_data_file", str(scan_file), "--output_dir", str(folder), "--quiet", *QUICK]) == 0
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_training_leaves_the_folder_of_a_run(model_dir: Path) -> None:
    recipe = Recipe.from_file(model_dir / "recipe.yaml")

    assert names(model_dir) == TRAINING
    assert (recipe.training.epochs, recipe.model.generator.width) == (2, 4)
    assert recipe.fitted is not None
    log = (model_dir / "run.log").read_text()
    assert "backend pytorch" in log
    assert "121 patterns, read as counts" in log


def test_the_bundle_carries_the_legacy_dictionary(model_dir: Path, scan_file: Path) -> None:
    bundle = load_bundle(model_dir)

    assert (bundle.params["N"], bundle.params["nepochs"], bundle.params["probe.trainable"]) == (16, 2, False)
    assert bundle.params["train_data_file_path"] == str(scan_file)
    assert bundle.recipe == Recipe.from_file(model_dir / "recipe.yaml")


def test_inference_writes_image_pictures_and_metrics(
    model_dir: Path, scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--output_dir", "recon"]
    assert infer(words) == 0

    assert names(tmp_path) == {"recon"}
    assert names(tmp_path / "recon") == IMAGE | {"recipe.yaml"}
    assert Reconstruction.load("recon").object_.shape == (52, 52)
    assert json.loads(Path("recon/metrics.json").read_text())["reference"]["psnr_phase"] > 10
    for name in IMAGE:
        if name.endswith(".png"):
            assert Path("recon", name).read_bytes().startswith(PNG)
    shown = capsys.readouterr()
    assert "phase PSNR" in shown.out
    assert "figure: recon/reconstruction.png" in shown.out
    assert "reconstructing 121/121" in shown.err


def test_training_with_test_data_reconstructs_them_too(scan_file: Path, tmp_path: Path) -> None:
    words = ["--train_data_file", str(scan_file), "--test_data_file", str(scan_file), "--output_dir", "out", "--quiet"]
    assert train([*words, *QUICK]) == 0
    assert infer(["--model_path", "out", "--test_data_file", str(scan_file), "--output_dir", "recon", "--quiet"]) == 0

    assert names(tmp_path / "out") == TRAINING | IMAGE
    np.testing.assert_allclose(Reconstruction.load("out").object_, Reconstruction.load("recon").object_, atol=1e-5)


def test_quiet_shows_nothing_but_warnings(scan_file: Path, model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--output_dir", "recon", "--quiet"]
    assert infer([*words, "--n_images", "5"]) == 0

    shown = capsys.readouterr()
    assert shown.out == ""
    text = " ".join(shown.err.split())
    assert "DeprecationWarning: --n_images is an old spelling; write --n_groups" in text
    assert "n_groups is not followed: every pattern is reconstructed" in text
    assert "reconstructing" not in text


def test_inference_of_a_part_of_the_patterns(scan_file: Path, model_dir: Path) -> None:
    words = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--quiet", "--n_subsample", "60"]
    for folder in ("1", "2"):
        assert infer([*words, "--subsample_seed", folder, "--output_dir", folder]) == 0

    scan = ptychopinn.read_scan(scan_file)
    for folder in ("1", "2"):
        chosen = subsample(scan, 60, "random", np.random.default_rng(int(folder)))
        np.testing.assert_array_equal(Reconstruction.load(folder).positions_px, chosen.positions_px)


@pytest.mark.slow
def test_patches_are_weighted_by_the_probe_where_no_window_is_asked_for(scan_file: Path, model_dir: Path) -> None:
    """The workflows stitch central windows, because clients name one; that costs the measured star 3 dB."""
    words = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--quiet"]
    assert (
        infer([*words, "--output_dir", "window", "--torch-middle-trim", "4", "--torch-inference-batch-size", "7"]) == 0
    )
    assert infer([*words, "--output_dir", "usual"]) == 0

    assert Recipe.from_file(model_dir / "recipe.yaml").reconstruction.weight == "probe"
    images = {folder: Reconstruction.load(folder).object_ for folder in ("window", "usual")}
    free = {"window": ["weight=central", "window_px=4"], "usual": ["weight=probe"]}
    for folder, settings in free.items():
        overrides = [f"reconstruction.{setting}" for setting in settings]
        same = ptychopinn.reconstruct(scan_file, model_dir, overrides=overrides).reconstruction
        np.testing.assert_allclose(images[folder], same.object_, atol=1e-5)
    assert not np.allclose(images["window"], images["usual"], atol=1e-5)


def test_a_model_of_the_core_command_is_reconstructed_too(scan_file: Path, tmp_path: Path) -> None:
    ptychopinn.train(scan_file, tmp_path / "out", overrides=["model.generator.width=2", "training.epochs=1"])

    assert infer(["--model_path", "out", "--test_data", str(scan_file), "--output_dir", "recon", "--quiet"]) == 0


def test_evaluate_scores_a_region_against_the_known_object(
    scan_file: Path, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(["--model_path", str(model_dir), "--test_data", str(scan_file), "--output_dir", "recon"]) == 0
    words = ["--reconstruction", "recon", "--ground_truth", str(scan_file), "--region", "15,35,16,38"]
    assert evaluate([*words, "--output-dir", "scores"]) == 0

    assert "[15, 35, 16, 38]" in capsys.readouterr().out
    assert names(tmp_path / "scores") == {"metrics.json", "evaluation.png", "frc.png"}


MISSING = {
    "train": (train, ["--output_dir", "out"], "--train_data_file"),
    "model": (infer, ["--test_data", "scan.npz", "--output_dir", "out"], "--model_path"),
    "test data": (infer, ["--model_path", "model", "--output_dir", "out"], "--test_data"),
    "reconstruction": (evaluate, ["--ground_truth", "scan.npz", "--output_dir", "out"], "--reconstruction"),
    "ground truth": (evaluate, ["--reconstruction", "recon", "--output_dir", "out"], "--ground_truth"),
    "scan file": (train, ["--train_data_file", "no.npz", "--output_dir", "out"], "no.npz: no such file"),
    "model file": (infer, ["--model_path", "no", "--test_data", "no.npz", "--output_dir", "out"], "no such model"),
    "unknown flag": (train, ["--nepoch", "3", "--output_dir", "out"], "did you mean --nepochs?"),
    "tensorflow": (
        train,
        ["--train_data_file", "no.npz", "--backend", "tensorflow"],
        "pip install 'ptychopinn[tensorflow]'",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_bad_input_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    command, words, said = MISSING[case]

    assert command(words) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert shown.out == ""
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--N", "64"], "--N is 64 but the patterns of"),
        (["--architecture", "vit"], "vit"),
        (["--batch_size", "0"], "batch_size"),
        (["--n_groups", "500", "--gridsize", "2"], "enable_oversampling"),
        (["--test_data_file", "no.npz"], "no.npz"),
    ],
)
def test_refused_settings_write_nothing(
    scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert train(["--train_data_file", str(scan_file), "--output_dir", "out", *QUICK, *words]) == 2

    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert names(tmp_path) == set()


def test_test_data_of_another_size_are_refused_before_training(
    scan_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ptychopinn.simulate(
        tmp_path / "large.npz", overrides=["simulation.object_size_px=52", "simulation.probe_size_px=24"]
    )
    words = ["--train_data_file", str(scan_file), "--test_data_file", "large.npz", "--output_dir", "out"]

    assert train([*words, *QUICK]) == 2
    assert "24 px" in capsys.readouterr().err
    assert names(tmp_path) == {"large.npz"}


def test_the_variable_is_obeyed_by_the_commands(
    scan_file: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PTYCHOPINN_BACKEND", "tensorflow")
    reconstruction = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--output_dir", "recon"]

    assert train(["--train_data_file", str(scan_file), "--output_dir", "out"]) == 2
    assert "unset PTYCHOPINN_BACKEND" in capsys.readouterr().err
    assert infer(reconstruction) == 2
    assert "pip install 'ptychopinn[tensorflow]'" in capsys.readouterr().err
    assert infer([*reconstruction, "--backend", "pytorch", "--quiet"]) == 0


def test_ctrl_c_ends_with_130(
    scan_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ptychopinn.api.backends.fit_prepared", interrupt)

    assert train(["--train_data_file", str(scan_file), "--output_dir", "out", *QUICK]) == 130
    *warnings, last = capsys.readouterr().err.strip().splitlines()
    assert last == "Interrupted."
    assert "Traceback" not in "".join(warnings)  # problems of the scan may be reported before


@pytest.mark.parametrize("script", ["training/train.py", "inference/inference.py"])
def test_scripts_run_from_any_directory_without_torch(tmp_path: Path, script: str) -> None:
    block = (
        "import sys; sys.modules['torch'] = None; import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    words = [sys.executable, "-c", block, str(ROOT / "scripts" / script), "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "--output_dir" in done.stdout
    assert "Example: ptycho_" in done.stdout
    assert names(tmp_path) == set()


def test_the_modules_of_the_other_package_train_and_reconstruct(scan_file: Path, tmp_path: Path) -> None:
    """They ended with 0 and did nothing once: a batch script believed that it had trained."""
    words = ["--train_data_file", scan_file, "--output_dir", "out", "--max_epochs", "1", "--accelerator", "cpu"]
    small = ["--gridsize", "2", "--n_filters_scale", "1", "--batch_size", "8", "--num-workers", "0", "--quiet"]
    done = _module("ptycho_torch.train", *words, *small)
    assert done.returncode == 0, done.stderr
    assert "wts.h5.zip" in names(tmp_path / "out")
    done = _module("ptycho_torch.inference", "--model_path", "out", "--test_data", scan_file, "--output_dir", "recon")
    assert done.returncode == 0, done.stderr
    assert {"reconstruction.npz", "reconstructed_phase.png"} <= names(tmp_path / "recon")
    for name in ("train", "inference"):
        refused = _module(f"ptycho_torch.{name}")
        assert refused.returncode != 0
        assert "is missing" in refused.stderr


def _module(name: str, *words: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", name, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pictures_of_a_reconstruction_can_be_asked_for(model_dir: Path, scan_file: Path, tmp_path: Path) -> None:
    words = ["--model_path", str(model_dir), "--test_data", str(scan_file), "--output_dir", "recon", "--verbose"]
    pictures = ["--comparison_plot", "--phase_vmin", "-0.5", "--phase_vmax", "0.5", "--debug_dump", "dump", "--quiet"]
    assert infer([*words, *pictures]) == 0
    assert "comparison.png" in names(tmp_path / "recon")
    assert names(tmp_path / "dump") == {"reconstruction.npz"}
    assert infer([*words, "--phase_vmin", "2", "--phase_vmax", "1"]) != 0


def test_a_model_is_scored_on_a_scan_in_one_command(model_dir: Path, scan_file: Path, tmp_path: Path) -> None:
    words = ["--model-dir", str(model_dir), "--test-data", str(scan_file), "--output-dir", "scores", "--quiet"]
    assert evaluate(words) == 0
    assert {"metrics.json", "reconstruction.npz"} <= names(tmp_path / "scores")


def test_plateau_and_stitching_have_their_flags(scan_file: Path) -> None:
    from ptycho.commands import train as command
    from ptycho.commands.settings import given_values

    values = given_values(
        command.OPTIONS, ["--torch-plateau-factor", "0.3", "--torch-plateau-min-lr", "1e-5", "--no_do_stitching"]
    )
    assert values == {"plateau_factor": 0.3, "plateau_min_lr": 1e-5, "do_stitching": False}
