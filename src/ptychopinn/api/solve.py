"""The iterative solver: alone, from an object of 1, and after a network."""

import logging
import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.figure_content import is_of_network
from ptychopinn.api.fit import announce, judge_fit
from ptychopinn.api.inputs import RunLog, as_recipe, as_scan, log_backend, warn_of_problems
from ptychopinn.api.prior_use import ENTRY, INTERRUPTED, PriorInterrupted, corrected, not_applied, prior_of
from ptychopinn.api.reconstructed import RESULT, Made, Reconstructed, checked, judged, keep_recipe, write_result
from ptychopinn.api.request import Job, Request
from ptychopinn.api.resolution import measure_resolution
from ptychopinn.api.solver_work import Earlier, SolverWork, Task, iterated, work_in
from ptychopinn.api.uncertainty import with_error_bars, without_error_bars
from ptychopinn.config import Recipe
from ptychopinn.config.backend import DEFAULT
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.data.propagation import with_geometry
from ptychopinn.data.reconstruction import METHOD, Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import for_part
from ptychopinn.errors import ConfigError
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior import Prior
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver import (
    Gauge,
    Refined,
    SolverInterrupted,
    check_names,
    flat_start,
    photons_in_batches,
    photons_per_px_of,
)
from ptychopinn.training import CHECKPOINTS

logger = logging.getLogger("ptychopinn")
DEFAULT_ITERATIONS = 40
"""Iterations of the solver alone where the recipe asks for none and the dose is high. On drawn scans 50 add 0.05 dB,
the mean of eight."""
FEWEST_ITERATIONS = 0.7
"""The same at low dose, as a part of it: counting noise limits the image there, and not the number of steps. On eight
drawn scans of 1e3 to 1e5 photons per pattern 26 iterations in place of 40 cost 0.08 / 0.05 dB in the mean."""
LOW_DOSE, HIGH_DOSE = 20.0, 2e4
"""Photons per pixel of the object, up to which the iterations are fewest, and from which on they are most."""


def solve(request: Request, log: RunLog) -> Reconstructed:
    """Reconstruct a scan without a network: refine an object of 1 under the probe of the scan.

    Raises:
        PtychoPINNError: a model's probe was asked for, or scan, recipe, prior or folder cannot be used; nothing has
            been written then.
        KeyboardInterrupt: Ctrl-C; what was reached has been written.
    """
    started = time.perf_counter()
    with request.ranks.together():
        recipe = as_recipe(request.recipe, request.overrides)
        if request.probe == "model":
            raise ConfigError(
                "probe must be 'scan' or 'auto' without a model, got 'model'; give a model, or leave it out"
            )
        log_backend(recipe.changed(backend=DEFAULT), request.device)  # the solver's, whatever network is asked for
        prior = prior_of(recipe)
        scan = as_scan(request.scan, recipe)
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        task = from_nothing(scan, recipe, request.device, prior, request.ranks)
    job = request.job(log, started)
    keep_recipe(task.recipe, job.folder)
    warn_of_problems(scan)
    return finish_refined(task, job)


def from_nothing(scan: Scan, recipe: Recipe, device: str, prior: Prior | None = None, ranks: Ranks = ALONE) -> Task:
    """The solver ready to refine an object of 1 under the probe of a scan, and to apply a prior at the end.

    Raises:
        ConfigError: a name of a loss, penalty or constraint that nobody registered.
        ScanError: the patterns do not make one image, or the scale of the probe cannot be determined.
    """
    config = recipe.reconstruction.refine
    check_names(config.changed(iterations=config.iterations or DEFAULT_ITERATIONS))
    check_one_image(scan, recipe.model.propagation)
    recipe = with_geometry(recipe, scan)
    tensors = ScanTensors(scan, choose_device(device))
    probe = prepare_probe(scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("using the probe of the scan; intensity scale %.4g: %s", scale, reason)
    gauge = Gauge.of(scan, recipe.model.intensity_scale, scale, reason)
    start = flat_start(scan, probe * scale)
    return Task(start, tensors, _with_iterations(recipe, start, tensors), gauge, prior, ranks)


def finish_refined(task: Task, job: Job) -> Reconstructed:
    """Refine an image, judge it and write the files of its job; after Ctrl-C the image so far and the state.

    Where the recipe asks for error bars or the resolution, the files are written first without them and then again.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was reached has been written.
    """
    work = None
    if job.folder is not None:
        work = work_in(job.folder, "solver_state", (f"{RESULT}.npz", f"{RESULT}_solver.npz"), task)
    try:
        made = refined(task, job, work)
    except SolverInterrupted as stopped:
        if work is not None:
            so_far = judged(unfinished(stopped, replace(task, ranks=ALONE)), job)  # the others have ended
            announce(so_far.made.verdict)
            write_result(so_far, job)
        raise
    except PriorInterrupted as stopped:
        if work is not None:
            write_result(judged(made_of(stopped.image, replace(task, ranks=ALONE)), job), job)
        raise
    image = judged(checked(made), job)
    announce(image.made.verdict)
    written = write_result(image, job)
    if work is not None:
        work.state.unlink(missing_ok=True)
    if task.recipe.reconstruction.uncertainty and not is_of_network(made.image):
        started = time.perf_counter()
        known, entry = with_error_bars(image.made.image, image.made.verdict.level, task)
        image = image.with_error_bars(known, entry, time.perf_counter() - started)
        written = write_result(image, job)
    if task.recipe.reconstruction.resolution == "none" or image.resolution is not None:
        return written
    started = time.perf_counter()
    found = measure_resolution(task, made.image, partial(_image_of_half, task, job))
    return write_result(image.with_resolution(found, time.perf_counter() - started), job)


def solved_part(task: Task, job: Job, name: str) -> Made:
    """The solver's image of a part of the data, which a folder keeps under a name for a resumed run.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state or the solver's image has been written.
    """
    if job.folder is None:
        return refined(task, job)
    check_output_folder(job.folder / CHECKPOINTS)
    path = f"{CHECKPOINTS}/{name}_image.npz"
    work = work_in(job.folder, f"{name}_state", (path,), task)
    try:
        made = refined(task, job, work)
    except PriorInterrupted as stopped:
        stopped.image.save(job.folder / path)
        raise
    made.image.save(job.folder / path)
    work.state.unlink(missing_ok=True)
    return made


def _image_of_half(task: Task, job: Job, scan: Scan, fraction: float, name: str) -> Reconstruction:
    """The image of a half of the data, with the settings of the whole but without the prior.

    What a prior knows of images would be common to both halves, and count as resolution.
    """
    recipe = for_part(task.recipe, 1 - fraction)
    return solved_part(from_nothing(scan, recipe, str(task.tensors.device), ranks=task.ranks), job, name).image


def refined(task: Task, job: Job, work: SolverWork | None = None) -> Made:
    """Refine an image as `reconstruction.refine` of a recipe states, and apply the prior of the task.

    Args:
        task: the image to begin with, the scan, the settings.
        job: whom to inform, and whether to resume.
        work: where an earlier solve of the same input may have left its state or its image; Ctrl-C leaves it there.

    Raises:
        SolverInterrupted: Ctrl-C in the iterations.
        PriorInterrupted: Ctrl-C after them.
    """
    tensors, settings = task.tensors, task.recipe.reconstruction
    earlier = Earlier.of(work, task.ranks) if job.resume else Earlier()
    if earlier.image is not None:
        return _corrected(without_error_bars(earlier.image), task)
    try:
        result = iterated(task, tensors, earlier.state, job.on_iteration)
    except SolverInterrupted as stopped:
        if work:
            work.save(stopped)
        raise
    logger.info("refined %d patterns %d times in %.2f s", len(tensors), settings.refine.iterations, result.seconds)
    image = result.reconstruction
    return _corrected(work.described(image) if work else image, task, result)


def _corrected(image: Reconstruction, task: Task, result: Refined | None = None) -> Made:
    """The finished image of the solver with the prior, and its misfit and verdict."""
    image, timings = corrected(image, task.tensors, task.recipe, task.prior)
    made = made_of(image, task, result)
    return replace(made, timings={**made.timings, **timings})


def made_of(image: Reconstruction, task: Task, result: Refined | None = None) -> Made:
    """An image with its misfit and verdict; the time of its iterations where they ran now."""
    tensors, recipe = task.tensors, task.recipe
    image = replace(image, metadata={**image.metadata, METHOD: _method(image, task)})
    expected = photons_in_batches(image, tensors, DiffractionModel.of(recipe.model), ranks=task.ranks)
    fit = judge_fit(expected, tensors, "solver", task.ranks)
    metrics: dict[str, Any] = {
        "gauge": image.metadata["gauge"],
        "data": fit.scores,
        "refine": dict(image.metadata["refine"]),
    }
    if ENTRY in image.metadata:
        metrics[ENTRY] = dict(image.metadata[ENTRY])
    seconds = 0.0
    if result is not None:
        seconds = result.seconds
        done = len(tensors) * len(result.deviance)
        metrics["refine"] |= {"seconds": seconds, "patterns_per_s": done / max(seconds, 1e-9)}
    return Made(image, tensors, recipe, metrics, {"refine_s": seconds}, fit)


def unfinished(stopped: SolverInterrupted, task: Task) -> Made:
    """The image of an interrupted solver, with a mark in its metadata and in the metrics."""
    mark = {
        "iterations_done": len(stopped.checkpoint.deviance),
        "iterations": task.recipe.reconstruction.refine.iterations,
    }
    image = replace(stopped.image, metadata={**stopped.image.metadata, "interrupted": mark})
    image = not_applied(image, task.prior, INTERRUPTED)
    made = made_of(image, task)
    return replace(made, metrics={**made.metrics, "interrupted": mark})


def _method(image: Reconstruction, task: Task) -> str:
    """What made an image, in a few words."""
    iterations, stopped = task.recipe.reconstruction.refine.iterations, image.metadata.get("interrupted")
    done = f"{stopped['iterations_done']} of {iterations}" if stopped else f"{iterations}"
    solver = f"iterative solver, {done} iterations{' (interrupted)' if stopped else ''}"
    if image.prior_correction is not None:
        solver += f", prior {Path(image.metadata[ENTRY]['prior']).name}"
    before = task.start.metadata.get(METHOD)
    return f"{before}, then {solver}" if before else solver


def iterations_by_dose(photons_per_px: float) -> int:
    """Iterations where the recipe asks for none: between `LOW_DOSE` and `HIGH_DOSE` they grow with the logarithm.

    >>> [iterations_by_dose(dose) for dose in (5, 200, 2e3, 1e6)]
    [28, 32, 36, 40]
    """
    bounded = min(max(photons_per_px, LOW_DOSE), HIGH_DOSE)
    above = math.log(bounded / LOW_DOSE) / math.log(HIGH_DOSE / LOW_DOSE)
    return round(DEFAULT_ITERATIONS * (FEWEST_ITERATIONS + (1 - FEWEST_ITERATIONS) * above))


def _with_iterations(recipe: Recipe, start: Reconstruction, tensors: ScanTensors) -> Recipe:
    """The recipe with a number of iterations; positions, intensities and a blur that are fitted need them all."""
    config = recipe.reconstruction.refine
    if config.iterations > 0:
        return recipe
    if config.positions or "fitted" in (config.intensities, config.blur):
        iterations, reason = DEFAULT_ITERATIONS, "since positions, intensities or a blur are fitted"
    else:
        iterations, reason = iterations_by_dose(photons_per_px_of(start, tensors)), "chosen by the dose"
    logger.info("%d iterations, %s, as the recipe asks for none", iterations, reason)
    return recipe.with_overrides([f"reconstruction.refine.iterations={iterations}"])
