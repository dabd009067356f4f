"""Tables and figure of a generalisation study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptychopinn.data.io import write_text_atomically
from ptychopinn.plotting import figure_trend, save_figure
from ptychopinn.studies.environment import hardware_line
from ptychopinn.studies.spread import markdown_table, spread_columns, spread_of, write_csv
from ptychopinn.studies.trial import CONTRAST, Trial, grouped

_COLUMNS = (
    ("psnr_phase", "phase PSNR (peak 2 pi), dB", 2),
    ("psnr_phase_high_rings", "the same, rings above 5", 2),
    ("psnr_amplitude", "amplitude PSNR (peak 1), dB", 2),
    ("ssim_phase", "phase SSIM", 3),
    ("ssim_amplitude", "amplitude SSIM", 3),
    ("frc_0.5_cycles_per_px", "FRC 0.5, cycles/px", 3),
    ("contrast_phase", "phase contrast", 2),
    ("contrast_amplitude", "amplitude contrast", 2),
)
_PANELS = ("psnr_phase", "psnr_amplitude", "ssim_phase", "ssim_amplitude", "contrast_phase", "contrast_amplitude")


def write_tables(
    folder: Path, trials: Sequence[Trial], stated: Mapping[str, str], facts: dict[str, str | int]
) -> dict[str, Path]:
    """`trials.csv` with a line for each trial, `table.csv` and `table.md` with one for each size, and the figure.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = grouped(trials)
    figure = save_figure(_figure(trials), folder / "generalisation.png")
    return {
        "trials": write_csv(folder / "trials.csv", [_trial_row(trial) for trial in trials]),
        "table": write_csv(folder / "table.csv", [_table_row(row) for row in rows]),
        "text": write_text_atomically(folder / "table.md", as_markdown(rows, stated, facts)),
        "figure": figure,
        "picture": figure,
    }


def as_markdown(rows: Sequence[Sequence[Trial]], stated: Mapping[str, str], facts: dict[str, str | int]) -> str:
    """The table with all that its numbers need beside them."""
    report = rows[0][0].report
    head = {
        **stated,
        "scored": f"rows and columns {report['region']}, {report['region_frame']}; {report['alignment']}",
        "±": "standard deviation of one trial: other patterns, other initial weights",
        "contrast": f"recovered over true standard deviation; outside {CONTRAST[0]} to {CONTRAST[1]} no result",
        "hardware": hardware_line(facts),
    }
    header = ["recipe", "patterns", "trials", "of them results", *(label for _, label, _ in _COLUMNS), "training, s"]
    lines = [f"- {name}: {text}" for name, text in head.items()]
    table = markdown_table(header, [_cells(row) for row in rows])
    return "\n".join(["# Generalisation", "", *lines, "", table, ""])


def _cells(row: Sequence[Trial]) -> list[str]:
    spreads = [(spread_of([trial.value(key) for trial in row]), digits) for key, _, digits in _COLUMNS]
    seconds = spread_of([trial.train_s for trial in row])
    return [
        row[0].recipe,
        str(row[0].patterns),
        str(len(row)),
        str(sum(trial.is_result for trial in row)),
        *("" if spread is None else spread.text(digits) for spread, digits in spreads),
        "" if seconds is None else f"{seconds.mean:.1f}",
    ]


def _trial_row(trial: Trial) -> dict[str, Any]:
    values = {key: trial.value(key) for key, _, _ in _COLUMNS}
    start = {"recipe": trial.recipe, "patterns": trial.patterns, "seed": trial.seed}
    return {**start, **values, "is_result": trial.is_result, "train_s": trial.train_s, "total_s": trial.total_s}


def _table_row(row: Sequence[Trial]) -> dict[str, Any]:
    columns: dict[str, Any] = {"recipe": row[0].recipe, "patterns": row[0].patterns, "trials": len(row)}
    columns["results"] = sum(trial.is_result for trial in row)
    for key, _, _ in _COLUMNS:
        columns |= spread_columns(key, spread_of([trial.value(key) for trial in row]))
    return columns | spread_columns("train_s", spread_of([trial.train_s for trial in row]))


def _figure(trials: Sequence[Trial]) -> Any:
    labels = {key: label for key, label, _ in _COLUMNS}
    panels: dict[str, dict[str, dict[float, list[float]]]] = {}
    for key in _PANELS:
        lines = panels.setdefault(labels[key], {})
        for trial in trials:
            value = trial.value(key)
            if value is not None:
                lines.setdefault(trial.recipe, {}).setdefault(trial.patterns, []).append(value)
    bands = {labels[key]: CONTRAST for key in _PANELS if key.startswith("contrast")}
    return figure_trend(panels, xlabel="training patterns", title="Generalisation", bands=bands)
