"""The iterative solver: alone, from an object of 1, and after a network."""

import logging
import time
from typing import Any

import torch

from ptychopinn.api.fit import judge_fit
from ptychopinn.api.inputs import RunLog, as_recipe, as_scan, say_what_runs, warn_of_problems
from ptychopinn.api.reconstructed import Made, Reconstructed, finish
from ptychopinn.api.request import Job, Request
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.propagation import with_geometry
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import Gauge, Refined, check_names, flat_start, photons_in_batches, refine

logger = logging.getLogger("ptychopinn")
DEFAULT_ITERATIONS = 50
"""Iterations of the solver alone where the recipe asks for none; the table in docs/choosing.md was made with it."""


def solve(request: Request, log: RunLog) -> Reconstructed:
    """Reconstruct a scan without a network: refine an object of 1 under the probe of the scan.

    Raises:
        PtychoPINNError: a model's probe was asked for, or scan, recipe or folder cannot be used; nothing has been
            written then.
    """
    started = time.perf_counter()
    recipe = _with_iterations(as_recipe(request.recipe, request.overrides))
    if request.probe == "model":
        raise ConfigError("probe must be 'scan' or 'auto' without a model, got 'model'; give a model, or leave it out")
    check_names(recipe.reconstruction.refine)
    say_what_runs(recipe, request.device)
    scan = as_scan(request.scan, recipe)
    check_one_image(scan, recipe.model.propagation)
    recipe = with_geometry(recipe, scan)
    if recipe.training.threads is not None:
        torch.set_num_threads(recipe.training.threads)
    tensors = ScanTensors(scan, choose_device(request.device))
    start, gauge = _flat(tensors, recipe)
    job = request.job(log, started)
    warn_of_problems(scan)
    return finish(refined(start, tensors, recipe, job, gauge), job)


def refined(start: Reconstruction, tensors: ScanTensors, recipe: Recipe, job: Job, gauge: Gauge) -> Made:
    """Refine an image as `reconstruction.refine` of a recipe states; `gauge`: what is known of the start probe."""
    settings, model = recipe.reconstruction, DiffractionModel.of(recipe.model)
    result = refine(
        start,
        tensors,
        settings.refine,
        model=model,
        gauge=gauge,
        min_coverage=settings.min_coverage,
        on_iteration=job.on_iteration,
    )
    logger.info("refined %d patterns %d times in %.2f s", len(tensors), settings.refine.iterations, result.seconds)
    image = result.reconstruction
    scores, verdict = judge_fit(photons_in_batches(image, tensors, model), tensors, "solver")
    metrics = {
        "gauge": image.metadata["gauge"],
        "data": scores,
        "refine": _entry(result, len(tensors)),
    }
    return Made(image, tensors, recipe, metrics, {"refine_s": result.seconds}, verdict)


def _with_iterations(recipe: Recipe) -> Recipe:
    if recipe.reconstruction.refine.iterations > 0:
        return recipe
    logger.info("%d iterations, as the recipe asks for none", DEFAULT_ITERATIONS)
    return recipe.with_overrides([f"reconstruction.refine.iterations={DEFAULT_ITERATIONS}"])


def _flat(tensors: ScanTensors, recipe: Recipe) -> tuple[Reconstruction, Gauge]:
    """An object of 1 under the probe of the scan, and what is known of that probe."""
    probe = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("using the probe of the scan; intensity scale %.4g: %s", scale, reason)
    gauge = Gauge.of(tensors.scan, recipe.model.intensity_scale, scale, reason)
    return flat_start(tensors.scan, probe * scale), gauge


def _entry(result: Refined, patterns: int) -> dict[str, Any]:
    """The entry `refine` of `metrics.json`."""
    return {
        **result.reconstruction.metadata["refine"],
        "deviance_of_iterations": result.deviance,
        "seconds": result.seconds,
        "patterns_per_s": patterns * len(result.deviance) / max(result.seconds, 1e-9),
    }
