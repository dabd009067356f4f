"""What a reconstruction returns and writes, whether a network or the solver made the image."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.check import State, check_scan, tried_models
from ptychopinn.api.evaluate import Comparison, compare_with_reference
from ptychopinn.api.figure_content import content_of_fit, is_of_network, title_of, with_verdict
from ptychopinn.api.fit import FitQuality, announce
from ptychopinn.api.request import Job
from ptychopinn.api.resolution import OF_A_NETWORK, Resolution
from ptychopinn.api.uncertainty import ENTRY as UNCERTAINTY
from ptychopinn.api.uncertainty import NO_SOLVER
from ptychopinn.bundle import BUNDLE_NAME
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io.atomic import write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.metrics.collapse import Collapse
from ptychopinn.metrics.verdict import BAD_RATIO, Verdict
from ptychopinn.notebook import Shown
from ptychopinn.physics import DiffractionModel
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.training import History, judge

logger = logging.getLogger("ptychopinn")
RESULT = "reconstruction"
"""Name of the result and its figure, without the extension."""
RECIPE = "recipe.yaml"


@dataclass(frozen=True, repr=False)
class Reconstructed(Shown):
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

    def summary(self) -> str:
        """That of the image, and what the verdict says."""
        message = f"\n  {self.verdict.message}" if self.verdict else ""
        return f"{self.reconstruction.summary()}{message}"

    def plot(self) -> Any:
        """The figure of the image, a `matplotlib.figure.Figure`."""
        return self.reconstruction.plot()


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
    fit: FitQuality
    """How well the image explains its patterns."""

    @property
    def verdict(self) -> Verdict:
        """Whether the image explains its patterns."""
        return self.fit.verdict

    def with_check(self, found: str) -> "Made":
        """The same, with the sentence of a check of the scan in its verdict."""
        return replace(self, fit=replace(self.fit, verdict=self.verdict.with_check(found)))


@dataclass(frozen=True)
class Judged:
    """An image with its metrics, before anything is written."""

    made: Made
    metrics: dict[str, Any]
    """What `metrics.json` will hold."""
    collapse: Collapse
    comparison: Comparison | None
    """With the object guess of the scan, where there is one."""
    resolution: Resolution | None = None
    """By two halves of the data, where it was measured."""

    def with_resolution(self, found: Resolution, seconds: float | None = None) -> "Judged":
        """The same with its resolution, which took so many seconds."""
        took = {} if seconds is None else {"resolution_s": seconds}
        timings = {**self.metrics["timings"], **took}
        metrics = {**self.metrics, "resolution": found.entry, "timings": timings}
        return replace(self, metrics=metrics, resolution=found)

    def with_error_bars(
        self, image: Reconstruction, entry: Mapping[str, Any], seconds: float | None = None
    ) -> "Judged":
        """The same with the image that has error bars, or with the reason why it has none; it took so many seconds."""
        took = {} if seconds is None else {"uncertainty_s": seconds}
        metrics = {**self.metrics, UNCERTAINTY: dict(entry), "timings": {**self.metrics["timings"], **took}}
        return replace(self, made=replace(self.made, image=image), metrics=metrics)


def finish(made: Made, job: Job) -> Reconstructed:
    """Judge an image, compare it with the object guess of its scan, and write the files of its job."""
    image = judged(checked(made), job)
    announce(image.made.verdict)
    return write_result(image, job)


def judged(made: Made, job: Job) -> Judged:
    """Judge an image, and compare it with the object guess of its scan."""
    made = replace(made, image=with_verdict(made.image, made.verdict))
    collapse = judge(made.tensors, made.image, DiffractionModel.of(made.recipe.model))
    comparison = compare_with_reference(made.image, made.tensors.scan)
    timings = {**job.timings, **made.timings, "threads": float(torch.get_num_threads())}
    metrics = {
        "backend": made.image.metadata["backend"],
        **made.metrics,
        "reference": comparison.report if comparison else None,
        "verdict": made.verdict.entry(),
        "collapse": collapse.entry(),
        "scan_problems": list(made.tensors.scan.notes),
        "timings": timings,
    }
    image = Judged(made, metrics, collapse, comparison)
    if made.recipe.reconstruction.uncertainty and is_of_network(made.image):
        logger.info("%s", NO_SOLVER)
        image = image.with_error_bars(made.image, {"valid": False, "reason": NO_SOLVER})
    wanted = made.recipe.reconstruction.resolution
    if wanted != "none" and is_of_network(made.image):
        return image.with_resolution(Resolution.missing(wanted, OF_A_NETWORK))
    return image


def write_result(image: Judged, job: Job) -> Reconstructed:
    """Write an image with its figure and metrics into the folder of a job, if it has one."""
    metrics = dict(image.metrics)
    paths: dict[str, Path] = {}
    if job.folder is not None:
        started = time.perf_counter()
        paths = write_image(image, job, RESULT)
        timings = dict(metrics["timings"])
        timings["write_s"] = timings.get("write_s", 0.0) + time.perf_counter() - started
        metrics["timings"] = timings
        paths["metrics"] = write_text_atomically(job.folder / "metrics.json", json.dumps(metrics, indent=2))
    return Reconstructed(image.made.image, metrics, paths, image.collapse, image.made.verdict)


def keep_recipe(recipe: Recipe, folder: Path | None) -> None:
    """Write the recipe of an image beside it, unless the folder holds that of a trained model.

    How the scan was read and which model explains its patterns stand there; `ptychopinn view` shows patterns by it.

    Args:
        recipe: complete.
        folder: of the result; nothing is written without it.
    """
    if folder is not None and not (folder / BUNDLE_NAME).exists():
        write_recipe(recipe, folder)


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write a recipe into a folder, in place of an earlier one."""
    write_text_atomically(folder / RECIPE, recipe.to_yaml())


def write_image(image: Judged, job: Job, name: str) -> dict[str, Path]:
    """Write an image and its figure under a name into the folder of a job.

    Returns:
        `reconstruction` and `figure` (also as `picture`).
    """
    assert job.folder is not None
    saved = image.made.image.save(job.folder / f"{name}.npz")
    figure = _save_figure(job.folder / f"{name}.png", image, job.history)
    return {"reconstruction": saved, "figure": figure, "picture": figure}


def checked(made: Made) -> Made:
    """The same, with what a check found in its verdict where the image fits badly, and no other cause is named.

    Where the image does not fit, readings of the geometry are compared. For an image of the solver, unless the
    geometry is wrong, and also where it fits in part with a deviance that is always worth a warning, short fits with
    refined positions and with other beams are compared.
    """
    verdict = made.verdict
    is_wrong = verdict.level == "does not fit" and any(cause.kind == "model" for cause in verdict.causes)
    by_solver = not is_of_network(made.image)
    is_unexplained = by_solver and verdict.ratio > BAD_RATIO and all(one.kind == "model" for one in verdict.causes)
    if not made.recipe.reconstruction.check or not (is_wrong or is_unexplained):
        return made
    scan, found = made.tensors.scan, list[str]()
    state: State = "right"
    try:
        if is_wrong:
            geometry = check_scan(scan, made.recipe, is_file=Path(scan.source).is_file())
            found.append(geometry.conclusion)
            state = geometry.verdict
        if by_solver and state != "wrong":
            found.extend(sentence.rstrip(".") for sentence in tried_models(scan, made.recipe, state)[2])
    except PtychoPINNError as error:
        logger.info("the scan could not be checked: %s", error)
    return made.with_check(". ".join(found)) if found else made


def _save_figure(path: Path, image: Judged, history: History | None) -> Path:
    made, comparison = image.made, image.comparison
    content = content_of_fit(made.image, made.tensors, DiffractionModel.of(made.recipe.model), made.fit)
    if image.resolution is not None:
        found = image.resolution
        content = replace(content, resolution=found.curves, region=found.region, region_label="ring correlation")
    if comparison is not None:
        return save_figure(comparison.figure(made.image, content, history, title_of(made.image)), path)
    return save_figure(figure_reconstruction(made.image, history, title=title_of(made.image), content=content), path)
