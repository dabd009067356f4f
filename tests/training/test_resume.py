"""A run that was stopped goes on to the result of one that was not."""

import logging
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError, ConfigError, PtychoPINNError
from ptychopinn.training import Fit, fit

MakeRecipe = Callable[..., Recipe]


class Stop(Exception):
    """What ends a run early."""


def stop_after(epochs: int) -> Callable[[int, int, dict[str, float]], None]:
    """A hook that raises when so many epochs are done."""

    def on_epoch(done: int, of: int, row: dict[str, float]) -> None:
        if done == epochs:
            raise Stop

    return on_epoch


def stopped(scan: Scan, recipe: Recipe, folder: Path, epochs: int = 2) -> None:
    with pytest.raises(Stop):
        fit(scan, recipe, folder, on_epoch=stop_after(epochs))


def assert_same(one: Fit, other: Fit) -> None:
    """Weights and history but the clock, bit for bit."""
    for key, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[key]), key
    for column in set(one.history) - {"seconds"}:
        np.testing.assert_array_equal(one.history[column], other.history[column], column)


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.scheduler=cosine", "training.warmup_epochs=1.5"),
        ("training.scheduler=plateau", "model.probe.trainable=true", "training.early_stop_patience=3"),
    ],
    ids=["cosine", "plateau"],
)
def test_resumed_after_two_of_four_epochs_gives_the_uninterrupted_result(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    recipe = make_recipe("training.epochs=4", *overrides)
    whole = fit(scan, recipe)
    stopped(scan, recipe, tmp_path)
    torch.manual_seed(99)  # another process has another state of the global generator
    epochs: list[int] = []
    resumed = fit(scan, recipe, tmp_path, resume=True, on_epoch=lambda done, of, row: epochs.append(done))
    assert epochs == [2, 3, 4]  # the checkpoint of an epoch is written after its hook
    assert_same(whole, resumed)
    assert (tmp_path / "history.csv").read_text().count("\n") == 5


def test_resuming_a_finished_run_changes_nothing(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    first = fit(scan, make_recipe(), tmp_path)
    epochs: list[int] = []
    again = fit(scan, make_recipe(), tmp_path, resume=True, on_epoch=lambda done, of, row: epochs.append(done))
    assert epochs == []
    assert_same(first, again)


@pytest.mark.parametrize("with_folder", [True, False])
def test_nothing_to_resume_starts_from_the_beginning(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture, with_folder: bool
) -> None:
    with caplog.at_level(logging.INFO):
        result = fit(scan, make_recipe(), tmp_path if with_folder else None, resume=True)
    assert result.history["epoch"] == [1, 2]
    assert "nothing to resume" in caplog.text


def test_a_new_run_in_an_old_folder_replaces_it(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    fit(scan, make_recipe("training.epochs=3"), tmp_path)
    result = fit(scan, make_recipe("training.seed=1"), tmp_path)
    assert result.history["epoch"] == [1, 2]
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]
    for name in names:
        stored = torch.load(tmp_path / "checkpoints" / name, weights_only=True)
        assert stored["hyper_parameters"]["recipe"]["training"]["seed"] == 1


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("training.learning_rate=0.02", "training.learning_rate"),
        ("data.validation_fraction=0.3", "data.validation_fraction"),
        ("model.generator.width=4", "model.generator.width"),
    ],
)
def test_changed_settings_are_refused_by_name(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, override: str, key: str
) -> None:
    fit(scan, make_recipe("training.epochs=1"), tmp_path)
    before = (tmp_path / "history.csv").read_bytes()
    with pytest.raises(ConfigError, match=rf"last\.ckpt: was made with other settings \({key}\); resume with"):
        fit(scan, make_recipe("training.epochs=1", override), tmp_path, resume=True)
    assert (tmp_path / "history.csv").read_bytes() == before


def test_settings_that_do_not_touch_training_may_change(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe("training.epochs=3")
    stopped(scan, recipe, tmp_path)
    other = recipe.with_overrides(["reconstruction.batch_size=3"])
    assert len(fit(scan, other, tmp_path, resume=True).history["epoch"]) == 3


def test_another_scan_is_refused(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    fit(scan, make_recipe("training.epochs=1"), tmp_path)
    other = replace(scan, patterns=np.roll(scan.patterns, 1, axis=-1))
    with pytest.raises(ConfigError, match="was made from other data"):
        fit(other, make_recipe("training.epochs=1"), tmp_path, resume=True)


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(3000))


def damage_text(path: Path) -> None:
    path.write_text("this is not a checkpoint\n")


def damage_one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = data.index(b"state_dict") + 5
    data[middle] ^= 1
    path.write_bytes(bytes(data))


def damage_other_tensor(path: Path) -> None:
    torch.save(torch.ones(3), path)


def damage_other_mapping(path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"recipe": 7}}, path)


def damage_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_empty,
        damage_garbage,
        damage_text,
        damage_one_bit,
        damage_other_tensor,
        damage_other_mapping,
        damage_folder,
    ],
)
def test_a_damaged_checkpoint_is_refused(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, finished: Path, damage: Callable[[Path], None]
) -> None:
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.parent.mkdir()
    last.write_bytes((finished / "checkpoints" / "last.ckpt").read_bytes())
    damage(last)
    with pytest.raises(BundleError, match=r"last\.ckpt: is not a checkpoint .*train with --overwrite"):
        fit(scan, make_recipe("training.epochs=1"), tmp_path, resume=True)


@pytest.fixture(scope="module")
def finished(scan: Scan, make_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("finished")
    fit(scan, make_recipe("training.epochs=1"), folder)
    return folder


def test_a_crash_while_writing_leaves_the_last_checkpoint_whole(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("training.epochs=3")
    save, calls = torch.save, []

    def failing(value: object, path: Path) -> None:
        calls.append(path)
        if len(calls) > 2:
            Path(path).write_bytes(b"half")
            raise Stop
        save(value, path)

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(Stop):
        fit(scan, recipe, tmp_path)
    monkeypatch.undo()
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 0
    assert len(fit(scan, recipe, tmp_path, resume=True).history["epoch"]) == 3


def test_more_epochs_than_before_continue_on_the_longer_schedule(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    short, long = make_recipe("training.epochs=2"), make_recipe("training.epochs=4")
    fit(scan, short, tmp_path)
    resumed = fit(scan, long, tmp_path, resume=True)
    assert resumed.history["epoch"] == [1, 2, 3, 4]
    expected = fit(scan, long).history["learning_rate"]
    np.testing.assert_allclose(resumed.history["learning_rate"][2:], expected[2:], rtol=1e-6)


def test_fewer_epochs_than_before_are_refused(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    fit(scan, make_recipe("training.epochs=2"), tmp_path)
    with pytest.raises(ConfigError, match=r"other settings \(training\.epochs\)"):
        fit(scan, make_recipe("training.epochs=1"), tmp_path, resume=True)


@pytest.mark.parametrize("change", ["positions swapped", "mirrored", "reversed", "probe"])
def test_the_same_counts_in_another_place_are_other_data(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, change: str
) -> None:
    positions = scan.positions_px
    other = {
        "positions swapped": replace(scan, positions_px=positions[:, ::-1].copy()),
        "mirrored": replace(scan, positions_px=positions.max(0) + positions.min(0) - positions),
        "reversed": replace(scan, patterns=scan.patterns[::-1].copy()),
        "probe": replace(scan, probe=scan.probe.conj()),
    }[change]
    recipe = make_recipe("training.epochs=1", "model.intensity_scale=probe")
    free = [replace(one, object_guess=None) for one in (scan, other)]
    fit(free[0], recipe, tmp_path)
    with pytest.raises(ConfigError, match="other data"):
        fit(free[1], recipe, tmp_path, resume=True)


@pytest.mark.parametrize("path", ["{folder}/checkpoints/../../precious", "local://{victim}"])
def test_a_path_in_a_checkpoint_is_never_followed(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path, path: str
) -> None:
    folder, victim = tmp_path / "out", tmp_path / "precious"
    folder.mkdir()
    victim.mkdir()
    (victim / "thesis.txt").write_text("years of work")
    stopped(scan, make_recipe("training.epochs=3"), folder)
    last = folder / "checkpoints" / "last.ckpt"
    stored = torch.load(last, weights_only=True)
    evil = path.format(folder=folder, victim=victim)
    for name in ("Checkpoints", "ModelCheckpoint", "ModelCheckpoint{'monitor': None, 'mode': 'min'}"):
        stored["callbacks"].setdefault(name, {})
        stored["callbacks"][name] |= {"best_model_path": evil, "last_model_path": evil, "best_k_models": {evil: 0.0}}
    torch.save(stored, last)
    fit(scan, make_recipe("training.epochs=3"), folder, resume=True)
    assert (victim / "thesis.txt").read_text() == "years of work"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "precious"]


def test_a_compressed_checkpoint_is_refused(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    fit(scan, make_recipe("training.epochs=1"), tmp_path)
    last = tmp_path / "checkpoints" / "last.ckpt"
    with zipfile.ZipFile(last) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(last, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(BundleError, match="compressed"):
        fit(scan, make_recipe("training.epochs=1"), tmp_path, resume=True)


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_epoch_before(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    from ptychopinn.training import fit_prepared, prepare

    start = prepare(scan, make_recipe("training.epochs=3"))

    def spoil(done: int, of: int, row: dict[str, float]) -> None:
        if done == 2:
            with torch.no_grad():
                next(start.model.generator.parameters()).fill_(torch.nan)

    with pytest.raises(PtychoPINNError, match="training loss is nan in epoch 3"):
        fit_prepared(start, tmp_path, on_epoch=spoil)
    assert (tmp_path / "history.csv").read_text().count("\n") == 3
