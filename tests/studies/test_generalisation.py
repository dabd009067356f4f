"""Few patterns, many trials: what is trained on, what is tested, what is written, and what is not done twice."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptychopinn
from ptychopinn import PtychoPINNError, Recipe, Scan
from ptychopinn.studies import generalisation
from ptychopinn.studies.finished import write_finished
from ptychopinn.studies.generalisation import choose_patterns, study_generalisation

SCAN = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=4"]
QUICK = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1", "data.group_size=4"]


@pytest.fixture(scope="module")
def scans() -> tuple[Scan, Scan]:
    """Of two objects, 64 patterns of 16 px each."""
    first, other = (ptychopinn.simulate(overrides=[*SCAN, f"simulation.seed={seed}"]).scan for seed in (0, 7))
    return first, other


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nothing is trained; the list gets what would have been."""
    asked: list[Any] = []

    def refuse(scan: Scan, *_: object, **__: object) -> None:
        asked.append(scan)
        raise InterruptedError

    monkeypatch.setattr(generalisation, "train", refuse)
    return asked


@pytest.mark.parametrize("choice", ["compact", "random"])
def test_fewer_patterns_are_among_more(choice: Any) -> None:
    positions = np.random.default_rng(0).uniform(0, 50, (40, 2))
    few, many, again, other = (
        choose_patterns(positions, count, choice, np.random.default_rng(seed))
        for count, seed in ((7, 1), (20, 1), (7, 1), (7, 2))
    )
    assert len(set(few)) == 7
    assert set(few) < set(many)
    np.testing.assert_array_equal(few, again)
    assert set(few) != set(other)
    np.testing.assert_array_equal(choose_patterns(positions, 40, choice, np.random.default_rng(1)), np.arange(40))


def test_compact_patterns_are_neighbours() -> None:
    positions = np.stack(np.divmod(np.arange(400.0), 20), axis=1)
    extents = [
        np.ptp(positions[choose_patterns(positions, 16, choice, np.random.default_rng(0))], axis=0).max()
        for choice in ("compact", "random")
    ]
    assert extents[0] <= 7 < extents[1]


@pytest.mark.slow
def test_trials_differ_in_patterns_and_weights_and_repeat(scans: tuple[Scan, Scan]) -> None:
    told: list[tuple[int, int]] = []
    settings: dict[str, Any] = {"sizes": [24, 8], "trials": 2, "overrides": QUICK}
    study = study_generalisation(*scans, **settings, on_trial=lambda done, total, _: told.append((done, total)))
    assert [(trial.patterns, trial.seed) for trial in study.trials] == [(8, 0), (8, 1), (24, 0), (24, 1)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert study.paths == {}
    scores = [trial.report["psnr_phase"] for trial in study.trials]
    assert len(set(scores)) == 4
    alone = study_generalisation(*scans, sizes=[24], trials=1, overrides=[*QUICK, "training.seed=1"])
    assert alone.trials[0].report == study.trials[3].report


def test_what_is_written_and_not_done_twice(
    scans: tuple[Scan, Scan], tmp_path: Path, no_training: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {"back_projected": None, "counts": {"model": {"generator": {"input": "log_counts"}}}}
    settings: dict[str, Any] = {"sizes": [8], "trials": 2, "overrides": QUICK}
    monkeypatch.setattr(generalisation, "train", ptychopinn.train)
    study = study_generalisation(*scans, tmp_path, recipes, **settings)
    folders = {f"{name}_n8_seed{seed}" for name in recipes for seed in (0, 1)}
    assert {path.name for path in (tmp_path / "trials").iterdir()} == folders
    assert {"wts.h5.zip", "reconstruction.npz", "trial.json", "recipe.yaml"} <= {
        path.name for path in (tmp_path / "trials" / "counts_n8_seed1").iterdir()
    }
    rows = list(csv.DictReader(study.paths["trials"].open()))
    assert [float(row["psnr_phase"]) for row in rows] == [trial.report["psnr_phase"] for trial in study.trials]
    table = list(csv.DictReader(study.paths["table"].open()))
    phases = [trial.report["psnr_phase"] for trial in study.trials]
    assert float(table[1]["psnr_phase_mean"]) == pytest.approx(np.mean(phases[2:]))
    assert float(table[1]["psnr_phase_std"]) == pytest.approx(abs(phases[2] - phases[3]) / np.sqrt(2))
    text = study.paths["text"].read_text()
    assert f"| counts | 8 | 2 | 0 | {np.mean(phases[2:]):.2f} ± " in text
    assert "hardware: " in text
    assert json.loads(study.paths["environment"].read_text())["device"]
    assert study.paths["picture"].stat().st_size > 10_000

    monkeypatch.undo()
    monkeypatch.setattr(generalisation, "train", None)
    assert study_generalisation(*scans, tmp_path, recipes, **settings).trials == study.trials


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": [*QUICK, "training.learning_rate=0.1"]},
        {"choice": "random"},
        {"region": (12, 40, 12, 40)},
        {"scan": "other"},
    ],
    ids=["recipe", "choice", "region", "scan"],
)
def test_another_question_is_asked_again(
    scans: tuple[Scan, Scan], tmp_path: Path, no_training: list[Any], change: dict[str, Any]
) -> None:
    folder = tmp_path / "trials" / "recipe_n8_seed0"
    folder.mkdir(parents=True)
    settings: dict[str, Any] = {"sizes": [8], "trials": 1, "overrides": QUICK, "choice": "compact", "region": None}
    stated = _statement_of(scans, settings)
    trial = {"report": {}, "train_s": 1.0, "total_s": 2.0}
    write_finished(folder / "trial.json", stated, trial)
    changed = settings | change
    scan = scans[1] if changed.pop("scan", None) else scans[0]
    with pytest.raises(InterruptedError):
        study_generalisation(scan, scans[1], tmp_path, **changed)
    assert [len(asked) for asked in no_training] == [8]


def _statement_of(scans: tuple[Scan, Scan], settings: dict[str, Any]) -> dict[str, Any]:
    shared = generalisation._Setting(*scans, settings["region"], settings["choice"], None, None)
    return generalisation._statement(shared, Recipe().with_overrides(settings["overrides"]), 8)


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"stated": null}'])
def test_a_damaged_trial_is_run_again(
    scans: tuple[Scan, Scan], tmp_path: Path, no_training: list[Any], damage: str
) -> None:
    folder = tmp_path / "trials" / "recipe_n8_seed0"
    folder.mkdir(parents=True)
    (folder / "trial.json").write_text(damage)
    with pytest.raises(InterruptedError):
        study_generalisation(*scans, tmp_path, sizes=[8], trials=1, overrides=QUICK)
    assert len(no_training) == 1


def test_one_scan_is_cut_and_scored_where_no_training_pattern_reaches(
    no_training: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = ptychopinn.simulate(overrides=["simulation.object_size_px=92", *SCAN[1:]]).scan
    tested: list[Scan] = []

    def keep(image: object, reference: Scan, region: tuple[int, int, int, int]) -> None:
        tested.append(reference)
        regions.append(region)
        raise InterruptedError

    regions: list[tuple[int, int, int, int]] = []
    monkeypatch.setattr(generalisation, "train", lambda part, *_, **__: no_training.append(part) or _Nothing())
    monkeypatch.setattr(generalisation, "reconstruct", lambda *_, **__: _Nothing())
    monkeypatch.setattr(generalisation, "evaluate", keep)
    half = int(np.sum(scan.positions_px[:, 1] < np.median(scan.positions_px[:, 1])))
    with pytest.raises(InterruptedError):
        study_generalisation(scan, sizes=[half], trials=1, overrides=QUICK)
    trained_on = no_training[0]
    assert len(trained_on) + len(tested[0]) == len(scan)
    assert trained_on.positions_px[:, 1].max() < tested[0].positions_px[:, 1].min()
    assert regions[0][2] > trained_on.positions_px[:, 1].max() + 8
    assert regions[0][3] <= tested[0].positions_px[:, 1].max() + 1


class _Nothing:
    """Stands for a trained model and for an image."""

    seconds = 0.0
    reconstruction = None


def _without_object(scan: Scan) -> Scan:
    return replace(scan, object_guess=None)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no size": ({"sizes": []}, "sizes are"),
    "less than a group": ({"sizes": [3, 8]}, "from 4 patterns"),
    "more than there are": ({"sizes": [8, 65]}, "to 64"),
    "no trial": ({"trials": 0}, "one or more"),
    "sub-sampled twice": ({"overrides": [*QUICK, "data.n_patterns=9"]}, r"data\.n_patterns"),
    "no truth": ({"test_scan": _without_object}, "no objectGuess"),
    "too narrow": ({"test_scan": lambda _: None}, "too narrow"),
    "name with a folder": ({"recipes": {"a/b": None}}, "names a folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_questions_are_refused_before_anything_is_written(
    scans: tuple[Scan, Scan], tmp_path: Path, no_training: list[Any], case: str
) -> None:
    change, message = REFUSED[case]
    settings: dict[str, Any] = {"sizes": [8], "overrides": QUICK} | change
    made: Callable[[Scan], Scan | None] = settings.pop("test_scan", lambda scan: scan)
    with pytest.raises(PtychoPINNError, match=message):
        study_generalisation(scans[0], made(scans[1]), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()
    assert no_training == []


def test_scans_of_two_pattern_sizes_are_refused(scans: tuple[Scan, Scan]) -> None:
    larger = ptychopinn.simulate(overrides=[SCAN[0], "simulation.probe_size_px=20", SCAN[2]]).scan
    with pytest.raises(PtychoPINNError, match="20 px wide"):
        study_generalisation(scans[0], larger, sizes=[8], overrides=QUICK)
