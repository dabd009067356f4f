"""Numbers with their uncertainty, and what a table may call a result."""

import csv
from pathlib import Path
from typing import Any

import pytest

from ptychopinn.studies.environment import environment, hardware_line
from ptychopinn.studies.generalisation_tables import as_markdown
from ptychopinn.studies.spread import markdown_table, spread_columns, spread_of, write_csv
from ptychopinn.studies.trial import Trial, grouped

REPORT = {
    "psnr_phase": 30.0,
    "psnr_phase_high_rings": 31.0,
    "psnr_amplitude": 25.0,
    "ssim_phase": 0.8,
    "ssim_amplitude": 0.9,
    "frc_0.5_cycles_per_px": 0.25,
    "frc_0.5_outcome": "crossed",
    "contrast_phase": 0.95,
    "contrast_amplitude": 1.05,
    "region": [0, 9, 0, 9],
    "region_frame": "object frame, px",
    "alignment": "translation",
}
FACTS: dict[str, Any] = {"processor": "P", "cores": 2, "threads": 1, "device": "cpu", "torch": "2"}


def trial(patterns: int = 8, seed: int = 0, **changes: Any) -> Trial:
    return Trial("cnn", patterns, seed, REPORT | changes, 2.0, 3.0)


def test_deviation_is_that_of_a_single_trial() -> None:
    spread = spread_of([1.0, 2.0, 4.0])
    assert spread is not None
    assert spread.mean == pytest.approx(7 / 3)
    assert spread.deviation == pytest.approx(1.5275, abs=1e-4)
    assert (spread.low, spread.high, spread.count) == (1.0, 4.0, 3)
    assert spread.text(1) == "2.3 ± 1.5"


def test_one_trial_has_no_deviation_and_an_infinite_one_no_mean() -> None:
    assert spread_columns("x", spread_of([3.0])) == {"x_mean": 3.0, "x_std": None, "x_min": 3.0, "x_max": 3.0}
    for unknown in ([], [1.0, None], [1.0, float("inf")]):
        assert spread_of(unknown) is None
    assert set(spread_columns("x", None).values()) == {None}


def test_csv_leaves_unknown_cells_empty(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"name": "a, b", "x": None}, {"name": "c", "x": 1.5}])
    assert list(csv.DictReader(path.open())) == [{"name": "a, b", "x": ""}, {"name": "c", "x": "1.5"}]


def test_markdown_has_a_line_for_each_row() -> None:
    assert markdown_table(["a", "b"], [["1", "2"], ["3", "4"]]).splitlines()[2:] == ["| 1 | 2 |", "| 3 | 4 |"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"contrast_phase": None}, True),
        ({"contrast_phase": 0.79}, False),
        ({"contrast_amplitude": 1.21}, False),
    ],
)
def test_only_true_contrast_is_a_result(changes: dict[str, Any], expected: bool) -> None:
    assert trial(**changes).is_result is expected


def test_a_correlation_that_is_nowhere_above_is_no_resolution() -> None:
    assert trial().value("frc_0.5_cycles_per_px") == 0.25
    never = {"frc_0.5_outcome": "never above"}
    assert trial(**never).value("frc_0.5_cycles_per_px") == 0.0


def test_table_counts_results_and_states_its_terms() -> None:
    trials = [trial(), trial(seed=1, psnr_phase=32.0, contrast_phase=0.1), trial(patterns=16)]
    text = as_markdown(grouped(trials), {"tested on": "b.npz"}, FACTS)
    assert "| cnn | 8 | 2 | 1 | 31.00 ± 1.41 |" in text
    assert "| cnn | 16 | 1 | 1 | 30.00 |" in text
    for stated in ("tested on: b.npz", "[0, 9, 0, 9]", "outside 0.8 to 1.2 no result", "P, 2 cores, 1 threads"):
        assert stated in text


def test_environment_names_the_hardware() -> None:
    facts = environment("cpu")
    assert facts["device"] == "cpu"
    assert facts["processor"]
    assert str(facts["torch"]) in hardware_line(facts)
