"""`run`: the solver's image first, then a network trained for the next scans; the better image is the result."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ptychopinn.api.backends import check_backend, fit_prepared
from ptychopinn.api.choice import Choice
from ptychopinn.api.default_network import network_for
from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_recipe, as_scan, log_backend, warn_of_problems
from ptychopinn.api.prior_use import prior_of
from ptychopinn.api.reconstruct import reconstruct_prepared
from ptychopinn.api.reconstructed import Reconstructed, write_recipe
from ptychopinn.api.request import Job, begun_folder
from ptychopinn.api.solve import finish_refined, from_nothing
from ptychopinn.api.train import (
    Trained,
    begin,
    check_unused,
    choose_earlier,
    record_model,
    remove_training,
    write_training,
)
from ptychopinn.api.train_and_choose import remove_other_images, train_and_choose
from ptychopinn.config.backend import check_installed
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError
from ptychopinn.notebook import Shown
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction import Progress, Reconstructor
from ptychopinn.solver import IterationHook
from ptychopinn.training import EpochHook, check_ranks, check_trainable, used_patterns

logger = logging.getLogger("ptychopinn")

ImageHook = Callable[[Reconstructed], None]
"""Called with the solver's image as soon as it is written, before training starts."""


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """The image of a scan, the network that was trained on it, and where both were written."""

    training: Trained | None
    """The trained network; None of a run without training."""
    reconstructed: Reconstructed
    """The result."""
    paths: dict[str, Path]
    """All files by name: those of both parts, `other`, `other_figure` and `log`; empty when nothing was written."""
    other: Reconstructed | None = None
    """The image that was not chosen, where there are two."""
    choice: Choice | None = None
    """How the result was chosen, where there are two images."""

    @property
    def reconstruction(self) -> Reconstruction:
        """The image."""
        return self.reconstructed.reconstruction

    @property
    def trained(self) -> Trained:
        """The trained network.

        Raises:
            ConfigError: the run was made without training.
        """
        if self.training is None:
            raise ConfigError("the network of a run must have been trained, got train=False; run with train=True")
        return self.training

    def summary(self) -> str:
        """Those of the result and of the network."""
        parts = [self.reconstructed.summary(), *([self.training.summary()] if self.training else [])]
        return "\n".join(parts)

    def plot(self) -> Any:
        """The figure of the result, a `matplotlib.figure.Figure`."""
        return self.reconstructed.plot()


@dataclass(frozen=True)
class _Asked:
    """The arguments of `run` on which its parts depend."""

    scan: ScanSource
    output: str | Path | None
    recipe: RecipeSource
    overrides: Sequence[str]
    resume: bool
    overwrite: bool
    on_epoch: EpochHook | None
    on_batch: Progress | None
    on_iteration: IterationHook | None
    ranks: Ranks


def run(
    scan: ScanSource,
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    train: bool = True,
    solve: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    on_image: ImageHook | None = None,
    on_epoch: EpochHook | None = None,
    on_batch: Progress | None = None,
    on_iteration: IterationHook | None = None,
    ranks: Ranks = ALONE,
) -> Run:
    """Make the image of a scan by the solver, then train a network on it, and take the better image of both.

    1. The solver's image is written at once, with the prior of `reconstruction.prior` where there is one.
    2. The network is trained with the probe and the positions that the solver found, on 90 % of the photons.
    3. The images of both are compared by how well they explain the other 10 %; a tie within two standard errors goes
       to the solver. `reconstruction.npz` is the better image, `reconstruction_network.npz` (or `_solver`) the other
       one. Both are made from all photons.

    Args:
        scan: a file, or a `Scan`.
        output: folder for all files that the README lists; nothing is written without it.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it. If it sets no network,
            `unrolled` is trained after the solver where it fits; see `network_for`.
        overrides: `section.key=value` texts.
        train: train a network. If false, the solver's image is the result.
        solve: make an image by the solver. If false, the network of the recipe is trained on all photons with the probe
            and the positions of the scan, and its image, which is not refined, is the result.
        resume: go on with an interrupted run in `output`: with the solver, or from the last checkpoint, to as many
            epochs as then or more.
        overwrite: replace an earlier training in `output`, which is refused otherwise.
        on_image: called with the solver's image before training starts.
        on_epoch: called after every epoch of training.
        on_batch: called after every batch of prediction.
        on_iteration: called after every iteration of the solver.
        ranks: processes that share the work, each of which makes the same call; the first one writes.

    Raises:
        PtychoPINNError: the scan, the recipe, the prior or the folder cannot be used; nothing has been written then.
        KeyboardInterrupt: Ctrl-C; `output` holds what `resume` goes on from.
    """
    if not train and not solve:
        raise ConfigError("train and solve must not both be false, since nothing would make an image; set one to true")
    asked = _Asked(scan, output, recipe, overrides, resume, overwrite, on_epoch, on_batch, on_iteration, ranks)
    with RunLog() as log:
        made = _solver_first(asked, train, on_image, log) if solve else _network_alone(asked, log)
    return replace(made, paths={**made.paths, "log": log.path}) if log.path else made


def _network_alone(asked: _Asked, log: RunLog) -> Run:
    started = time.perf_counter()
    recipe = as_recipe(asked.recipe, [*asked.overrides, "reconstruction.refine.iterations=0"])
    prior = prior_of(recipe)
    earlier, ranks = choose_earlier(asked.resume, asked.overwrite), asked.ranks
    start, trained_in = begin(asked.scan, asked.output, recipe, log, earlier, ranks)
    folder = trained_in if ranks.is_first else None
    loaded_at = time.perf_counter()
    if folder:
        remove_other_images(folder, "solver", "network")
    result = fit_prepared(start, trained_in, resume=asked.resume, on_epoch=asked.on_epoch, ranks=ranks)
    trained_at = time.perf_counter()
    written = write_training(result, folder) if folder else {}
    record_model(result, written.get("model"))
    timings = {
        "load_s": loaded_at - started,
        "train_s": trained_at - loaded_at,
        "write_s": time.perf_counter() - trained_at,
    }
    reconstructor = Reconstructor.for_scan(result.trained, result.tensors, probe="model", ranks=ranks)
    job = Job(folder, timings, result.history, asked.on_batch, asked.on_iteration)
    reconstructed = reconstruct_prepared(reconstructor, job, prior)
    trained = Trained(result.trained, result.history, timings["train_s"], written, reconstructed.collapse)
    return Run(trained, reconstructed, {**written, **reconstructed.paths})


def _solver_first(asked: _Asked, train: bool, on_image: ImageHook | None, log: RunLog) -> Run:
    started, ranks = time.perf_counter(), asked.ranks
    with ranks.together():
        recipe = as_recipe(asked.recipe, asked.overrides)
        log_backend(recipe)
        if train:
            check_installed(recipe.backend)
        prior = prior_of(recipe)
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        earlier = choose_earlier(asked.resume, asked.overwrite)
        if asked.output is not None and earlier == "refuse" and ranks.is_first:
            check_unused(Path(asked.output))
        scan = used_patterns(as_scan(asked.scan, recipe), recipe)
        if train:
            recipe = network_for(scan, asked.recipe, asked.overrides)
            check_backend(recipe)
            check_ranks(recipe, ranks)
            check_trainable(scan, recipe)
        task = from_nothing(scan, recipe, recipe.training.device, prior, ranks)
    folder = begun_folder(asked.output, log, ranks)
    if folder and not asked.resume:
        _remove_earlier(folder, train)
    if folder:
        write_recipe(task.recipe, folder)
    warn_of_problems(scan)
    timings = {"load_s": time.perf_counter() - started}
    trained_in = None if asked.output is None else Path(asked.output)
    job = Job(folder, timings, None, asked.on_batch, asked.on_iteration, asked.resume, trained_in)
    first = finish_refined(task, job)
    if folder:
        logger.info("the solver's image is in %s%s", first.paths["reconstruction"], "; training follows" * train)
    if on_image is not None:
        on_image(first)
    if not train:
        return Run(None, first, first.paths)
    chosen = train_and_choose(task, recipe, first, job, asked.on_epoch)
    return Run(chosen.trained, chosen.result, chosen.paths, chosen.other, chosen.choice)


def _remove_earlier(folder: Path, train: bool) -> None:
    """Remove what an earlier run left; its model stays until training has made the next one."""
    remove_other_images(folder, "solver", "network")
    if not train:
        remove_training(folder)
