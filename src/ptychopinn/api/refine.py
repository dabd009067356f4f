"""The iterative solver behind `reconstruct`: after a network, or alone."""

import logging
import time
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_recipe, as_scan, say_what_runs
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.solver import IterationHook, Refined, flat_start, refine

logger = logging.getLogger("ptychopinn")


def refine_image(
    start: Reconstruction, tensors: ScanTensors, recipe: Recipe, tell: IterationHook | None = None
) -> Refined | None:
    """Refine an image as `reconstruction.refine` of a recipe says; nothing where it asks for no iterations."""
    settings = recipe.reconstruction
    if settings.refine.iterations == 0:
        return None
    made = refine(
        start,
        tensors,
        settings.refine,
        subpixel=recipe.model.subpixel,
        min_coverage=settings.min_coverage,
        tell=tell,
    )
    logger.info("refined %d patterns %d times in %.2f s", len(tensors), settings.refine.iterations, made.seconds)
    return made


def solve(
    scan: ScanSource,
    recipe: RecipeSource,
    overrides: list[str],
    device: str,
    output: str | Path | None,
    log: RunLog,
    tell: IterationHook | None = None,
) -> tuple[Recipe, ScanTensors, Path | None, Refined, dict[str, float]]:
    """Refine an object of 1 under the probe of a scan, with no network.

    Returns:
        The recipe, the scan, the output folder, what was made, and timings.

    Raises:
        PtychoPINNError: no iterations were asked for, or scan, recipe or folder cannot be used; nothing has been
            written then.
    """
    started = time.perf_counter()
    settings = as_recipe(recipe, overrides)
    if settings.reconstruction.refine.iterations == 0:
        raise ConfigError(
            "without a model nothing but refinement makes an image, and reconstruction.refine.iterations is 0; "
            "give a number of iterations, as in --refine 50, or a model"
        )
    say_what_runs(settings, device)
    data = as_scan(scan, settings)
    check_one_image(data)
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    tensors = ScanTensors(data, choose_device(device))
    start = _flat(tensors, settings)
    folder = check_output_folder(output) if output is not None else None
    if folder is not None:
        log.write_to(folder)
    timings = {"load_s": time.perf_counter() - started}
    made = refine_image(start, tensors, settings, tell)
    assert made is not None
    return settings, tensors, folder, made, timings


def _flat(tensors: ScanTensors, recipe: Recipe) -> Reconstruction:
    probe = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    logger.info("using the probe of the scan; intensity scale %.4g: %s", scale, reason)
    return flat_start(tensors.scan, probe * scale)


def refine_entry(made: Refined, patterns: int) -> dict[str, Any]:
    """What `metrics.json` says of a refinement."""
    told = dict(made.reconstruction.metadata["refine"])
    return {
        **told,
        "deviance_of_iterations": made.deviance,
        "seconds": made.seconds,
        "patterns_per_s": patterns * len(made.deviance) / max(made.seconds, 1e-9),
    }
