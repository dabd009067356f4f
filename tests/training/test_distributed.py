"""Training in several processes: what one process would give, told here."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError, OutputError
from ptychopinn.training import distributed, fit, fit_prepared, prepare
from ptychopinn.training.loader import GroupLoader, Share
from ptychopinn.training.module import TrainingModule

MakeRecipe = Callable[..., Recipe]


def test_two_processes_give_the_result_of_one(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """And a callback whose class no other process could import is told of every epoch, in order."""
    told: list[tuple[str, int, float, bool]] = []

    class Local(Callback):
        def on_validation_epoch_end(self, trainer, pl_module) -> None:
            loss = float(trainer.callback_metrics["val_loss"])
            told.append(("val", trainer.current_epoch, loss, trainer.sanity_checking))

        def on_train_epoch_end(self, trainer, pl_module) -> None:
            told.append(("train", trainer.current_epoch, float(trainer.callback_metrics["train_loss"]), False))

    rows: list[int] = []
    recipe = make_recipe("training.epochs=3")
    alone = fit(scan, recipe)
    start = prepare(scan, recipe.with_overrides(["training.devices=2"]))
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    both = fit_prepared(start, tmp_path, callbacks=[Local()], on_epoch=lambda done, of, row: rows.append(done))
    for column in ("train_loss", "val_loss", "learning_rate"):
        np.testing.assert_allclose(both.history[column], alone.history[column], rtol=1e-4)
    assert both.history["train_loss"][-1] < both.history["train_loss"][0]
    expected = alone.model.state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in both.model.state_dict().items())
    for name, value in both.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-5, msg=name)
    assert [entry[:2] for entry in told] == [(kind, epoch) for epoch in range(3) for kind in ("val", "train")]
    assert [loss for kind, _, loss, _ in told if kind == "val"] == both.history["val_loss"]
    assert not any(sanity for *_, sanity in told)
    assert rows == [1, 2, 3]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert (tmp_path / "history.csv").read_text().count("\n") == 4


@pytest.mark.parametrize("count", [2, 3])
def test_shares_of_a_step_are_the_step(scan: Scan, make_recipe: MakeRecipe, count: int) -> None:
    part = prepare(scan, make_recipe()).parts[0]
    whole = list(GroupLoader(part.tensors, part.train_groups, 16, seed=1, epoch=lambda: 0))
    shares = [
        list(GroupLoader(part.tensors, part.train_groups, 16, 1, lambda: 0, share=Share(index, count)))
        for index in range(count)
    ]
    for step, batch in enumerate(whole):
        rows = np.concatenate([share[step].index for share in shares])
        assert sorted(map(tuple, rows)) == sorted(map(tuple, batch.index.tolist()))


def test_validation_is_shared_without_repetition(scan: Scan, make_recipe: MakeRecipe) -> None:
    part = prepare(scan, make_recipe()).parts[0]
    shares = [list(GroupLoader(part.tensors, part.train_groups, 16, share=Share(index, 2))) for index in range(2)]
    rows = np.concatenate([batch.index for share in shares for batch in share])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, part.train_groups.tolist()))
    assert all(len(batch.index) <= 2 for share in shares for batch in share)


@pytest.mark.parametrize("epoch", [None, lambda: 0])
@pytest.mark.parametrize("n_groups", [1, 5])
def test_every_process_has_a_group_in_every_step(scan: Scan, make_recipe: MakeRecipe, n_groups: int, epoch) -> None:
    part = prepare(scan, make_recipe()).parts[0]
    loaders = [
        GroupLoader(part.tensors, part.train_groups[:n_groups], 4, 0, epoch, share=Share(index, 4))
        for index in range(4)
    ]
    for loader in loaders:
        batches = list(loader)
        assert len(batches) == len(loader) >= 1
        assert all(len(batch.index) == 1 for batch in batches)
    assert epoch is None or len({len(loader) for loader in loaders}) == 1


def test_more_devices_than_there_are_is_refused(
    scan: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("ptychopinn.training.prepare")
    monkeypatch.setattr(module, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"training\.devices is 2 but there are 1 cuda devices"):
        prepare(scan, make_recipe("training.devices=2"))


@pytest.mark.slow
def test_no_process_is_left_behind_when_a_listener_raises(scan: Scan, make_recipe: MakeRecipe) -> None:
    """Nor does the training go on; the error is the listener's own."""

    class Stop(Exception):
        pass

    def on_epoch(done: int, of: int, row: dict[str, float]) -> None:
        raise Stop

    with pytest.raises(Stop):
        fit_prepared(prepare(scan, make_recipe("training.epochs=500", "training.devices=2")), on_epoch=on_epoch)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_several_processes_resume(scan: Scan, make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe("training.epochs=2", "training.devices=2")
    first = fit(scan, recipe, tmp_path)
    again = fit(scan, recipe, tmp_path, resume=True)
    assert again.history["train_loss"] == first.history["train_loss"]
    for name, value in first.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_patterns_go_to_the_processes_as_a_file_and_not_as_a_copy(
    scan: Scan, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    """What is pickled does not grow with the number of patterns; masks and labels go the same way."""
    bad = np.zeros(scan.patterns.shape, bool)
    bad[0, 0, 0] = True
    full = replace(scan, bad_pixels=bad)
    sizes = []
    for number in (18, 36):
        start = prepare(full.select(slice(number)), make_recipe("model.kind=supervised", "data.group_size=1"))
        (tmp_path / str(number)).mkdir()
        work = distributed._Work.of(start, None, None, TrainingModule, tmp_path / str(number))
        sizes.append(len(ForkingPickler.dumps(work)))
        again = work.prepared(torch.device("cpu")).tensors
        assert np.array_equal(again.scan.patterns, start.tensors.scan.patterns)
        assert not again.scan.patterns.flags.writeable
        assert torch.equal(again.labels, start.tensors.labels)
        assert torch.equal(again.measured, start.tensors.measured)
        assert again.scan.domain == full.domain
    assert sizes[1] - sizes[0] < full.patterns[:18].nbytes / 10


def test_no_room_for_the_patterns_is_refused(
    scan: Scan, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(distributed.ArrayFile, "written", full)
    with pytest.raises(OutputError, match="set TMPDIR to a folder with more room"):
        fit_prepared(prepare(scan, make_recipe("training.devices=2")))
