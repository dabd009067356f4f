"""A run that was stopped goes on to the result of one that was not."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.training import Fit, fit

MakeRecipe = Callable[..., Recipe]


class Stop(Exception):
    """What ends a run early."""


def stop_after(epochs: int) -> Callable[[int, int, dict[str, float]], None]:
    """A hook that raises when so many epochs are done."""

    def tell(done: int, of: int, row: dict[str, float]) -> None:
        if done == epochs:
            raise Stop

    return tell


def stopped(scan: Scan, recipe: Recipe, folder: Path, epochs: int = 2) -> None:
    with pytest.raises(Stop):
        fit(scan, recipe, folder, tell=stop_after(epochs))


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
    resumed = fit(scan, recipe, tmp_path, resume=True, tell=lambda done, of, row: epochs.append(done))
    assert epochs == [2, 3, 4]  # the checkpoint of an epoch is written after its hook
    assert_same(whole, resumed)
    assert (tmp_path / "history.csv").read_text().count("\n") == 5


def test_resuming_a_finished_run_changes_nothing(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    first = fit(scan, make_recipe(), tmp_path)
    epochs: list[int] = []
    again = fit(scan, make_recipe(), tmp_path, resume=True, tell=lambda done, of, row: epochs.append(done))
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
    with pytest.raises(ConfigError, match="was made from another scan"):
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
    with pytest.raises(BundleError, match=r"last\.ckpt: is not a checkpoint .*train without --resume"):
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
