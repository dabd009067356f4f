"""Training: what comes out, what is written, what repeats."""

import csv
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.device import choose_device
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.training import Fit, fit, split_groups
from ptychopinn.training.loader import GroupLoader
from ptychopinn.training.prepare import _with_epochs

MakeRecipe = Callable[..., Recipe]
EVERY_EPOCH = ["epoch", "train_loss", "val_loss", "learning_rate", "seconds"]
NOW_AND_THEN = ["contrast_amplitude", "contrast_phase_rad", "coverage"]


def weights(result: Fit) -> torch.Tensor:
    return torch.cat([value.flatten() for value in result.model.state_dict().values()])


@pytest.fixture(scope="session")
def written(scan: Scan, make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fit, Path]:
    """A run of five epochs and its folder."""
    folder = tmp_path_factory.mktemp("run")
    return fit(scan, make_recipe("training.epochs=5"), folder), folder


def test_the_loss_falls(written: tuple[Fit, Path]) -> None:
    history = written[0].history
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert all(np.isfinite(history[column]).all() for column in EVERY_EPOCH)


def test_history_has_a_row_per_epoch_and_the_csv_says_the_same(written: tuple[Fit, Path]) -> None:
    result, folder = written
    assert sorted(result.history) == sorted([*EVERY_EPOCH, *NOW_AND_THEN])
    assert result.history["epoch"] == [1, 2, 3, 4, 5]
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for column in EVERY_EPOCH:
        np.testing.assert_allclose([float(row[column]) for row in rows], result.history[column], rtol=1e-6)
    assert min(result.history["seconds"]) > 0


def test_the_folder_holds_history_best_and_last_and_nothing_else(written: tuple[Fit, Path]) -> None:
    files = {str(path.relative_to(written[1])) for path in written[1].rglob("*") if path.is_file()}
    assert files == {"history.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt"}


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_load_without_code_and_hold_the_recipe(written: tuple[Fit, Path], name: str) -> None:
    result, folder = written
    stored = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    recipe = Recipe.from_mapping(stored["hyper_parameters"]["recipe"])
    assert recipe.model == result.recipe.model
    assert recipe.fitted is not None
    expected = {f"model.{key}" for key in result.model.state_dict()}
    assert set(stored["state_dict"]) == expected
    if name == "last":
        for key, value in result.model.state_dict().items():
            assert torch.equal(stored["state_dict"][f"model.{key}"], value)


def test_the_best_checkpoint_is_of_the_lowest_validation_loss(written: tuple[Fit, Path]) -> None:
    result, folder = written
    stored = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert stored["epoch"] == int(np.argmin(result.history["val_loss"]))


def test_the_recipe_carries_the_statistics_of_the_training_split(written: tuple[Fit, Path]) -> None:
    result, _ = written
    fitted = result.recipe.fitted
    assert fitted is not None
    training = np.unique(result.groups)
    assert fitted.n_patterns == len(training) < len(result.tensors)
    assert fitted.mean_count == pytest.approx(result.tensors.scan.patterns[training].mean(), rel=1e-4)
    assert float(result.model.generator.input_deviation) == pytest.approx(fitted.input_deviation)


def test_the_model_is_ready_to_predict_on_the_device_of_the_scan(written: tuple[Fit, Path]) -> None:
    result, _ = written
    assert not result.model.training
    assert {parameter.device for parameter in result.model.parameters()} == {result.tensors.device}


def test_nothing_is_written_without_a_folder(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(scan, make_recipe("training.epochs=1"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_beside_the_folder(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    fit(scan, make_recipe("training.epochs=1"), there)
    assert list(here.iterdir()) == []
    assert (there / "checkpoints" / "last.ckpt").is_file()


def test_lightnings_banners_are_silent(
    scan: Scan,
    make_recipe: MakeRecipe,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    with caplog.at_level(logging.INFO):
        fit(scan, make_recipe("training.epochs=1"), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert {record.name.split(".")[0] for record in caplog.records} == {"ptychopinn"}
    assert [str(warning.message) for warning in recwarn] == []


def test_the_hook_is_told_after_every_epoch(scan: Scan, make_recipe: MakeRecipe) -> None:
    told: list[tuple[int, int, float]] = []
    result = fit(scan, make_recipe(), on_epoch=lambda done, of, row: told.append((done, of, row["train_loss"])))
    assert told == [(1, 2, result.history["train_loss"][0]), (2, 2, result.history["train_loss"][1])]


def test_deterministic_algorithms_are_on_during_the_training_alone(scan: Scan, make_recipe: MakeRecipe) -> None:
    before = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    seen: list[bool] = []
    recipe = make_recipe("training.epochs=1", "training.deterministic=true")
    fit(scan, recipe, None, on_epoch=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()))
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == before


def test_the_seed_decides_the_weights(scan: Scan, make_recipe: MakeRecipe) -> None:
    once, again, other = (
        weights(fit(scan, make_recipe("training.epochs=1", f"training.seed={seed}"))) for seed in (5, 5, 6)
    )
    assert torch.equal(once, again)
    assert not torch.allclose(once, other)


def test_training_leaves_the_scan_as_it_was(scan: Scan, make_recipe: MakeRecipe) -> None:
    probe, patterns = scan.probe.copy(), scan.patterns.copy()
    result = fit(scan, make_recipe("model.probe.trainable=true", "training.epochs=1"))
    np.testing.assert_array_equal(scan.probe, probe)
    np.testing.assert_array_equal(scan.patterns, patterns)
    assert np.abs(result.model.probe.detach().numpy() - probe).max() > 1e-3


def test_a_fixed_probe_stays(scan: Scan, make_recipe: MakeRecipe) -> None:
    result = fit(scan, make_recipe("training.epochs=1"))
    np.testing.assert_array_equal(result.model.probe.detach(), scan.probe)


def test_a_fitted_probe_keeps_its_photons(scan: Scan, make_recipe: MakeRecipe) -> None:
    """Only its shape changes; else the network and the probe would exchange a factor."""
    result = fit(scan, make_recipe("model.probe.trainable=true", "training.epochs=2", "training.learning_rate=0.02"))
    probe = result.model.probe.detach().numpy()
    assert np.abs(probe - scan.probe).max() > 0.02 * np.abs(scan.probe).max()
    assert np.square(np.abs(probe)).sum() == pytest.approx(np.square(np.abs(scan.probe)).sum(), rel=1e-4)


def test_a_trained_scale_is_the_one_that_the_recipe_keeps(scan: Scan, make_recipe: MakeRecipe) -> None:
    result = fit(scan, make_recipe("model.intensity_scale=trainable"))
    assert result.recipe.fitted is not None
    assert result.recipe.fitted.intensity_scale == pytest.approx(float(result.model.log_scale.detach().exp()))
    fixed = fit(scan, make_recipe("model.intensity_scale=data", "training.epochs=1"))
    assert result.recipe.fitted.intensity_scale != fixed.recipe.fitted.intensity_scale


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.generator.grouping=stacked",),
        ("model.kind=supervised",),
        ("model.kind=supervised", "model.subpixel=bilinear"),
        ("training.precision=bfloat16",),
        ("model.generator.input=log_counts", "model.subpixel=bilinear"),
        (
            "model.generator.input=amplitude",
            "model.loss.amplitude_mae_weight=1",
            "model.loss.poisson_weight=0",
        ),
        ("data.group_size=1", "model.merge.enabled=false", "model.probe.modes=2"),
    ],
    ids="-".join,
)
def test_every_kind_of_model_learns(scan: Scan, make_recipe: MakeRecipe, overrides: tuple[str, ...]) -> None:
    losses = fit(scan, make_recipe("training.epochs=6", *overrides)).history["train_loss"]
    assert np.isfinite(losses).all()
    assert min(losses[-2:]) < losses[0]


def test_every_term_of_the_loss_has_a_column(scan: Scan, make_recipe: MakeRecipe) -> None:
    loss = ("poisson", "amplitude_mae", "total_variation", "mean_deviation", "realspace_mae")
    on = [f"model.loss.{name}_weight=0.5" for name in loss]
    history = fit(scan, make_recipe(*on, "model.loss.realspace_weight=1")).history
    for stage in ("train", "val"):
        parts = sum(np.array(history[f"{stage}_{name}"]) for name in loss)
        np.testing.assert_allclose(parts, history[f"{stage}_loss"], rtol=1e-5)


def test_masked_patterns_train(scan: Scan, make_recipe: MakeRecipe) -> None:
    bad = np.random.default_rng(0).random(scan.patterns.shape) < 0.1
    dirty = replace(scan, patterns=np.where(bad, 60000, scan.patterns).astype(np.uint16), bad_pixels=bad)
    clean = replace(scan, patterns=np.where(bad, 0, scan.patterns).astype(np.uint16), bad_pixels=bad)
    assert torch.equal(weights(fit(dirty, make_recipe())), weights(fit(clean, make_recipe())))


def test_supervised_training_without_labels_is_refused(scan: Scan, make_recipe: MakeRecipe) -> None:
    with pytest.raises(ScanError, match="neither Y nor objectGuess"):
        fit(replace(scan, object_guess=None), make_recipe("model.kind=supervised"))


def test_a_real_space_term_of_weight_zero_needs_no_labels(scan: Scan, make_recipe: MakeRecipe) -> None:
    unlabelled = replace(scan, object_guess=None)
    off = make_recipe("model.loss.realspace_mae_weight=1", "training.epochs=1")
    assert len(fit(unlabelled, off).history["epoch"]) == 1
    with pytest.raises(ScanError, match="neither Y nor objectGuess"):
        fit(unlabelled, off.with_overrides(["model.loss.realspace_weight=1"]))


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "gpu"])
def test_an_unknown_device_is_refused(scan: Scan, make_recipe: MakeRecipe, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.device = '{name}'.*use auto or cpu"):
        fit(scan, make_recipe(f"training.device={name}"))


def test_cpu_is_a_device() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda"}


@pytest.mark.parametrize("group_size", [1, 4])
def test_the_validation_region_shares_no_pattern_with_training(
    scan: Scan, make_recipe: MakeRecipe, group_size: int
) -> None:
    recipe = make_recipe(f"data.group_size={group_size}")
    train, validation = split_groups(scan, recipe)
    assert train.shape[1] == validation.shape[1] == group_size
    assert set(train.flat).isdisjoint(validation.flat)
    assert len(set(train.flat) | set(validation.flat)) == len(scan)
    assert len(set(validation.flat)) == round(0.25 * len(scan))
    spread = scan.positions_px[np.unique(validation)].std(axis=0)
    assert (spread < 0.7 * scan.positions_px.std(axis=0)).all()  # one compact region


@pytest.mark.parametrize("override", ["data.groups_per_pattern=3", "data.n_groups=50"])
def test_validation_has_one_group_for_each_of_its_patterns(scan: Scan, make_recipe: MakeRecipe, override: str) -> None:
    """Otherwise a small region would be asked for more different groups than it has."""
    train, validation = split_groups(scan, make_recipe("data.neighbors=7", "data.validation_fraction=0.12", override))
    assert len(train) > 36
    assert sorted(validation[:, 0]) == sorted(set(validation.flat))
    assert len(validation) == 4


def test_no_validation_on_request(scan: Scan, make_recipe: MakeRecipe) -> None:
    result = fit(scan, make_recipe("data.validation_fraction=0", "training.epochs=1"))
    assert "val_loss" not in result.history
    assert len(np.unique(result.groups)) == len(scan)


def test_too_small_a_validation_region_is_told_and_left_out(
    scan: Scan, make_recipe: MakeRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "ptychopinn.training"):
        result = fit(scan, make_recipe("data.validation_fraction=0.05", "training.epochs=1"))
    assert "val_loss" not in result.history
    assert len(np.unique(result.groups)) == len(scan)
    assert "fewer patterns than a group of 4: training on all patterns" in caplog.text


def test_groups_never_mix_objects(scan: Scan, make_recipe: MakeRecipe) -> None:
    two = replace(scan, scan_index=np.arange(len(scan)) % 2)
    for table in split_groups(two, make_recipe("data.validation_fraction=0.5")):
        assert len(table)
        assert (np.ptp(two.scan_index[table], axis=1) == 0).all()


def test_a_subsample_is_all_that_is_trained_on(scan: Scan, make_recipe: MakeRecipe) -> None:
    result = fit(scan, make_recipe("data.n_patterns=20", "training.epochs=1"))
    assert len(result.tensors) == 20


def test_an_epoch_visits_as_many_patterns_as_there_are_seed_points(written: tuple[Fit, Path]) -> None:
    tensors, groups = written[0].tensors, np.arange(32).reshape(8, 4)
    epochs = []
    for epoch in (0, 0, 1):
        loader = GroupLoader(tensors, groups, 4, seed=3, epoch=lambda epoch=epoch: epoch)
        batches = list(loader)
        assert len(batches) == len(loader) == 2  # 8 seed points, 4 patterns a step
        epochs.append(np.concatenate([batch.index for batch in batches]))
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])


@pytest.mark.parametrize(("n_groups", "per_step"), [(5, 16), (6, 16), (7, 16), (8, 16), (1, 64), (3, 1)])
def test_validation_goes_over_all_groups_in_order(written: tuple[Fit, Path], n_groups: int, per_step: int) -> None:
    groups = np.arange(4 * n_groups).reshape(n_groups, 4)
    loader = GroupLoader(written[0].tensors, groups, per_step)
    batches = list(loader)
    assert len(batches) == len(loader)
    np.testing.assert_array_equal(np.concatenate([batch.index for batch in batches]), groups)


@pytest.mark.parametrize(("patterns", "expected"), [(36, 450), (900, 60)])
def test_epochs_by_default_make_enough_steps_on_small_scans(patterns: int, expected: int) -> None:
    groups = np.zeros((patterns, 9), dtype=np.int64)
    recipe = Recipe().with_overrides(["training.patterns_per_step=18"])
    assert _with_epochs(recipe, [groups]).training.epochs == expected
    assert _with_epochs(recipe.with_overrides(["training.epochs=3"]), [groups]).training.epochs == 3
