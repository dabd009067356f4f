"""Rows, seeds and a table: what a grid-lines study writes, what it does not do twice, and what it refuses."""

import csv
import json
import re
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ptychopinn import PtychoPINNError
from ptychopinn.cli import app
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.studies.grid_lines import study as study_module
from ptychopinn.studies.grid_lines.artifacts import (
    cut_to_truth,
    render_grid_lines_visuals,
    save_recon_artifact,
    score_on_truth,
)
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import make_grid_lines
from ptychopinn.studies.grid_lines.study import GridLinesStudy, study_grid_lines
from ptychopinn.studies.grid_lines.tables import shortfall
from ptychopinn.studies.trial import Trial

SMALL = GridLinesConfig(N=16, size=48, nimgs_train=1, nphotons=1e6, set_phi=True)
TINY = ["model.generator.width=2", "model.generator.levels=2", "training.threads=1"]
RUNNER = Path(__file__).resolve().parents[3] / "scripts" / "studies" / "grid_lines_torch_runner.py"


def study(output: Path, **changes: Any) -> GridLinesStudy:
    settings: dict[str, Any] = {"architectures": ["cnn"], "seeds": [0, 1], "epochs": 1, "overrides": TINY} | changes
    return study_grid_lines(settings.pop("data", SMALL), output, **settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GridLinesStudy]:
    """Two rows with two seeds each."""
    folder = tmp_path_factory.mktemp("study")
    return folder, study(folder)


@pytest.fixture
def trained_rows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that training was asked for."""
    asked: list[str] = []
    train = study_module.train

    def note(scans: Any, folder: Path, *rest: Any, **more: Any) -> Any:
        asked.append(folder.name)
        return train(scans, folder, *rest, **more)

    monkeypatch.setattr(study_module, "train", note)
    return asked


@pytest.fixture(scope="module")
def runner() -> SimpleNamespace:
    """The names of the script."""
    return SimpleNamespace(**runpy.run_path(str(RUNNER)))


def report(**changes: Any) -> dict[str, Any]:
    return {"contrast_amplitude": 1.0, "contrast_phase": None, "ssim_amplitude": 0.9} | changes


def test_every_run_keeps_recipe_history_and_environment(made: tuple[Path, GridLinesStudy]) -> None:
    folder, _ = made
    runs = sorted(path.name for path in (folder / "runs").iterdir())
    assert runs == ["baseline_seed0", "baseline_seed1", "pinn_cnn_seed0", "pinn_cnn_seed1"]
    for run in runs:
        for name in ("recipe.yaml", "history.csv", "run.json", "reconstruction.npz"):
            assert (folder / "runs" / run / name).is_file()
        facts = json.loads((folder / "runs" / run / "environment.json").read_text())
        assert {"python", "torch", "processor", "threads"} <= set(facts)
    assert "kind: supervised" in (folder / "runs" / "baseline_seed0" / "recipe.yaml").read_text()


def test_images_of_the_first_seed_lie_beside_the_truth(made: tuple[Path, GridLinesStudy]) -> None:
    folder, done = made
    with (
        np.load(folder / "recons" / "pinn_cnn" / "recon.npz") as recon,
        np.load(folder / "recons" / "gt" / "recon.npz") as truth,
        np.load(folder / "datasets" / "N16" / "gs1" / "test.npz") as test,
    ):
        np.testing.assert_array_equal(truth["YY_pred"], test["YY_ground_truth"][..., 0])
        assert recon["YY_pred"].shape == truth["YY_pred"].shape
        np.testing.assert_allclose(recon["amp"] * np.exp(1j * recon["phase"]), recon["YY_pred"], rtol=1e-4)
        np.testing.assert_array_equal(recon["with_margin"][8:-8, 8:-8], recon["YY_pred"])
        scored = score_on_truth(recon["with_margin"], truth["YY_pred"], recon["covered"]).report
    assert scored["ssim_amplitude"] == pytest.approx(done.trials[0].report["ssim_amplitude"])
    assert (folder / "visuals" / "compare_amp_phase.png").is_file()
    assert (folder / "visuals" / "frc.png").is_file()


def test_table_is_what_the_reports_say(made: tuple[Path, GridLinesStudy]) -> None:
    folder, done = made
    rows = json.loads((folder / "metrics.json").read_text())["rows"]
    with (folder / "metrics_table.csv").open() as file:
        table = {line["row"]: line for line in csv.DictReader(file)}
    text = (folder / "metrics_table.md").read_text()
    assert list(table) == list(rows) == ["pinn_cnn", "baseline"]
    for name, row in rows.items():
        for key, digits in (("ssim_amplitude", 3), ("contrast_amplitude", 2), ("contrast_phase", 2)):
            first, second = (row["seeds"][seed]["report"][key] for seed in ("0", "1"))
            mean, deviation = (first + second) / 2, abs(first - second) / 2**0.5
            assert float(table[name][f"{key}_mean"]) == pytest.approx(mean)
            assert float(table[name][f"{key}_std"]) == pytest.approx(deviation)
            assert f"{mean:.{digits}f} ± {deviation:.{digits}f}" in text
    assert "- hardware: " in text
    assert [trial.seed for trial in done.trials] == [0, 1, 0, 1]


def test_a_row_without_contrast_is_marked_as_no_result(made: tuple[Path, GridLinesStudy]) -> None:
    folder, done = made
    contrasts = [trial.report["contrast_amplitude"] for trial in done.trials]
    assert max(contrasts) < 0.8, "one epoch must not be enough for this test to mean anything"
    text = (folder / "metrics_table.md").read_text()
    assert text.count("NO RESULT: contrast of seed 0, 1") == 2
    assert re.search(r"\| pinn_cnn \| NO RESULT[^|]*\| 0 1 \| \(", text)
    assert not any(row["is_result"] for row in json.loads((folder / "metrics.json").read_text())["rows"].values())


def test_only_unfinished_runs_are_run_again(
    made: tuple[Path, GridLinesStudy], tmp_path: Path, trained_rows: list[str]
) -> None:
    folder, before = made
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    (again / "runs" / "pinn_cnn_seed1" / "run.json").unlink()
    after = study(again)
    assert trained_rows == ["pinn_cnn_seed1"]
    assert [trial.report for trial in after.trials] == [trial.report for trial in before.trials]
    assert [trial.train_s for trial in after.trials[2:]] == [trial.train_s for trial in before.trials[2:]]


@pytest.mark.parametrize("changes", [{"epochs": 2}, {"data": SMALL.changed(seed=5)}])
def test_other_settings_or_data_are_another_run(
    made: tuple[Path, GridLinesStudy], tmp_path: Path, trained_rows: list[str], changes: dict[str, Any]
) -> None:
    again = tmp_path / "again"
    shutil.copytree(made[0], again)
    study(again, seeds=[0], baseline=False, **changes)
    assert trained_rows == ["pinn_cnn_seed0"]


@pytest.mark.parametrize(("gridsize", "group_size"), [(1, 1), (2, 4)])
def test_gridsize_is_the_size_of_a_group(tmp_path: Path, gridsize: int, group_size: int) -> None:
    data = SMALL.changed(gridsize=gridsize)
    study(tmp_path, data=data, seeds=[0], baseline=False)
    assert f"group_size: {group_size}\n" in (tmp_path / "runs" / "pinn_cnn_seed0" / "recipe.yaml").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["cnn", "resnet99"]}, "resnet99"),
        ({"architectures": []}, "one or more of"),
        ({"architectures": ["cnn", "cnn"]}, "none twice"),
        ({"seeds": [1, 1]}, "none twice"),
        ({"seeds": []}, "one of each"),
        ({"overrides": ["data.group_size=9"]}, "--gridsize"),
        ({"overrides": ["training.sed=9"]}, "sed"),
        ({"data": SMALL.changed(nimgs_test=2)}, "2 test objects"),
        ({"data": ("train.npz", "test.npz")}, "train.npz: no such file"),
    ],
)
def test_refused_before_anything_is_written(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PtychoPINNError, match=re.escape(message)):
        study(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_parts_of_two_data_sets_are_refused(made: tuple[Path, GridLinesStudy], tmp_path: Path) -> None:
    other = study_module.write_grid_lines(make_grid_lines(SMALL.changed(gridsize=2)), tmp_path)
    with pytest.raises(PtychoPINNError, match="two parts of one data set"):
        study(tmp_path / "out", data=(made[0] / "datasets" / "N16" / "gs1" / "train.npz", other[1]))


def test_the_training_object_is_no_test(made: tuple[Path, GridLinesStudy], tmp_path: Path) -> None:
    train = made[0] / "datasets" / "N16" / "gs1" / "train.npz"
    with pytest.raises(PtychoPINNError, match="never saw"):
        study(tmp_path / "out", data=(train, train))


def test_the_true_object_as_reconstruction_has_full_marks() -> None:
    test = make_grid_lines(SMALL).test
    cut = test.scene.objects[0][1:, 2:] / np.float32(test.norm)
    image = Reconstruction(cut, np.ones(cut.shape), np.array([1, 2]), np.zeros((0, 2)), np.ones((1, 16, 16)))
    recon, covered = cut_to_truth(image, test)
    np.testing.assert_allclose(recon[8:-8, 8:-8], test.truth[0], rtol=1e-5)
    assert covered[8:-8, 8:-8].all()
    scored = score_on_truth(recon, test.truth[0], covered).report
    assert scored["ssim_amplitude"] == pytest.approx(1, abs=1e-4)
    assert scored["contrast_amplitude"] == pytest.approx(1, abs=1e-4)


def test_a_shifted_image_is_scored_to_the_very_edge() -> None:
    test = make_grid_lines(SMALL.changed(size=96)).test
    image = test.scene.objects[0] / np.float32(test.norm)
    shifted = Reconstruction(
        image, np.ones(image.shape), np.array([2, -1]), np.zeros((0, 2)), np.ones((1, 16, 16), complex)
    )
    recon, covered = cut_to_truth(shifted, test)
    scored = score_on_truth(recon, test.truth[0], covered).report
    assert np.allclose(np.abs(scored["shift_px"]), [2, 1], atol=0.01)
    assert scored["contrast_amplitude"] == pytest.approx(1, abs=1e-3)
    assert scored["mae_amplitude"] < 1e-3 * test.norm


def test_published_numbers_are_compared_with_the_best_result() -> None:
    def row(name: str, **changes: Any) -> list[Trial]:
        return [Trial(name, 1, 0, report(**changes), 1.0, 1.0)]

    rows = [row("pinn_a", ssim_amplitude=0.85), row("pinn_b", ssim_amplitude=0.99, contrast_amplitude=0.1)]
    rows.append(row("baseline", ssim_amplitude=0.98))
    assert "not reached, 0.054 short; the best row is pinn_a with 0.850" in shortfall(rows, 0.904)
    assert "reached; the best row is pinn_a" in shortfall(rows, 0.85)
    assert "no self-supervised row is a result" in shortfall(rows[1:], 0.904)


def test_visuals_of_images_saved_by_hand(tmp_path: Path) -> None:
    truth = make_grid_lines(SMALL).test.truth[0]
    for label, image in (("gt", truth[..., None]), ("mine", 2 * truth)):
        save_recon_artifact(tmp_path, label, image)
    paths = render_grid_lines_visuals(tmp_path, ["gt", "mine"])
    assert paths == {
        "compare": tmp_path / "visuals" / "compare_amp_phase.png",
        "frc": tmp_path / "visuals" / "frc.png",
    }
    assert all(path.is_file() for path in paths.values())


@pytest.mark.parametrize("recon", [np.ones((4, 4)), np.ones((2, 4, 4), complex)])
def test_what_is_no_image_is_not_saved(tmp_path: Path, recon: np.ndarray) -> None:
    with pytest.raises(PtychoPINNError, match="no image"):
        save_recon_artifact(tmp_path, "mine", recon)


def test_visuals_need_images(tmp_path: Path) -> None:
    with pytest.raises(PtychoPINNError, match="holds no image"):
        render_grid_lines_visuals(tmp_path)


def test_command_ends_with_its_table(tmp_path: Path) -> None:
    words = ["study", "grid-lines", "--N", "16", "--data", "size=48", "--data", "nimgs_train=1", "--no-baseline"]
    words += ["--architectures", "cnn", "--seeds", "0", "--epochs", "1", "-o", str(tmp_path)]
    words += [word for setting in TINY for word in ("--set", setting)]
    outcome = CliRunner().invoke(app, words, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.stderr
    assert "| pinn_cnn | " in outcome.stdout
    assert "study 1/1  pinn_cnn, seed 0" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sim-backend", "numpy"], "no such simulator"),
        (["--seeds", "a"], "whole numbers between commas"),
        (["--data", "size"], "KEY=VALUE"),
        (["--data", "sise=48"], "sise"),
        (["--architectures", "resnet99"], "resnet99"),
    ],
)
def test_mistakes_end_with_one_sentence(tmp_path: Path, words: list[str], message: str) -> None:
    outcome = CliRunner().invoke(app, ["study", "grid-lines", "-o", str(tmp_path / "out"), *words])
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_the_runner_exports_its_helpers(runner: SimpleNamespace) -> None:
    assert runner.save_recon_artifact is save_recon_artifact
    assert runner.render_grid_lines_visuals is render_grid_lines_visuals


def test_the_loss_mode_is_poisson_unless_asked(
    runner: SimpleNamespace, made: tuple[Path, GridLinesStudy], tmp_path: Path
) -> None:
    data = made[0] / "datasets" / "N16" / "gs1"
    words = ["--train-npz", str(data / "train.npz"), "--test-npz", str(data / "test.npz"), "--N", "16"]
    words += ["--epochs", "1", "--batch-size", "8", "--realspace-weight", "0.5"]
    words += [word for setting in TINY for word in ("--set", setting)]
    for mode, weights in (("poisson", (1.0, 0.0)), ("mae", (0.0, 1.0))):
        given = [] if mode == "poisson" else ["--torch-loss-mode", mode]
        assert runner.main([*words, *given, "--output-dir", str(tmp_path / mode)]) == 0
        recipe = (tmp_path / mode / "runs" / "pinn_cnn_seed0" / "recipe.yaml").read_text()
        assert f"poisson_weight: {weights[0]}\n    amplitude_mae_weight: {weights[1]}\n" in recipe
        assert "realspace_mae_weight: 1.0\n    realspace_weight: 0.5\n" in recipe
        assert "patterns_per_step: 8\n" in recipe


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sim-backend", "numpy"], "no such simulator; use one of torch, tf"),
        (["--architecture", "resnet99"], "resnet99"),
        (["--test-npz", "test.npz"], "--train-npz"),
    ],
)
def test_the_runner_refuses_in_one_sentence(
    runner: SimpleNamespace, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], message: str
) -> None:
    assert runner.main([*words, "--output-dir", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_runner_refuses_files_of_another_size(
    runner: SimpleNamespace, made: tuple[Path, GridLinesStudy], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = made[0] / "datasets" / "N16" / "gs1"
    words = ["--train-npz", str(data / "train.npz"), "--test-npz", str(data / "test.npz"), "--gridsize", "2"]
    assert runner.main([*words, "--output-dir", str(tmp_path / "out")]) == 2
    assert "the data have 16 and 1" in capsys.readouterr().err


@pytest.mark.shared_data
def test_the_runner_trains_on_data_of_the_tensorflow_simulator(
    runner: SimpleNamespace, shared_dir: Path, tmp_path: Path
) -> None:
    data = str(shared_dir / "parity" / "baseline_dataset.npz")
    words = ["--train-npz", data, "--test-npz", data, "--output-dir", str(tmp_path), "--architecture", "cnn"]
    assert runner.main([*words, "--epochs", "1", "--set", "model.generator.width=2"]) == 0
    for name in ("recons/pinn_cnn/recon.npz", "visuals/compare_amp_phase.png", "visuals/frc.png", "metrics.json"):
        assert (tmp_path / name).is_file()
    with np.load(tmp_path / "recons" / "pinn_cnn" / "recon.npz") as recon, np.load(data) as given:
        assert recon["YY_pred"].shape == given["test__YY_ground_truth"][..., 0].shape
