"""The solver of this package, as `ptychopinn reconstruct` runs it without a model."""

import time
from collections.abc import Sequence
from functools import partial

from other_packages.interface import Found, Method, planned
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.scan import Scan
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.solver import Gauge, flat_start, refine


def solve(scan: Scan, seconds: Sequence[float], seed: int, recipe: str = "default") -> list[Found]:
    """One run for each CPU time, since the step sizes follow the number of iterations."""
    return planned(partial(_solve, scan, seed, Recipe.from_name(recipe)), seconds)


def _solve(scan: Scan, seed: int, chosen: Recipe, iterations: int) -> Found:
    prefix = "reconstruction.refine"
    recipe = chosen.with_overrides([f"{prefix}.iterations={iterations}", f"{prefix}.seed={seed}"])
    tensors = ScanTensors(scan)
    probe = prepare_probe(scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, probe)
    gauge = Gauge.of(scan, recipe.model.intensity_scale, scale, reason)
    before = time.process_time()
    image = refine(flat_start(scan, probe * scale), tensors, recipe.reconstruction.refine, gauge=gauge).reconstruction
    cpu_s = time.process_time() - before
    y, x = (int(value) for value in image.origin_px)
    return Found(image.object_, (y, x), image.probe, iterations, cpu_s, image.background, image.blur_px)


METHODS = [
    Method(
        "PtychoPINN",
        "ptychopinn",
        "ptychopinn.solver",
        "recipe default, number of iterations by CPU time",
        solve,
    ),
]
