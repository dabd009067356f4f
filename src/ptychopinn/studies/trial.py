"""One run of a study, and when its image counts as a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CONTRAST = (0.8, 1.2)
"""Recovered over true contrast outside which an image is no result."""


@dataclass(frozen=True)
class Trial:
    """One training and its score on what it has not seen."""

    recipe: str
    """Its name."""
    patterns: int
    """Trained on."""
    seed: int
    report: dict[str, Any]
    """What `ptychopinn.evaluate` reports of the test scan."""
    train_s: float
    """Time of the training."""
    total_s: float
    """The same with reconstruction and scores."""

    def value(self, key: str) -> float | None:
        """A number of the report; a ring correlation that is nowhere above its threshold has resolution 0."""
        if key.startswith("frc_") and self.report[f"frc_{key.split('_')[1]}_outcome"] == "never above":
            return 0.0
        return self.report[key]

    @property
    def is_result(self) -> bool:
        """Whether amplitude and phase have about the contrast of the truth."""
        return has_contrast(self.report)


def has_contrast(report: dict[str, Any]) -> bool:
    """Whether amplitude and phase, where the truth has one, have about the contrast of the truth.

    >>> has_contrast({"contrast_amplitude": 0.9, "contrast_phase": None})
    True
    """
    contrasts = [report["contrast_amplitude"], report["contrast_phase"]]
    return all(value is None or CONTRAST[0] <= value <= CONTRAST[1] for value in contrasts)


def grouped(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials of one recipe and one number of patterns together, in their order."""
    rows: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        rows.setdefault((trial.recipe, trial.patterns), []).append(trial)
    return list(rows.values())
