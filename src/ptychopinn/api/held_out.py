"""How well scans that are solved together explain photons that were withheld, compared with each scan alone.

A tenth of the photons of each scan is withheld. Images are made from the others, of all scans in one solve and of each
scan alone, by the same number of iterations. The withheld photons decide which of the two explains a scan better
(`ptychopinn.metrics.withheld`). Where the scans do not have in common what was stated, it is the scan alone.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.api.scans_together import ScansTogether, scans_together
from ptychopinn.api.solver_work import Task, iterated
from ptychopinn.data.io.atomic import write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import Split, for_part, holds_photons, withhold_photons
from ptychopinn.errors import ConfigError
from ptychopinn.metrics.withheld import Preference, preference, withheld_deviance
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import photons_in_batches, unlogged

logger = logging.getLogger("ptychopinn")
ENTRY = "held_out"
"""Of `metrics.json`."""
WITHHELD = 0.1
"""Part of the photons."""
SEED = 10
"""Of the draw of the first scan; those of the others follow. The prior, error bars and halves draw with 0 to 3."""


@dataclass(frozen=True)
class Score:
    """Of one scan."""

    preference: Preference
    """Of the image of this scan alone (first) and of all scans together (second)."""
    seconds: float
    """Of all scans, for the images that were compared."""

    @property
    def conclusion(self) -> str:
        """In a sentence."""
        found = self.preference
        if found.is_tie:
            return (
                "the withheld photons of this scan are explained equally well by all scans together and by this scan "
                f"alone (difference of the deviance {found.difference:.4g} +- {found.standard_error:.2g})"
            )
        size = f"by {abs(found.errors):.0f} standard errors"
        if found.is_second_better:
            return f"the withheld photons of this scan are explained better by all scans together than alone, {size}"
        return (
            f"the withheld photons of this scan are explained less well by all scans together than alone, {size}: the "
            "scans may not have in common what --common states, or their positions are not in one frame"
        )

    def entry(self) -> dict[str, Any]:
        """The entry `held_out` of `metrics.json`."""
        found = self.preference
        return {
            "conclusion": self.conclusion,
            "withheld_fraction": WITHHELD,
            "withheld_photons": found.photons,
            "deviance_per_pixel": dict(zip(("alone", "together"), found.deviance, strict=True)),
            "difference": found.difference,
            "standard_error": found.standard_error,
            "difference_in_standard_errors": found.errors,
            "seconds": self.seconds,
        }


def check_holds_photons(ready: ScansTogether) -> None:
    """Refuse counts of which no photons can be withheld.

    Raises:
        ConfigError: the scan.
    """
    for name, task in ready.alone.items():
        if not holds_photons(task.tensors.scan):
            raise ConfigError(
                f"{name}: held_out (--held-out) must have counts that are whole numbers, so that photons can be "
                "withheld; leave it out"
            )


def held_out_scores(ready: ScansTogether, device: str) -> Mapping[str, Score]:
    """The score of each scan.

    Args:
        ready: the scans with all photons.
        device: that computes.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    started = time.perf_counter()
    splits = {
        name: withhold_photons(task.tensors.scan, WITHHELD, SEED + number)
        for number, (name, task) in enumerate(ready.alone.items())
    }
    recipe, common = for_part(ready.task.recipe, WITHHELD), ready.together.common
    with unlogged():
        others = {name: split.scan for name, split in splits.items()}
        kept = scans_together(others, recipe, common, device, ready.task.ranks)
        result = iterated(kept.task, kept.task.tensors)
        together = kept.images(result.reconstruction, result.together)
        alone = {name: iterated(task, task.tensors).reconstruction for name, task in kept.alone.items()}
    seconds = time.perf_counter() - started
    found = {}
    for name, split in splits.items():
        task = kept.alone[name]
        before, now = (_deviance(images[name], task, split) for images in (alone, together))
        pixels = int(task.tensors.measured_pixels())
        found[name] = Score(preference(before, now, pixels, split.withheld_photons()), seconds)
    return found


def with_score(part: Reconstructed, score: Score) -> Reconstructed:
    """The same with its score, which is logged and written into `metrics.json`, where there is one."""
    level = logging.WARNING if score.preference.is_first_better else logging.INFO
    logger.log(level, "%s: %s", part.reconstruction.metadata["source"], score.conclusion)
    metrics = {**part.metrics, ENTRY: score.entry()}
    if "metrics" in part.paths:
        write_text_atomically(part.paths["metrics"], json.dumps(metrics, indent=2))
    return replace(part, metrics=metrics)


def _deviance(image: Reconstruction, task: Task, split: Split) -> NDArray[np.float64]:
    """(N,): of the withheld counts of each pattern."""
    photons = photons_in_batches(image, task.tensors, DiffractionModel.of(task.recipe.model))
    return withheld_deviance(photons, split, task.tensors)
