"""The second half of `run`: a network trained with what the solver found, and the better image of both."""

import json
import logging
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ptychopinn.api.backends import fit_prepared
from ptychopinn.api.choice import (
    SEED,
    WITHHELD,
    Choice,
    at_full_dose,
    choose,
    found_scan,
    with_found_detector,
    with_found_probe,
)
from ptychopinn.api.fit import announce
from ptychopinn.api.reconstruct import network_image
from ptychopinn.api.reconstructed import RESULT, Judged, Made, Reconstructed, judged, write_image
from ptychopinn.api.request import Job
from ptychopinn.api.solve import from_nothing, solved_part
from ptychopinn.api.solver_work import Task
from ptychopinn.api.train import Trained, record_model, write_training
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.io.atomic import atomic_path, remove_file, write_text_atomically
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import Split, for_part, holds_photons, withhold_photons
from ptychopinn.metrics.verdict import Maker
from ptychopinn.ranks import Ranks
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training import EpochHook, Fit, checkpoint_to_resume, prepare

logger = logging.getLogger("ptychopinn")
_OF_AN_IMAGE = ("gauge", "data", "reference", "collapse", "verdict", "refine", "prior", "resolution", "uncertainty")
"""Metrics that belong to one image."""


@dataclass(frozen=True)
class Chosen:
    """What the second half of a run made."""

    trained: Trained
    result: Reconstructed
    other: Reconstructed
    choice: Choice
    paths: dict[str, Path]


def train_and_choose(task: Task, recipe: Recipe, first: Reconstructed, job: Job, on_epoch: EpochHook | None) -> Chosen:
    """Train a network with the probe and positions that the solver found, and choose between the images of both.

    Args:
        task: what the solver was given: the scan, and the recipe with its iterations.
        recipe: as it was given to `run`.
        first: the solver's image, which has been written.
        job: folder, hooks, and whether to resume.
        on_epoch: called after every epoch.

    Raises:
        ConfigError: a checkpoint was made with other settings or other data, and `job.resume` is true.
        SolverInterrupted: Ctrl-C in an iteration of the solver.
    """
    scan = task.tensors.scan
    split = withhold_photons(scan, WITHHELD, SEED) if holds_photons(scan) else None
    part_recipe = for_part(recipe, split.fraction) if split else recipe
    part = _solved_part(split, part_recipe, task, job) if split else None
    found = part.image if part else first.reconstruction
    part_recipe, recipe = with_found_detector(part_recipe, found), with_found_detector(recipe, first.reconstruction)
    begun = time.perf_counter()
    fit = _fitted(found_scan(split.scan if split else scan, found), part_recipe, job, on_epoch, task.ranks)
    timings = {**first.metrics["timings"], "train_s": time.perf_counter() - begun}
    network_part = network_image(_reconstructor(fit, task), job, task.prior) if split else None
    choice = choose(split, part, network_part)
    fit = at_full_dose(fit, task, _at_positions(task.tensors, found), recipe, split.fraction if split else 0.0)
    written = write_training(fit, job.folder) if job.folder else {}
    record_model(fit, written.get("model"))
    job = replace(job, timings=timings, history=fit.history)
    made = network_image(_reconstructor(fit, task), job, task.prior)
    if first.verdict is not None and first.verdict.checked:  # of the same scan, whose geometry is not checked again
        made = made.with_check(first.verdict.checked)
    network = judged(made, job)
    trained = Trained(fit.trained, fit.history, timings["train_s"], written, network.collapse)
    result, other = _both(first, network, choice, job)
    named = {"other": other.paths["reconstruction"], "other_figure": other.paths["figure"]} if job.folder else {}
    return Chosen(trained, result, other, choice, {**written, **result.paths, **named})


def _solved_part(split: Split, recipe: Recipe, task: Task, job: Job) -> Made:
    """The solver's image of the photons that are not withheld, with the prior of the image of all photons."""
    logger.info("solving again for %.0f %% of the photons, for the comparison", 100 * (1 - split.fraction))
    return solved_part(from_nothing(split.scan, recipe, recipe.training.device, task.prior, task.ranks), job, "part")


def _fitted(scan: Scan, recipe: Recipe, job: Job, on_epoch: EpochHook | None, ranks: Ranks) -> Fit:
    with ranks.together():
        start = prepare(scan, with_found_probe(recipe))
        if job.resume and job.trained_in is not None:
            checkpoint_to_resume(job.trained_in, start)
    return fit_prepared(start, job.trained_in, resume=job.resume, on_epoch=on_epoch, ranks=ranks)


def _reconstructor(fit: Fit, task: Task) -> Reconstructor:
    """The network ready for its scan; the scale of its image is unknown where that of the solver's image is."""
    made = Reconstructor.for_scan(fit.trained, fit.tensors, probe="model", ranks=task.ranks)
    return made if task.gauge.photons_known else replace(made, gauge=task.gauge)


def _at_positions(tensors: ScanTensors, image: Reconstruction) -> ScanTensors:
    """The scan with all counts at the positions of an image."""
    if np.array_equal(tensors.scan.positions_px, image.positions_px):
        return tensors
    return ScanTensors(replace(tensors.scan, positions_px=image.positions_px), tensors.device)


def _both(first: Reconstructed, network: Judged, choice: Choice, job: Job) -> tuple[Reconstructed, Reconstructed]:
    """The result and the other image; both are in the folder of the job when this returns."""
    paths: dict[str, dict[str, Path]] = {"solver": dict(first.paths), "network": {}}
    if job.folder is not None:
        logger.info("%s", choice.reason)
        paths = _arranged(first, network, choice, job, job.folder)
    made = network.made
    if choice.result == "network":
        announce(made.verdict)
    images = {
        "solver": replace(first, paths=paths["solver"]),
        "network": Reconstructed(made.image, network.metrics, paths["network"], network.collapse, made.verdict),
    }
    result, other = images[choice.result], images[choice.other]
    metrics = {
        **result.metrics,
        "choice": choice.entry(),
        "other_image": {key: other.metrics[key] for key in _OF_AN_IMAGE if key in other.metrics},
        "timings": {**first.metrics["timings"], **network.metrics["timings"]},
    }
    if job.folder is not None:
        result.paths["metrics"] = write_text_atomically(job.folder / "metrics.json", json.dumps(metrics, indent=2))
    return replace(result, metrics=metrics), other


def _arranged(
    first: Reconstructed, network: Judged, choice: Choice, job: Job, folder: Path
) -> dict[str, dict[str, Path]]:
    """Write the network's image, as the result or beside it; the solver's image gives way to it."""
    solver = dict(first.paths)
    if choice.result == "network":
        for key in ("reconstruction", "figure", "picture"):
            solver[key] = _copied(first.paths[key], folder / f"{RESULT}_solver{first.paths[key].suffix}")
    name = RESULT if choice.result == "network" else f"{RESULT}_network"
    written = write_image(network, job, name)
    remove_other_images(folder, choice.result)
    return {"solver": solver, "network": written}


def remove_other_images(folder: Path, *makers: Maker) -> None:
    """Remove images and figures that an earlier run kept beside its result, of these makers."""
    for maker in makers:
        for suffix in (".npz", ".png"):
            remove_file(folder / f"{RESULT}_{maker}{suffix}")


def _copied(source: Path, target: Path) -> Path:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
    return target
