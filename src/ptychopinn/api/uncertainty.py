"""Error bars of the solver's image: when they can be had, how a replica is solved, what the files say of them."""

import logging
import time
from dataclasses import replace
from typing import Any

from ptychopinn.api.prior_use import corrected
from ptychopinn.api.solver_work import Task, iterated
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import holds_photons
from ptychopinn.metrics.verdict import Level
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior import Prior
from ptychopinn.reconstruction.error_bars import error_bars
from ptychopinn.solver import unlogged

logger = logging.getLogger("ptychopinn")
ENTRY = "uncertainty"
"""Name of the entry in `metrics.json` and in the metadata of an image."""
SEED = 3
"""Of the redrawn counts. `run` (0), the halves (1) and the prior (2) draw too, and all draws must be independent."""
NOT_WHOLE = (
    "no error bars: the counts are not whole numbers, so that their noise is not known; give photon counts (--domain, "
    "or the counts before a correction divided them)"
)
NO_SOLVER = (
    "no error bars: they are made for images of the solver alone, which are solved again from redrawn counts, and a "
    "network has seen the counts; reconstruct the scan without a model"
)
OBJECT_HELD = "no error bars: the solver held the object (reconstruction.refine.object=false); set it to true"
DOES_NOT_FIT = (
    "the error bars are not valid: the image does not fit the patterns, and they hold the errors of a right model "
    "only; correct what the verdict names first"
)
FITS_IN_PART = (
    "the error bars are not valid: the image fits the patterns only in part, and they hold the errors of a right model "
    "only; see what the verdict names"
)
"""What stands in the entry by these verdicts. With wrong positions or a wrong probe the verdict is often `fits in
part`, and mostly 7 to 60 % of the pixels lie in the 68 % band (docs/dev/error_bars.md)."""


def refusal(task: Task) -> str | None:
    """Why an image of the solver can have no error bars; None if it can."""
    if not task.recipe.reconstruction.refine.object:
        return OBJECT_HELD
    return None if holds_photons(task.tensors.scan) else NOT_WHOLE


def with_error_bars(image: Reconstruction, level: Level, task: Task) -> tuple[Reconstruction, dict[str, Any]]:
    """The image with error bars, or with the reason why it has none, and the entry of `metrics.json`.

    Args:
        image: of the task.
        level: of its verdict.
        task: what the solver was given, with the prior.
    """
    reason = refusal(task)
    if reason is not None:
        logger.warning("%s", reason)
        entry: dict[str, Any] = {"valid": False, "reason": reason}
        return _with_entry(image, entry), entry
    started = time.perf_counter()
    count = task.recipe.reconstruction.uncertainty_replicas
    logger.info("error bars: solving %d times with redrawn counts", count)
    prior = task.prior if image.prior_correction is not None else None

    def remake(scan: Scan, number: int) -> Reconstruction:
        logger.debug("error bars: replica %d of %d", number + 1, count)
        return _replica(scan, task, prior)

    model = DiffractionModel.of(task.recipe.model)
    bars = error_bars(image, task.tensors, remake, model, replicas=count, seed=SEED)
    entry = {"valid": level == "fits", "verdict": level, **bars.entry()}
    if level != "fits":
        entry["reason"] = DOES_NOT_FIT if level == "does not fit" else FITS_IN_PART
        logger.warning("%s", entry["reason"])
    logger.info("error bars: %s, in %.1f s", described(entry), time.perf_counter() - started)
    image = replace(image, amplitude_error=bars.amplitude, phase_error=bars.phase)
    return _with_entry(image, entry), entry


def without_error_bars(image: Reconstruction) -> Reconstruction:
    """The image as the solver made it; a resumed run makes its error bars anew, with its own settings."""
    metadata = {name: value for name, value in image.metadata.items() if name != ENTRY}
    return replace(image, amplitude_error=None, phase_error=None, metadata=metadata)


def described(entry: dict[str, Any]) -> str:
    """The medians of the entry in words.

    >>> described({"amplitude_error_median": 0.0123, "phase_error_median_rad": 0.02, "replicas": 3})
    '0.0123 of the amplitude and 0.02 rad of the phase in the median, from 3 replicas'
    """
    amplitude, phase = (_number(entry[key]) for key in ("amplitude_error_median", "phase_error_median_rad"))
    return f"{amplitude} of the amplitude and {phase} rad of the phase in the median, from {entry['replicas']} replicas"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _with_entry(image: Reconstruction, entry: dict[str, Any]) -> Reconstruction:
    return replace(image, metadata={**image.metadata, ENTRY: entry})


def _replica(scan: Scan, task: Task, prior: Prior | None) -> Reconstruction:
    """The image of redrawn counts, made as that of the task."""
    tensors = ScanTensors(scan, task.tensors.device)
    with unlogged():
        image = iterated(task, tensors).reconstruction
        return corrected(image, tensors, task.recipe, prior)[0]
