"""What a command would read, compute and write, and how long it would take, without writing anything."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ptychopinn.api.backends import check_backend, fit_prepared
from ptychopinn.api.default_network import network_for
from ptychopinn.api.inputs import RecipeSource, RunLog, ScanFiles, ScanSource, as_recipe, as_scan, log_backend
from ptychopinn.api.model_files import BUNDLE_NAME, load_model
from ptychopinn.api.open_settings import with_open_settings
from ptychopinn.api.prior_use import prior_of
from ptychopinn.api.reconstructed import RECIPE, RESULT
from ptychopinn.api.solve import from_nothing
from ptychopinn.api.solver_work import Task, iterated
from ptychopinn.api.train import begin, check_unused, choose_earlier, recipe_of_model
from ptychopinn.config import Recipe
from ptychopinn.config.backend import check_installed
from ptychopinn.data import Scan
from ptychopinn.data.thinning import holds_photons
from ptychopinn.errors import ConfigError, OutputError
from ptychopinn.prior import Prior
from ptychopinn.reconstruction import ProbeChoice, Reconstructor
from ptychopinn.training import CHECKPOINTS, Prepared, check_trainable, prepare, used_patterns

TRIAL_PATTERNS = 256
"""Patterns of a scan on which each kind of work is timed. Twice as many would take twice the time, for an estimate
that is a few per cent better."""
TRIAL_PASSES = 4
"""Epochs and iterations that are timed; the first is left out, since it prepares what the others use again."""
FIXED_S = 4.0
"""Time of a command beside its iterations: starting, reading, judging, drawing."""
IMAGE_FILES = (f"{RESULT}.npz", f"{RESULT}.png", "metrics.json", "run.log")
MODEL_FILES = (BUNDLE_NAME, RECIPE, "history.csv", "history.png", f"{CHECKPOINTS}/")
_REPEATS = {"none": 0, "photons": 2, "scan": 1, "both": 3}
"""Solves of parts of the data that a measurement of the resolution needs."""
_ERROR_BAR_SOLVES = 2


@dataclass(frozen=True)
class Step:
    """One kind of work."""

    name: str
    amount: str
    """Such as `40 iterations`."""
    seconds: float
    """Estimated."""


@dataclass(frozen=True)
class Plan:
    """What a command would do."""

    reads: tuple[str, ...]
    """Each input with what it holds."""
    steps: tuple[Step, ...]
    folder: Path
    """Of the output; it is not made."""
    writes: tuple[str, ...]
    """Names of the files in the folder."""
    replaced: tuple[str, ...]
    """Those that are there already."""
    problems: tuple[str, ...]
    """What looks wrong with the scans."""

    @property
    def seconds(self) -> float:
        """Estimated time of the whole command."""
        return FIXED_S + sum(step.seconds for step in self.steps)


def plan_train(
    scans: Sequence[ScanSource],
    output: str | Path,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    start_from: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Plan:
    """What `ptychopinn.train` would do; arguments as there.

    Raises:
        PtychoPINNError: whatever `train` would refuse before its work starts.
    """
    settings = as_recipe(recipe if start_from is None else recipe_of_model(start_from, recipe), overrides)
    _check_output(output, resume, overwrite)
    with RunLog() as log:
        start, _ = begin(scans, None, settings, log)
    used = [part.tensors.scan for part in start.parts]
    reads = [_described(source, scan) for source, scan in zip(scans, used, strict=True)]
    if start_from is not None:
        reads.append(f"{start_from}: model that is trained further")
    return _plan(output, reads, used, [_training(start)], (*MODEL_FILES, "metrics.json", "run.log"))


def plan_run(
    scan: ScanSource,
    output: str | Path,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    train: bool = True,
    solve: bool = True,
    resume: bool = False,
    overwrite: bool = False,
) -> Plan:
    """What `ptychopinn.run` would do; arguments as there.

    Raises:
        PtychoPINNError: whatever `run` would refuse before its work starts.
    """
    given = overrides if solve else [*overrides, "reconstruction.refine.iterations=0"]
    settings = as_recipe(recipe, given)
    log_backend(settings)
    prior = prior_of(settings)
    if train:
        check_installed(settings.backend)
    _check_output(output, resume, overwrite)
    _use_threads(settings)
    used = used_patterns(as_scan(scan, settings), settings)
    steps: list[Step] = []
    writes: tuple[str, ...] = IMAGE_FILES
    if train:
        if solve:
            settings = network_for(used, recipe, overrides)
        check_backend(settings)
        check_trainable(used, settings)
        writes = (*writes, *MODEL_FILES)
    else:
        writes = (*writes, RECIPE)
    if solve:
        task = from_nothing(used, settings, settings.training.device, prior)
        parts = 1 + int(train and holds_photons(used))
        of_network = parts if train and settings.reconstruction.refine.iterations else 0
        steps.append(_solving(task, used, parts + of_network))
    if train:
        steps.append(_training(prepare(used, settings)))
    if train and solve:
        writes = (*writes, f"{RESULT}_network.npz or _solver.npz", f"{RESULT}_network.png or _solver.png")
    return _plan(output, [_described(scan, used)], [used], steps, writes)


def plan_reconstruct(
    scan: ScanSource,
    model: str | Path | None,
    output: str | Path,
    *,
    refine: int | None = None,
    recipe: RecipeSource = None,
    overrides: Sequence[str] = (),
    probe: ProbeChoice = "auto",
    device: str = "auto",
) -> Plan:
    """What `ptychopinn.reconstruct` would do; arguments as there.

    Raises:
        PtychoPINNError: whatever `reconstruct` would refuse before its work starts.
    """
    if refine is not None:
        if refine == 0 and model is None:
            raise ConfigError("refine must be at least 1 without a model, got 0; give a number, or a model")
        overrides = [*overrides, f"reconstruction.refine.iterations={refine}"]
    _check_folder(output)
    if model is None:
        if probe == "model":
            raise ConfigError("probe must be 'scan' or 'auto' without a model, got 'model'; give a model")
        settings = as_recipe(recipe, overrides)
        _use_threads(settings)
        used = as_scan(scan, settings)
        task = from_nothing(used, settings, device, prior_of(settings))
        return _plan(output, [_described(scan, used)], [used], [_solving(task, used)], (*IMAGE_FILES, RECIPE))
    trained = load_model(model)
    settings = with_open_settings(trained.recipe, recipe, overrides)
    _use_threads(settings)
    used = as_scan(scan, settings)
    trained = replace(trained, recipe=settings)
    reconstructor = Reconstructor.for_scan(trained, used, probe=probe, device=device)
    part = _part_of(used)
    small = reconstructor if part is used else Reconstructor.for_scan(trained, part, probe=probe, device=device)
    begun = time.perf_counter()
    image, _ = small.image()
    took = (time.perf_counter() - begun) * len(used) / len(part)
    network = settings.model.generator.architecture
    steps = [Step(f"prediction by the network {network}", f"{len(used)} patterns", took)]
    if settings.reconstruction.refine.iterations:
        task = Task(image, small.tensors, settings, small.gauge)
        steps.append(_step_of_solver(task, used, 1))
    reads = [_described(scan, used), f"{model}: trained network {network}"]
    return _plan(output, reads, [used], steps, (*IMAGE_FILES, RECIPE))


def _check_output(output: str | Path, resume: bool, overwrite: bool) -> None:
    if choose_earlier(resume, overwrite) == "refuse":
        check_unused(Path(output))
    _check_folder(output)


def _check_folder(output: str | Path) -> None:
    """Refuse a folder that cannot be made or written; nothing is made.

    Raises:
        OutputError: a file is in the way, or the folder or the next one above it cannot be written.
    """
    folder = Path(output)
    above = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not above.is_dir():
        raise OutputError(f"{folder}: cannot be made, since {above} is a file; name another folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: cannot be written in {above}; name another folder")


def _use_threads(recipe: Recipe) -> None:
    if recipe.training.threads is not None:
        torch.set_num_threads(recipe.training.threads)


def _described(source: ScanSource, scan: Scan) -> str:
    path = source.path if isinstance(source, ScanFiles) else source
    name = "scan in memory" if isinstance(path, Scan) else str(path)
    return f"{name}: {len(scan)} patterns of {scan.pattern_size} x {scan.pattern_size} px, {scan.domain}"


def _plan(
    output: str | Path, reads: Sequence[str], scans: Sequence[Scan], steps: Sequence[Step], writes: Sequence[str]
) -> Plan:
    folder = Path(output)
    there = tuple(name for name in writes if (folder / name).exists())
    problems = tuple(sentence for scan in scans for sentence in scan.notes)
    return Plan(tuple(reads), tuple(steps), folder, tuple(writes), there, problems)


def _part_of(scan: Scan) -> Scan:
    """The patterns nearest to the middle of a scan, or all of a small one."""
    if len(scan) <= TRIAL_PATTERNS:
        return scan
    away = np.linalg.norm(scan.positions_px - np.median(scan.positions_px, axis=0), axis=1)
    return scan.select(np.sort(np.argsort(away, kind="stable")[:TRIAL_PATTERNS]))


def _solving(task: Task, scan: Scan, solves: int = 1) -> Step:
    """The solver on a scan, timed on a part of it."""
    part = _part_of(scan)
    prior: Prior | None = task.prior
    small = task if part is scan else from_nothing(part, task.recipe, str(task.tensors.device), prior)
    return _step_of_solver(replace(small, recipe=task.recipe), scan, solves)


def _step_of_solver(task: Task, scan: Scan, solves: int) -> Step:
    settings = task.recipe.reconstruction
    iterations = settings.refine.iterations
    solves += _REPEATS[settings.resolution] + _ERROR_BAR_SOLVES * int(settings.uncertainty)
    few = task.recipe.with_overrides([f"reconstruction.refine.iterations={TRIAL_PASSES}"])
    each = _timed(lambda hook: iterated(replace(task, recipe=few), task.tensors, None, hook))
    seconds = solves * iterations * each * len(scan) / len(task.tensors)
    times = f"{solves} x " if solves > 1 else ""
    return Step("iterative solver", f"{times}{iterations} iterations", seconds)


def _training(start: Prepared) -> Step:
    """A training, timed on a part of its first scan."""
    groups = sum(len(part.train_groups) for part in start.parts)
    recipe, scan = start.recipe, start.parts[0].tensors.scan
    few = recipe.with_overrides([f"training.epochs={TRIAL_PASSES}", "training.logger=csv", "data.n_patterns=null"])
    small = prepare(_part_of(scan), few.changed(fitted=None))
    each = _timed(lambda hook: fit_prepared(small, None, on_epoch=hook)) / len(small.parts[0].train_groups)
    epochs = recipe.training.epochs or 0
    amount = f"{epochs} epochs of {groups} groups"
    return Step(f"training of the network {recipe.model.generator.architecture}", amount, epochs * groups * each)


def _timed(work: Callable[[Callable[..., None]], object]) -> float:
    """Mean time between the calls of a hook, the first one left out, s."""
    times: list[float] = []
    work(lambda *_: times.append(time.perf_counter()))
    return (times[-1] - times[0]) / max(len(times) - 1, 1)
