"""`reconstruct` with refinement: after a network, alone, and what it refuses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn.api.inputs import as_recipe
from ptychopinn.api.solve import from_nothing
from ptychopinn.api.train import Trained
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=5"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def trained(scan: Scan) -> Trained:
    return ptychopinn.train(scan, overrides=MODEL)


def test_the_solver_alone_explains_the_patterns(scan: Scan, tmp_path: Path) -> None:
    told: list[int] = []
    made = ptychopinn.reconstruct(
        scan, None, tmp_path, refine=20, on_iteration=lambda done, total, numbers: told.append(done)
    )
    assert told == list(range(1, 21))
    entry = made.metrics["refine"]
    assert len(entry["deviance_of_iterations"]) == 20
    assert entry["deviance_of_iterations"][-1] < 0.1 * entry["deviance_of_iterations"][0]
    assert made.metrics["timings"]["refine_s"] > 0
    assert set(made.paths) == {"reconstruction", "figure", "picture", "metrics", "log"}
    saved = ptychopinn.Reconstruction.load(tmp_path)
    np.testing.assert_array_equal(saved.object_, made.reconstruction.object_)
    assert saved.metadata["refine"]["iterations"] == 20


def test_refinement_begins_with_the_image_of_the_network(scan: Scan, trained: Trained) -> None:
    plain = ptychopinn.reconstruct(scan, trained)
    refined = ptychopinn.reconstruct(scan, trained, refine=15)
    assert "refine" not in plain.metrics
    assert refined.metrics["data"]["amplitude_misfit"] < 0.7 * plain.metrics["data"]["amplitude_misfit"]
    still = ptychopinn.reconstruct(
        scan, trained, refine=1, overrides=["reconstruction.refine.object=false", "reconstruction.refine.probe=false"]
    )
    both = still.reconstruction.covered & plain.reconstruction.covered
    np.testing.assert_allclose(still.reconstruction.object_[both], plain.reconstruction.object_[both], atol=1e-5)
    assert still.metrics["data"]["amplitude_misfit"] == pytest.approx(
        plain.metrics["data"]["amplitude_misfit"], rel=0.05
    )


def test_run_refines_when_its_recipe_says_so(scan: Scan) -> None:
    made = ptychopinn.run(scan, overrides=[*MODEL, "reconstruction.refine.iterations=4"])
    assert len(made.reconstructed.metrics["refine"]["deviance_of_iterations"]) == 4


def test_the_recipe_of_the_solver_decides_the_modes(scan: Scan) -> None:
    made = ptychopinn.reconstruct(scan, None, refine=1, recipe={"model": {"probe": {"modes": 2}}})
    assert made.reconstruction.probe.shape == (2, 16, 16)


def refusals() -> Iterator[tuple[str, dict[str, object]]]:
    yield "refine must be at least 1 without a model, got 0", {"refine": 0}
    yield "probe must be 'scan' or 'auto' without a model, got 'model'", {"refine": 2, "probe": "model"}
    yield "reconstruction.refine.iterations = -1", {"refine": -1}


@pytest.mark.parametrize(("told", "arguments"), list(refusals()))
def test_what_the_solver_cannot_do_is_refused(
    scan: Scan, tmp_path: Path, told: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=told):
        ptychopinn.reconstruct(scan, None, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_without_model_and_number_the_dose_chooses_the_iterations(scan: Scan) -> None:
    """Fewer where counting noise limits the image; positions that are refined need them all."""
    config = as_recipe(None, ())
    chosen = []
    for part in (1.0, 1e-3, 1e-6):
        patterns = np.random.default_rng(0).poisson(part * scan.counts())
        dimmed = replace(scan, patterns=patterns, probe=scan.probe * np.float32(part**0.5), domain="counts")
        chosen.append(from_nothing(dimmed, config, "cpu").recipe.reconstruction.refine.iterations)
    assert chosen == sorted(chosen, reverse=True)
    assert 36 <= chosen[0] <= 40
    assert chosen[1] < chosen[0]
    assert chosen[2] == 28
    moved = as_recipe(None, ["reconstruction.refine.positions=true"])
    assert from_nothing(scan, moved, "cpu").recipe.reconstruction.refine.iterations == 40
    told: list[int] = []
    made = ptychopinn.reconstruct(scan, on_iteration=lambda done, total, numbers: told.append(total))
    assert len(told) == made.metrics["refine"]["iterations"] == chosen[0]
    assert set(told) == {chosen[0]}


def test_a_recipe_may_set_the_iterations_of_the_solver(scan: Scan) -> None:
    made = ptychopinn.reconstruct(scan, recipe={"reconstruction": {"refine": {"iterations": 3}}})
    assert made.metrics["refine"]["iterations"] == 3
