"""Several trials as one number with its uncertainty, and tables of such numbers as CSV and Markdown."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptychopinn.data.io import write_text_atomically


@dataclass(frozen=True)
class Spread:
    """Mean and uncertainty of several trials."""

    mean: float
    deviation: float | None
    """Standard deviation of a single trial, estimated from all (divided by n - 1); none of a single one."""
    low: float
    high: float
    """The least and the largest."""
    count: int

    def text(self, digits: int = 2) -> str:
        """Mean and deviation.

        >>> spread_of([1.0, 2.0, 3.0]).text(), spread_of([4.0]).text(1)
        ('2.00 ± 1.00', '4.0')
        """
        mean = f"{self.mean:.{digits}f}"
        return mean if self.deviation is None else f"{mean} ± {self.deviation:.{digits}f}"


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Mean and uncertainty of trials; none where one of them has no such number, or there is none.

    >>> spread_of([1.0, None]) is None
    True
    """
    known = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return None
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(float(np.mean(known)), deviation, min(known), max(known), len(known))


def spread_columns(name: str, spread: Spread | None) -> dict[str, float | None]:
    """Columns of a CSV table: mean, standard deviation, least and largest."""
    if spread is None:
        return dict.fromkeys((f"{name}_mean", f"{name}_std", f"{name}_min", f"{name}_max"))
    return {
        f"{name}_mean": spread.mean,
        f"{name}_std": spread.deviation,
        f"{name}_min": spread.low,
        f"{name}_max": spread.high,
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A table with the keys of the first row as header; what is None stays empty.

    Raises:
        OutputError: the file cannot be written.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text_atomically(path, stream.getvalue())


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; its cells are taken as they are.

    >>> print(markdown_table(["n", "dB"], [["64", "30.1"]]))
    | n | dB |
    | --- | --- |
    | 64 | 30.1 |
    """
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
