"""Tables of the grid-lines study."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptychopinn.data.io import write_text_atomically
from ptychopinn.studies.environment import hardware_line
from ptychopinn.studies.spread import markdown_table, spread_columns, spread_of, write_csv
from ptychopinn.studies.trial import CONTRAST, Trial, grouped

PUBLISHED_SSIM = {(64, 1): 0.904, (64, 2): 0.968, (128, 1): 0.988}
"""(N, gridsize) -> best published amplitude SSIM on objects of 392 px."""
PUBLISHED_SIZE_PX = 392
_COLUMNS = (
    ("ssim_amplitude", "amplitude SSIM", 3),
    ("ssim_phase", "phase SSIM", 3),
    ("psnr_amplitude", "amplitude PSNR (peak 1), dB", 2),
    ("psnr_phase", "phase PSNR (peak 2 pi), dB", 2),
    ("frc_0.5_cycles_per_px", "FRC 0.5, cycles/px", 3),
    ("contrast_amplitude", "amplitude contrast", 2),
    ("contrast_phase", "phase contrast", 2),
)


def write_grid_lines_tables(
    folder: Path,
    trials: Sequence[Trial],
    stated: Mapping[str, Any],
    published: float | None,
    facts: dict[str, str | int],
) -> dict[str, Path]:
    """`metrics.json` with every report, `metrics_table.csv` and `metrics_table.md` with a line for each row.

    Args:
        folder: where to.
        trials: all runs; `Trial.recipe` is the row.
        stated: what all rows share; plain JSON values, written above the table too.
        published: amplitude SSIM to compare the best row with, where there is one.
        facts: of `environment`.

    Raises:
        OutputError: a file cannot be written.
    """
    rows = grouped(trials)
    tree = {"study": dict(stated), "environment": facts, "rows": {row[0].recipe: _entries(row) for row in rows}}
    return {
        "metrics": write_text_atomically(folder / "metrics.json", json.dumps(tree, indent=2)),
        "table": write_csv(folder / "metrics_table.csv", [_table_row(row) for row in rows]),
        "text": write_text_atomically(folder / "metrics_table.md", as_markdown(rows, stated, published, facts)),
    }


def as_markdown(
    rows: Sequence[Sequence[Trial]], stated: Mapping[str, Any], published: float | None, facts: dict[str, str | int]
) -> str:
    """The table with all that its numbers need; numbers of a row that is no result stand in brackets."""
    report = rows[0][0].report
    head = {
        **stated,
        "scored": f"every pixel of the ground truth; {report['alignment']}",
        "±": "standard deviation of one run, from run to run of other seeds",
        "contrast": f"recovered over true standard deviation; a row outside {CONTRAST[0]}-{CONTRAST[1]} is no result",
        "hardware": hardware_line(facts),
    }
    header = ["row", "verdict", "seeds", *(label for _, label, _ in _COLUMNS), "training, s", "in all, s"]
    first = [] if published is None else [shortfall(rows, published), ""]
    lines = [f"- {name}: {text}" for name, text in head.items()]
    table = markdown_table(header, [_cells(row) for row in rows])
    return "\n".join(["# Grid lines", "", *first, *lines, "", table, ""])


def shortfall(rows: Sequence[Sequence[Trial]], published: float) -> str:
    """How the best self-supervised row compares with what was published; rows that are no result do not count."""
    means: dict[str, float] = {}
    for row in rows:
        ssim = spread_of([trial.value("ssim_amplitude") for trial in row])
        if ssim is not None and row[0].recipe.startswith("pinn_") and all(trial.is_result for trial in row):
            means[row[0].recipe] = ssim.mean
    if not means:
        return f"Published amplitude SSIM {published}: not reached, since no self-supervised row is a result."
    best = max(means, key=lambda name: means[name])
    reached = "reached" if means[best] >= published else f"not reached, {published - means[best]:.3f} short"
    return f"Published amplitude SSIM {published}: {reached}; the best row is {best} with {means[best]:.3f}."


def _entries(row: Sequence[Trial]) -> dict[str, Any]:
    seeds = {
        str(trial.seed): {
            "is_result": trial.is_result,
            "train_s": trial.train_s,
            "total_s": trial.total_s,
            "report": trial.report,
        }
        for trial in row
    }
    return {"is_result": all(trial.is_result for trial in row), "seeds": seeds}


def _table_row(row: Sequence[Trial]) -> dict[str, Any]:
    columns: dict[str, Any] = {"row": row[0].recipe, "is_result": all(trial.is_result for trial in row)}
    columns["seeds"] = " ".join(str(trial.seed) for trial in row)
    for key, _, _ in _COLUMNS:
        columns |= spread_columns(key, spread_of([trial.value(key) for trial in row]))
    return columns | spread_columns("train_s", spread_of([trial.train_s for trial in row]))


def _cells(row: Sequence[Trial]) -> list[str]:
    failed = [str(trial.seed) for trial in row if not trial.is_result]
    spreads = [(spread_of([trial.value(key) for trial in row]), digits) for key, _, digits in _COLUMNS]
    numbers = ["" if spread is None else spread.text(digits) for spread, digits in spreads]
    train_s, total_s = (spread_of([getattr(trial, key) for trial in row]) for key in ("train_s", "total_s"))
    return [
        row[0].recipe,
        f"NO RESULT: contrast of seed {', '.join(failed)}" if failed else "result",
        " ".join(str(trial.seed) for trial in row),
        *(f"({number})" if failed and number else number for number in numbers),
        *("" if seconds is None else f"{seconds.mean:.1f}" for seconds in (train_s, total_s)),
    ]
