"""`run`: the solver's image first, a network after it, and the better image of both as the result."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptychopinn import PtychoPINNError, Recipe, Reconstruction, Scan
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.api.run import Run
from ptychopinn.errors import ConfigError

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=3"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=2"]
FROZEN = [*MODEL, *(f"reconstruction.refine.{x}" for x in ("iterations=1", "object_step=1e-9", "probe=false"))]
"""A solver that leaves its object at 1."""


@pytest.fixture(scope="module", autouse=True)
def six_iterations() -> Iterator[None]:
    """The solver alone takes six; a recipe that asked for them would also refine the network's image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ptychopinn.api.solve.DEFAULT_ITERATIONS", 6)
        yield


@pytest.fixture(scope="module")
def scan() -> Scan:
    """121 patterns of 16 px."""
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def finished(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("run")
    return ptychopinn.run(scan, folder, overrides=MODEL), folder


class Stop:
    """Raises Ctrl-C in a call, and counts the calls before it."""

    def __init__(self, at: int = 10**9) -> None:
        self.at, self.calls = at, 0

    def __call__(self, done: int, total: int, numbers: dict[str, float]) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt


def test_the_image_of_the_solver_is_there_before_training(scan: Scan, tmp_path: Path) -> None:
    seen: list[str] = []

    def look(image: Reconstructed) -> None:
        there = Reconstruction.load(tmp_path)
        np.testing.assert_array_equal(there.object_, image.reconstruction.object_)
        assert json.loads((tmp_path / "metrics.json").read_text())["refine"]["iterations"] == 6
        assert (tmp_path / "reconstruction.png").exists()
        assert not (tmp_path / "wts.h5.zip").exists()
        assert str(tmp_path / "reconstruction.npz") in (tmp_path / "run.log").read_text()
        seen.append("image")

    ptychopinn.run(scan, tmp_path, overrides=MODEL, on_image=look, on_epoch=lambda *_: seen.append("epoch"))
    assert seen == ["image", "epoch", "epoch"]


def test_the_solver_wins_where_it_explains_more(scan: Scan, finished: tuple[Run, Path]) -> None:
    made, folder = finished
    assert made.choice is not None
    assert made.choice.preference is not None
    assert (made.choice.result, made.choice.preference.errors > 2) == ("solver", True)
    alone = ptychopinn.reconstruct(scan, overrides=MODEL)
    np.testing.assert_array_equal(Reconstruction.load(folder).object_, alone.reconstruction.object_)
    network = Reconstruction.load(folder / "reconstruction_network.npz")
    np.testing.assert_array_equal(network.object_, made.other.reconstruction.object_ if made.other else None)
    assert not (folder / "reconstruction_solver.npz").exists()


def test_the_report_says_which_image_and_by_how_much(finished: tuple[Run, Path]) -> None:
    made, folder = finished
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(made.reconstructed.metrics))
    choice = metrics["choice"]
    assert (choice["result"], choice["other"], choice["withheld_fraction"]) == ("solver", "network", 0.1)
    assert choice["difference"] > 2 * choice["standard_error"] > 0
    assert choice["deviance_per_pixel"]["solver"] < choice["deviance_per_pixel"]["network"]
    assert choice["reason"] in (folder / "run.log").read_text()
    assert metrics["other_image"]["data"]["amplitude_misfit"] > metrics["data"]["amplitude_misfit"]
    assert {"refine_s", "train_s", "predict_s"} <= set(metrics["timings"])


def test_the_network_wins_where_it_explains_more(scan: Scan, tmp_path: Path) -> None:
    made = ptychopinn.run(scan, tmp_path, overrides=[*FROZEN, "training.epochs=25", "model.generator.width=4"])
    assert made.choice is not None
    assert made.choice.result == "network"
    assert Reconstruction.load(tmp_path).object_.std() > 0
    solver = Reconstruction.load(tmp_path / "reconstruction_solver.npz")
    np.testing.assert_allclose(solver.object_, 1, atol=1e-3)
    assert (tmp_path / "reconstruction_solver.png").exists()
    assert not (tmp_path / "reconstruction_network.npz").exists()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["data"]["amplitude_misfit"] < metrics["other_image"]["data"]["amplitude_misfit"]

    again = ptychopinn.run(scan, tmp_path, overrides=MODEL, overwrite=True)
    assert again.reconstructed.metrics["choice"]["result"] == "solver"
    assert not (tmp_path / "reconstruction_solver.npz").exists()


def test_the_network_is_trained_with_what_the_solver_found(scan: Scan) -> None:
    wanted = [*MODEL, "reconstruction.refine.positions=true", "model.probe.scale=1.1", "model.probe.smoothing_px=0.3"]
    made = ptychopinn.run(scan, overrides=wanted)
    solver = made.reconstruction
    model = made.trained.model
    # Of 90 % of the photons the solver finds nearly the same probe and the same positions as of all of them.
    found = model.network.probe.detach().numpy()
    assert np.linalg.norm(found - solver.probe) < 0.1 * np.linalg.norm(solver.probe)
    assert np.linalg.norm(found - scan.probe) > 0.1 * np.linalg.norm(scan.probe)
    assert made.other is not None
    moved = made.other.reconstruction.positions_px - scan.positions_px
    assert 0 < np.abs(moved).max() < 4
    assert np.corrcoef(moved.ravel(), (solver.positions_px - scan.positions_px).ravel())[0, 1] > 0.7
    assert model.recipe.model.probe.scale == 1.1
    assert made.trained.recipe.fitted is not None
    all_counts = ptychopinn.run(scan, overrides=MODEL, solve=False).trained.recipe.fitted
    assert all_counts is not None
    assert made.trained.recipe.fitted.mean_count == pytest.approx(all_counts.mean_count, rel=0.01)


def test_a_model_of_a_run_explains_all_photons(scan: Scan, finished: tuple[Run, Path]) -> None:
    """It was trained on nine tenths of them."""
    made, folder = finished
    image = ptychopinn.reconstruct(scan, folder / "wts.h5.zip", probe="model")
    assert made.other is not None
    np.testing.assert_allclose(image.reconstruction.object_, made.other.reconstruction.object_, atol=1e-5)
    assert image.metrics["data"] == pytest.approx(made.other.metrics["data"], rel=1e-4)


def test_counts_that_are_no_photons_leave_the_choice_to_the_solver(scan: Scan) -> None:
    from dataclasses import replace

    made = ptychopinn.run(replace(scan, patterns=scan.patterns * np.float32(0.77)), overrides=FROZEN)
    assert made.choice is not None
    assert (made.choice.result, made.choice.preference) == ("solver", None)
    assert "the counts are not whole numbers" in made.choice.reason
    assert made.other is not None


def test_without_training_only_the_solver_runs(scan: Scan, tmp_path: Path) -> None:
    made = ptychopinn.run(scan, tmp_path, overrides=MODEL, train=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "reconstruction.npz",
        "reconstruction.png",
        "metrics.json",
        "recipe.yaml",
        "run.log",
    }
    assert (made.other, made.choice, made.training) == (None, None, None)
    with pytest.raises(ConfigError, match="the network of a run must have been trained, got train=False"):
        _ = made.trained


def test_a_run_without_training_does_not_replace_an_earlier_one(scan: Scan, tmp_path: Path) -> None:
    ptychopinn.run(scan, tmp_path, overrides=MODEL)
    before = (tmp_path / "reconstruction.npz").read_bytes()
    with pytest.raises(PtychoPINNError, match="overwrite"):
        ptychopinn.run(scan, tmp_path, overrides=MODEL, train=False)
    assert (tmp_path / "reconstruction.npz").read_bytes() == before
    assert (tmp_path / "reconstruction_network.npz").exists() or (tmp_path / "reconstruction_solver.npz").exists()


def test_a_run_that_replaces_an_earlier_one_leaves_none_of_its_files(scan: Scan, tmp_path: Path) -> None:
    ptychopinn.run(scan, tmp_path, overrides=MODEL)
    ptychopinn.run(scan, tmp_path, overrides=["model.background=0.01"], train=False, overwrite=True)
    assert not (tmp_path / "wts.h5.zip").exists()
    assert not list((tmp_path / "checkpoints").glob("*.ckpt"))
    assert Recipe.from_file(tmp_path / "recipe.yaml").model.background == 0.01


def test_the_recipe_is_there_while_the_network_is_trained(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("seed: 77\n")
    with pytest.raises(KeyboardInterrupt):
        ptychopinn.run(scan, tmp_path, overrides=[*MODEL, "model.background=0.01"], on_epoch=Stop(1))
    assert Recipe.from_file(tmp_path / "recipe.yaml").model.background == 0.01


def test_without_the_solver_the_network_alone_makes_the_image(scan: Scan) -> None:
    calls = Stop()
    made = ptychopinn.run(scan, overrides=MODEL, solve=False, on_iteration=calls)
    assert (calls.calls, made.other, made.choice) == (0, None, None)
    trained = ptychopinn.train(scan, overrides=MODEL)
    image = ptychopinn.reconstruct(scan, trained)
    np.testing.assert_allclose(made.reconstruction.object_, image.reconstruction.object_, atol=1e-5)


def test_a_run_without_any_image_is_refused(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train and solve must not both be false"):
        ptychopinn.run(scan, tmp_path / "out", train=False, solve=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", ["model.generator.architecture=nothing", "data.group_size=1000"])
def test_what_training_refuses_is_refused_before_the_solver(scan: Scan, tmp_path: Path, wrong: str) -> None:
    calls = Stop()
    with pytest.raises(PtychoPINNError):
        ptychopinn.run(scan, tmp_path / "out", overrides=[*MODEL, wrong], on_iteration=calls)
    assert calls.calls == 0
    assert not (tmp_path / "out").exists()


def same(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one.reconstruction.object_, other.reconstruction.object_)


@pytest.mark.parametrize("at", [3, pytest.param(9, marks=pytest.mark.slow)])
def test_an_interrupted_solver_goes_on(scan: Scan, finished: tuple[Run, Path], tmp_path: Path, at: int) -> None:
    """In its first image (third iteration of six), or in the one for the comparison."""
    with pytest.raises(KeyboardInterrupt):
        ptychopinn.run(scan, tmp_path, overrides=MODEL, on_iteration=Stop(at))
    image = Reconstruction.load(tmp_path)
    if at == 3:
        assert image.metadata["interrupted"] == {"iterations_done": 3, "iterations": 6}
        assert json.loads((tmp_path / "metrics.json").read_text())["interrupted"]["iterations_done"] == 3
    else:
        same(finished[0], ptychopinn.api.reconstructed.Reconstructed(image, {}, {}))
    calls = Stop()
    made = ptychopinn.run(scan, tmp_path, overrides=MODEL, resume=True, on_iteration=calls)
    assert calls.calls == 12 - at
    same(made, finished[0])
    same(made.other, finished[0].other)
    assert "interrupted" not in made.reconstruction.metadata
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt", "part_image.npz"}


def test_a_run_interrupted_in_training_does_not_repeat_the_solver(
    scan: Scan, finished: tuple[Run, Path], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        ptychopinn.run(scan, tmp_path, overrides=MODEL, on_epoch=Stop(2))
    same(finished[0], ptychopinn.api.reconstructed.Reconstructed(Reconstruction.load(tmp_path), {}, {}))
    calls, epochs = Stop(), Stop()
    made = ptychopinn.run(scan, tmp_path, overrides=MODEL, resume=True, on_iteration=calls, on_epoch=epochs)
    assert (calls.calls, epochs.calls) == (0, 1)
    same(made, finished[0])
    same(made.other, finished[0].other)
    assert made.choice == finished[0].choice


@pytest.mark.parametrize(
    "setting", [pytest.param("reconstruction.refine.smoothness=7", marks=pytest.mark.slow), "model.background=0.01"]
)
def test_other_settings_of_the_solver_begin_again(scan: Scan, tmp_path: Path, setting: str) -> None:
    ptychopinn.run(scan, tmp_path, overrides=MODEL, train=False)
    calls = Stop()
    changed = [*MODEL, setting]
    ptychopinn.run(scan, tmp_path, overrides=changed, train=False, resume=True, on_iteration=calls)
    assert calls.calls == 6


def test_reconstruct_goes_on_too(scan: Scan, tmp_path: Path) -> None:
    whole = ptychopinn.reconstruct(scan, refine=5)
    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct(scan, None, tmp_path, refine=5, on_iteration=Stop(2))
    calls = Stop()
    made = ptychopinn.reconstruct(scan, None, tmp_path, refine=5, resume=True, on_iteration=calls)
    assert calls.calls == 3
    same(made, whole)
    assert list((tmp_path / "checkpoints").iterdir()) == []
