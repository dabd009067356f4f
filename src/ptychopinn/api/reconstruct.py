"""`reconstruct`: a trained model, the iterative solver, or one after the other turns a scan into an image."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.api.evaluate import Comparison, compare_with_reference, data_misfit, misfit_of
from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_scan, say_what_runs
from ptychopinn.api.model_files import load_model
from ptychopinn.api.refine import refine_entry, refine_image, solve
from ptychopinn.api.train import Trained
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.io.atomic import check_output_folder, write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.metrics.collapse import Collapse
from ptychopinn.models import PatchModel, prepare_probe, scan_scale
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.reconstruction import Progress, Timing, predict_and_stitch
from ptychopinn.solver import IterationHook, Refined, check_names, photons_of
from ptychopinn.training import History, judge, prediction_groups

logger = logging.getLogger("ptychopinn")
ProbeChoice = Literal["auto", "scan", "model"]
_FREE = (
    "data.fftshift",
    "data.domain",
    "data.axis_order",
    "data.position_origin",
    "data.source_distance_m",
    "training.threads",
)


@dataclass(frozen=True)
class Reconstructed:
    """An image, how good it is, and where it was written."""

    reconstruction: Reconstruction
    metrics: dict[str, Any]
    """What `metrics.json` holds."""
    paths: dict[str, Path]
    """`reconstruction`, `picture`, `metrics`, `log`; empty when nothing was written."""
    collapse: Collapse | None = None
    """Contrast and coverage of the image, and whether it is flat where the patterns are not."""


def reconstruct(
    scan: ScanSource,
    model: str | Path | Trained | None,
    output: str | Path | None = None,
    *,
    refine: int | None = None,
    recipe: RecipeSource = None,
    overrides: Sequence[str] = (),
    probe: ProbeChoice = "auto",
    device: str = "auto",
    on_batch: Progress | None = None,
    on_iteration: IterationHook | None = None,
) -> Reconstructed:
    """Reconstruct a scan with a model that was trained on this scan or on another one, with the solver, or with both.

    Args:
        scan: a file, or a `Scan`.
        model: a bundle, its folder, or what `train` returned; None for the iterative solver alone, from an object of 1.
        output: folder for `reconstruction.npz`, `reconstruction.png`, `metrics.json`; nothing is written
            without it.
        refine: iterations of the solver, instead of `reconstruction.refine.iterations`; see docs/refine.md.
        recipe: name, YAML file, mapping or `Recipe` where there is no model; the default recipe without it.
        overrides: `section.key=value` texts. On a model's recipe, of what training has not fixed: how the
            scan is read, `reconstruction`, `training.threads`.
        probe: `scan` uses the scan's probe, `model` the one that the model was trained with; `auto` is
            `model` if the probe was fitted in training, else `scan`.
        device: `auto`, `cpu`, `cuda`, ...
        on_batch: told after every batch: groups done, groups in all.
        on_iteration: told after every iteration of the solver: iterations done, iterations in all, numbers.

    Raises:
        PtychoPINNError: scan, model or folder cannot be used; nothing has been written then.
    """
    overrides = [*overrides, *([] if refine is None else [f"reconstruction.refine.iterations={refine}"])]
    with RunLog() as log:
        if model is None:
            made = _solved(scan, recipe, overrides, probe, device, output, log, on_iteration)
        else:
            _check_no_recipe(recipe)
            made = _with_model(scan, model, overrides, probe, device, output, log, on_batch, on_iteration)
    return replace(made, paths={**made.paths, "log": log.path}) if log.path else made


def _with_model(
    scan: ScanSource,
    model: str | Path | Trained,
    overrides: Sequence[str],
    probe: ProbeChoice,
    device: str,
    output: str | Path | None,
    log: RunLog,
    on_batch: Progress | None,
    on_iteration: IterationHook | None,
) -> Reconstructed:
    started = time.perf_counter()
    network, recipe = (model.model, model.recipe) if isinstance(model, Trained) else load_model(model)
    recipe = _with_free_overrides(recipe, overrides)
    check_names(recipe.reconstruction.refine)
    say_what_runs(recipe, device)
    data = as_scan(scan, recipe)
    check_fits(data, recipe)
    if recipe.training.threads is not None:
        torch.set_num_threads(recipe.training.threads)
    tensors = ScanTensors(data, choose_device(device))
    network.to(tensors.device)
    use_probe(network, recipe, tensors, probe)
    _use_positions(network, data)
    groups = prediction_groups(data, recipe)
    folder = check_output_folder(output) if output is not None else None
    if folder is not None:
        log.write_to(folder)
    timings = {"load_s": time.perf_counter() - started}
    history = model.history if isinstance(model, Trained) else None
    return reconstruct_tensors(network, recipe, tensors, folder, timings, groups, history, on_batch, on_iteration)


def _solved(
    scan: ScanSource,
    recipe: RecipeSource,
    overrides: list[str],
    probe: ProbeChoice,
    device: str,
    output: str | Path | None,
    log: RunLog,
    on_iteration: IterationHook | None,
) -> Reconstructed:
    """The iterative solver alone."""
    if probe == "model":
        raise ConfigError("probe is 'model' and there is no model; the rule is 'scan' or 'auto' then")
    settings, tensors, folder, made, timings = solve(scan, recipe, overrides, device, output, log, on_iteration)
    metrics = _refined_metrics(made, tensors, settings)
    timings |= {"refine_s": made.seconds, "threads": float(torch.get_num_threads())}
    collapse = judge(tensors, made.reconstruction, settings.model.subpixel)
    return _finish(made.reconstruction, metrics, tensors, folder, timings, collapse=collapse)


def _check_no_recipe(recipe: RecipeSource) -> None:
    if recipe is not None:
        raise ConfigError(
            "a recipe was given together with a model, which has its own; the rule is one of them, so leave the recipe "
            "away and change what training has not fixed by overrides"
        )


def reconstruct_tensors(
    model: PatchModel,
    recipe: Recipe,
    tensors: ScanTensors,
    folder: Path | None,
    timings: dict[str, float],
    groups: NDArray[np.int64] | None = None,
    history: History | None = None,
    on_batch: Progress | None = None,
    on_iteration: IterationHook | None = None,
) -> Reconstructed:
    """Predict, stitch, refine, measure and write; the model and the scan are on one device already."""
    groups = prediction_groups(tensors.scan, recipe) if groups is None else groups
    result, timing = predict_and_stitch(model, tensors, groups, recipe.reconstruction, on_batch)
    logger.info("reconstructed %d patterns in %.2f s", timing.patterns, timing.predict_s + timing.stitch_s)
    refined = refine_image(result, tensors, recipe, on_iteration)
    timings = {**timings, **_seconds(timing)}
    metrics: dict[str, Any]
    if refined is None:
        metrics = {"data": data_misfit(model, tensors, result)}
    else:
        result = refined.reconstruction
        metrics = _refined_metrics(refined, tensors, recipe)
        timings["refine_s"] = refined.seconds
    return _finish(result, metrics, tensors, folder, timings, history, judge(tensors, result, recipe.model.subpixel))


def _refined_metrics(made: Refined, tensors: ScanTensors, recipe: Recipe) -> dict[str, Any]:
    expected = photons_of(made.reconstruction, tensors, recipe.model.subpixel).numpy()
    return {"data": misfit_of(expected, tensors.scan), "refine": refine_entry(made, len(tensors))}


def _finish(
    image: Reconstruction,
    metrics: dict[str, Any],
    tensors: ScanTensors,
    folder: Path | None,
    timings: dict[str, float],
    history: History | None = None,
    collapse: Collapse | None = None,
) -> Reconstructed:
    """Compare with the object guess, and write."""
    comparison = compare_with_reference(image, tensors.scan)
    metrics["reference"] = comparison.report if comparison else None
    metrics["collapse"] = collapse.entry() if collapse else None
    metrics["timings"] = timings
    paths: dict[str, Path] = {}
    if folder is not None:
        started = time.perf_counter()
        paths["reconstruction"] = image.save(folder / "reconstruction.npz")
        paths["picture"] = _save_picture(folder / "reconstruction.png", image, history, comparison)
        metrics["timings"]["write_s"] = timings.get("write_s", 0.0) + time.perf_counter() - started
        paths["metrics"] = write_text_atomically(folder / "metrics.json", json.dumps(metrics, indent=2))
    return Reconstructed(image, metrics, paths, collapse)


def _save_picture(path: Path, image: Reconstruction, history: History | None, comparison: Comparison | None) -> Path:
    if comparison is not None:
        return comparison.save_picture(path, image, history)
    return save_figure(figure_reconstruction(image, history), path)


def _with_free_overrides(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Overrides of what a trained model leaves open.

    Raises:
        ConfigError: another setting, which training has fixed.
    """
    for item in overrides:
        key = item.partition("=")[0].strip()
        if key not in _FREE and not key.startswith("reconstruction."):
            raise ConfigError(
                f"override {item!r}: a trained model has fixed this setting; free are reconstruction.* and "
                f"{', '.join(_FREE)}"
            )
    return recipe.with_overrides(overrides) if overrides else recipe


def check_fits(scan: Scan, recipe: Recipe) -> None:
    """Refuse a scan that a trained model cannot reconstruct.

    Raises:
        BundleError: its patterns have another size than those of the training; both are named.
        ScanError: its patterns do not make one image.
    """
    check_one_image(scan)
    trained = recipe.fitted.pattern_size if recipe.fitted else scan.pattern_size
    if trained != scan.pattern_size:
        raise BundleError(
            f"{scan.source}: its patterns are {scan.pattern_size}x{scan.pattern_size} px, but the model was "
            f"trained on {trained}x{trained} px; train a model on patterns of this size"
        )


def use_probe(model: PatchModel, recipe: Recipe, tensors: ScanTensors, choice: ProbeChoice) -> None:
    """Give the model the probe and the scale of the scan, unless its own are asked for or were fitted."""
    if choice == "model" or (choice == "auto" and recipe.model.probe.trainable):
        logger.info("using the probe of the model")
        return
    prepared = prepare_probe(tensors.scan.probe, recipe.model.probe)
    scale, reason = scan_scale(recipe, tensors, prepared)
    correction = recipe.fitted.scale_correction if recipe.fitted else 1.0
    logger.info("using the probe of the scan; intensity scale %.4g: %s", scale * correction, reason)
    model.set_probe(prepared, scale * correction)


def _use_positions(model: PatchModel, scan: Scan) -> None:
    """Let fitted positions stand for those of the scan that they were fitted to, and of no other."""
    if model.shifts is not None:
        logger.info("%d of %d patterns are at positions that training fitted", model.shifts.use(scan), len(scan))


def _seconds(timing: Timing) -> dict[str, float]:
    return {
        "predict_s": timing.predict_s,
        "stitch_s": timing.stitch_s,
        "patterns_per_s": timing.patterns_per_s,
        "threads": float(torch.get_num_threads()),
    }
