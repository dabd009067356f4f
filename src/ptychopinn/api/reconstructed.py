"""What a reconstruction returns and writes, whether a network or the solver made the image."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.check import check_scan
from ptychopinn.api.evaluate import Comparison, compare_with_reference
from ptychopinn.api.fit import announce
from ptychopinn.api.request import Job
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io.atomic import write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.metrics.collapse import Collapse
from ptychopinn.metrics.verdict import Verdict
from ptychopinn.physics import DiffractionModel
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.training import History, judge

logger = logging.getLogger("ptychopinn")


@dataclass(frozen=True)
class Reconstructed:
    """An image, how good it is, and where it was written."""

    reconstruction: Reconstruction
    metrics: dict[str, Any]
    """What `metrics.json` holds."""
    paths: dict[str, Path]
    """`reconstruction`, `figure` (also as `picture`), `metrics`, `log`; empty when nothing was written."""
    collapse: Collapse | None = None
    """Contrast and coverage of the image, and whether it is flat where the patterns are not."""
    verdict: Verdict | None = None
    """Whether the image explains its patterns, with the likely cause and what to do where it does not."""


@dataclass(frozen=True)
class Made:
    """An image of a scan, before it is judged, compared and written."""

    image: Reconstruction
    tensors: ScanTensors
    """The scan."""
    recipe: Recipe
    metrics: Mapping[str, Any]
    """Entries of `metrics.json` that belong to how it was made."""
    timings: Mapping[str, float]
    """Name of a step -> s."""
    verdict: Verdict
    """Whether the image explains its patterns."""


def finish(made: Made, job: Job) -> Reconstructed:
    """Judge an image, compare it with the object guess of its scan, and write the files of its job."""
    made = _checked(made)
    announce(made.verdict)
    collapse = judge(made.tensors, made.image, DiffractionModel.of(made.recipe.model))
    comparison = compare_with_reference(made.image, made.tensors.scan)
    timings = {**job.timings, **made.timings, "threads": float(torch.get_num_threads())}
    metrics = {
        **made.metrics,
        "reference": comparison.report if comparison else None,
        "verdict": made.verdict.entry(),
        "collapse": collapse.entry(),
        "scan_problems": list(made.tensors.scan.notes),
        "timings": timings,
    }
    paths: dict[str, Path] = {}
    if job.folder is not None:
        started = time.perf_counter()
        paths["reconstruction"] = made.image.save(job.folder / "reconstruction.npz")
        figure = _save_figure(job.folder / "reconstruction.png", made, job.history, comparison)
        paths |= {"figure": figure, "picture": figure}
        timings["write_s"] = timings.get("write_s", 0.0) + time.perf_counter() - started
        paths["metrics"] = write_text_atomically(job.folder / "metrics.json", json.dumps(metrics, indent=2))
    return Reconstructed(made.image, metrics, paths, collapse, made.verdict)


def _checked(made: Made) -> Made:
    """The same, with what a check of the geometry found in its verdict, where the image does not fit."""
    if not made.recipe.reconstruction.check or all(cause.kind != "model" for cause in made.verdict.causes):
        return made
    try:
        found = check_scan(made.tensors.scan, made.recipe, is_file=Path(made.tensors.scan.source).is_file())
    except PtychoPINNError as error:
        logger.info("the geometry could not be checked: %s", error)
        return made
    return replace(made, verdict=made.verdict.with_check(found.message))


def _save_figure(path: Path, made: Made, history: History | None, comparison: Comparison | None) -> Path:
    title = f"Reconstruction: {made.verdict.heading}"
    if comparison is not None:
        return comparison.save_figure(path, made.image, history, title)
    return save_figure(figure_reconstruction(made.image, history, title=title), path)
