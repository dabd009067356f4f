"""`reconstruct`: a trained network, the iterative solver, or one after the other turns a scan into an image."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.backends import as_requested
from ptychopinn.api.figure_content import NETWORK
from ptychopinn.api.fit import judge_fit
from ptychopinn.api.inputs import (
    RecipeSource,
    RunLog,
    ScanSource,
    as_scan,
    given_backend,
    log_backend,
    warn_of_problems,
)
from ptychopinn.api.model_files import load_model
from ptychopinn.api.open_settings import with_open_settings
from ptychopinn.api.prior_use import ENTRY, NETWORK_ALONE, prior_of, unused
from ptychopinn.api.reconstructed import Made, Reconstructed, finish, keep_recipe
from ptychopinn.api.request import Job, Request
from ptychopinn.api.solve import finish_refined, refined, solve
from ptychopinn.api.solver_work import Task
from ptychopinn.api.train import Trained
from ptychopinn.data.reconstruction import METHOD, Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.models import TrainedModel
from ptychopinn.prior import Prior
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction import ProbeChoice, Progress, Reconstructor
from ptychopinn.solver import IterationHook, check_names, log_gauge

logger = logging.getLogger("ptychopinn")


def reconstruct(
    scan: ScanSource,
    model: str | Path | Trained | TrainedModel | None = None,
    output: str | Path | None = None,
    *,
    refine: int | None = None,
    recipe: RecipeSource = None,
    overrides: Sequence[str] = (),
    probe: ProbeChoice = "auto",
    device: str = "auto",
    uncertainty: bool = False,
    resume: bool = False,
    on_batch: Progress | None = None,
    on_iteration: IterationHook | None = None,
    ranks: Ranks = ALONE,
) -> Reconstructed:
    """Reconstruct a scan: without a model by the iterative solver, with one by its network, or by both.

    Args:
        scan: a file, or a `Scan`.
        model: a bundle, its folder, or what `train` returned; it is left as it is. Without it the solver starts from
            an object of 1.
        output: folder for `reconstruction.npz`, `reconstruction.png`, `metrics.json`, `recipe.yaml`; nothing is
            written without it.
        refine: iterations of the solver, instead of `reconstruction.refine.iterations`: after the network, or alone
            (28 to 40 by the dose where neither is given); see docs/refine.md.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it. Without a model it decides all.
            With a model only what training left open may differ from the model's recipe: `reconstruction`, how the
            scan is read, `training.threads`. `reconstruction.prior` names the trained prior of the solver's image.
        overrides: `section.key=value` texts; with a model of the same settings.
        probe: `scan` uses the scan's probe, `model` the one that the model was trained with; `auto` is
            `model` if the probe was fitted in training, else `scan`.
        device: `auto`, `cpu`, `cuda`, ...
        uncertainty: make error bars of the solver's image, as `reconstruction.uncertainty` does.
        resume: go on with a solver that was interrupted (Ctrl-C) in `output`; take its image if it has finished.
        on_batch: called after every batch with the groups done and all groups.
        on_iteration: called after every iteration of the solver with the iterations done, all iterations, numbers.
        ranks: processes that share the work, each of which makes the same call; the first one writes.

    Raises:
        PtychoPINNError: scan, model, settings, prior or folder cannot be used; nothing has been written then.
        KeyboardInterrupt: Ctrl-C; `output` holds the image so far, and what `resume` goes on from.
    """
    if refine is not None:
        overrides = [*overrides, f"reconstruction.refine.iterations={_iterations(refine, model is None)}"]
    if uncertainty:
        overrides = [*overrides, "reconstruction.uncertainty=true"]
    request = Request(scan, output, recipe, overrides, probe, device, on_batch, on_iteration, resume, ranks)
    with RunLog() as log:
        made = solve(request, log) if model is None else _by_network(request, model, log)
    return replace(made, paths={**made.paths, "log": log.path}) if log.path else made


def reconstruct_prepared(reconstructor: Reconstructor, job: Job, prior: Prior | None = None) -> Reconstructed:
    """Predict, stitch, refine if the recipe asks for it (then with the prior), measure and write."""
    image, timings = _predicted(reconstructor, job)
    return reconstruct_stitched(reconstructor, image, timings, job, prior)


def reconstruct_stitched(
    reconstructor: Reconstructor,
    image: Reconstruction,
    timings: Mapping[str, float],
    job: Job,
    prior: Prior | None = None,
) -> Reconstructed:
    """The same of an image that was predicted and stitched already, in the times given, s."""
    tensors, recipe = reconstructor.tensors, reconstructor.trained.recipe
    if recipe.reconstruction.refine.iterations == 0:
        return finish(_as_predicted(reconstructor, image, timings, prior), job)
    task = Task(image, tensors, recipe, reconstructor.gauge, prior, reconstructor.ranks)
    return finish_refined(task, replace(job, timings={**job.timings, **timings}))


def network_image(reconstructor: Reconstructor, job: Job, prior: Prior | None = None) -> Made:
    """The same image, of which nothing is judged or written yet."""
    image, timings = _predicted(reconstructor, job)
    tensors, recipe = reconstructor.tensors, reconstructor.trained.recipe
    if recipe.reconstruction.refine.iterations == 0:
        return _as_predicted(reconstructor, image, timings, prior)
    made = refined(Task(image, tensors, recipe, reconstructor.gauge, prior, reconstructor.ranks), job)
    return replace(made, timings={**timings, **made.timings})


def _as_predicted(
    reconstructor: Reconstructor, image: Reconstruction, timings: Mapping[str, float], prior: Prior | None
) -> Made:
    """The image of a network that is not refined, with its misfit and verdict."""
    log_gauge(image)
    tensors, recipe = reconstructor.tensors, reconstructor.trained.recipe
    fit = judge_fit(reconstructor.expected(image), tensors, "network", reconstructor.ranks)
    metrics: dict[str, Any] = {"gauge": image.metadata["gauge"], "data": fit.scores}
    if prior is not None:
        metrics[ENTRY] = unused(prior, NETWORK_ALONE)
    return Made(image, tensors, recipe, metrics, timings, fit)


def _predicted(reconstructor: Reconstructor, job: Job) -> tuple[Reconstruction, dict[str, float]]:
    """The stitched image of a network, and the times that it took, s."""
    image, timing = reconstructor.image(job.on_batch)
    image = with_method(image, reconstructor)
    logger.info("reconstructed %d patterns in %.2f s", timing.patterns, timing.predict_s + timing.stitch_s)
    return image, {
        "predict_s": timing.predict_s,
        "stitch_s": timing.stitch_s,
        "patterns_per_s": timing.patterns_per_s,
    }


def with_method(image: Reconstruction, reconstructor: Reconstructor) -> Reconstruction:
    """The image with the name of the network that made it."""
    name = reconstructor.trained.recipe.model.generator.architecture
    return replace(image, metadata={**image.metadata, METHOD: f"{NETWORK} {name}"})


def _by_network(request: Request, model: str | Path | Trained | TrainedModel, log: RunLog) -> Reconstructed:
    started = time.perf_counter()
    with request.ranks.together():
        trained, request = _trained(model, request)
        recipe = with_open_settings(trained.recipe, request.recipe, request.overrides)
        check_names(recipe.reconstruction.refine)
        log_backend(recipe, request.device)
        prior = prior_of(recipe)
        scan = as_scan(request.scan, recipe)
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        complete = replace(trained, recipe=recipe)
        reconstructor = Reconstructor.for_scan(
            complete, scan, probe=request.probe, device=request.device, ranks=request.ranks
        )
    history = model.history if isinstance(model, Trained) else None
    job = request.job(log, started, history)
    keep_recipe(recipe, job.folder)
    warn_of_problems(scan)
    return reconstruct_prepared(reconstructor, job, prior)


def _trained(model: str | Path | Trained | TrainedModel, request: Request) -> tuple[TrainedModel, Request]:
    """The model on the backend that runs it, and the request without its overrides of the backend."""
    given = given_backend(request.overrides)
    others = [text for text in request.overrides if given_backend([text]) is None]
    request = replace(request, overrides=others)
    if isinstance(model, str | Path):
        return load_model(model, given), request
    trained = model.model if isinstance(model, Trained) else model
    return (trained if given is None else as_requested(trained, given)), request


def _iterations(refine: int, alone: bool) -> int:
    """The number of iterations that was asked for.

    Raises:
        ConfigError: none, where nothing but the solver makes an image.
    """
    if alone and refine == 0:
        raise ConfigError("refine must be at least 1 without a model, got 0; give a number of iterations, or a model")
    return refine
