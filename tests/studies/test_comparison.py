"""Several models and the solver on one canvas; one experiment at several doses."""

import csv
from pathlib import Path

import pytest

import ptychopinn
from ptychopinn.cli.study import parse_models, parse_sizes
from ptychopinn.errors import ConfigError
from ptychopinn.studies.comparison import SCORES, compare_models
from ptychopinn.studies.dose import study_dose

SMALL = [
    "simulation.object_size_px=48",
    "simulation.probe_size_px=16",
    "simulation.step_px=4",
    "reconstruction.refine.iterations=4",
    "training.device=cpu",
    "training.epochs=1",
    "model.generator.width=2",
    "model.generator.levels=1",
]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_models_and_solver_are_scored_on_one_canvas(tmp_path: Path) -> None:
    scan = ptychopinn.simulate(overrides=SMALL).scan
    ptychopinn.train(scan, tmp_path / "model", overrides=SMALL)
    settings = [item for item in SMALL if item.startswith("reconstruction")]
    done = compare_models(scan, {"mine": tmp_path / "model"}, tmp_path / "out", overrides=settings, device="cpu")
    table = rows(done.paths["table"])
    assert [row["name"] for row in table] == ["mine", "solver"]
    assert set(SCORES) < set(table[0])
    assert float(table[1]["psnr_phase"]) > 0
    for name in ("mine/reconstruction.npz", "solver/reconstruction.npz", "evaluation.png", "frc.png"):
        assert (tmp_path / "out" / name).exists(), name
    with pytest.raises(ConfigError, match="name at least one"):
        compare_models(scan, {}, tmp_path / "none", iterative=False)


def test_a_dose_study_goes_from_simulation_to_scores(tmp_path: Path) -> None:
    told: list[int] = []
    settings = [*SMALL, "reconstruction.refine.iterations=20"]
    done = study_dose(
        [1e3, 1e5], tmp_path, train=False, overrides=settings, on_dose=lambda number, total, dose: told.append(number)
    )
    table = rows(done.table)
    assert [row["photons"] for row in table] == ["1000", "100000"]
    assert float(table[1]["psnr_phase"]) > float(table[0]["psnr_phase"])
    assert told == [1, 2]
    made = (tmp_path / "dose_1000_seed0" / "reconstruction.npz").stat().st_mtime_ns
    again = study_dose([1e3, 1e5], tmp_path, train=False, overrides=settings)
    assert (tmp_path / "dose_1000_seed0" / "reconstruction.npz").stat().st_mtime_ns == made
    assert rows(again.table) == table
    with pytest.raises(ConfigError, match="positive doses"):
        study_dose([], tmp_path)


def test_names_and_numbers_of_the_command() -> None:
    assert list(parse_models(["a=x/wts.h5.zip", "runs/b"])) == ["a", "b"]
    with pytest.raises(ConfigError, match="same name"):
        parse_models(["a=x", "a=y"])
    assert parse_sizes("1e3,2e4", "--photons", float) == [1e3, 2e4]
    with pytest.raises(ConfigError, match="--photons 'x': must be numbers between commas"):
        parse_sizes("x", "--photons", float)
