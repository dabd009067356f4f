"""`reconstruct --common`: several scans of one object, or with one probe, in one solve."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ptychopinn.api.fit import announce
from ptychopinn.api.held_out import check_holds_photons, held_out_scores, with_score
from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_scan, log_backend, warn_of_problems
from ptychopinn.api.reconstructed import Made, Reconstructed, finish, judged, keep_recipe, write_result
from ptychopinn.api.request import Job, begun_folder
from ptychopinn.api.scans_together import WORDS, ScansTogether, check_common, scans_together, settings_together
from ptychopinn.api.solve import made_of, unfinished
from ptychopinn.api.solver_work import Earlier, iterated, work_in
from ptychopinn.config import Recipe
from ptychopinn.data.io.atomic import check_output_folder
from ptychopinn.data.reconstruction import METHOD, Reconstruction
from ptychopinn.notebook import Shown
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver import Common, IterationHook, Refined, SolverInterrupted, with_own_gauge

COMMON_OBJECT = "common_object"
"""Name of the object that all scans share and its figure, without the extension."""
ENTRY = "together"
"""Of `metrics.json` and of the metadata of an image: what the scans have in common."""


@dataclass(frozen=True, repr=False)
class ReconstructedTogether(Shown):
    """The images of scans that were solved together."""

    parts: dict[str, Reconstructed]
    """Name of each scan -> its image, with its own probe and verdict."""
    common: Reconstruction | None
    """The object that all share, with all positions; None where each has its own. Its probe is the common one, or that
    of the first scan, with the photons of the mean pattern; `intensities` has the photons of each pattern."""
    paths: dict[str, Path]
    """`reconstruction` and `figure` of the common object, and `log`; empty when nothing was written."""

    def summary(self) -> str:
        """Those of the scans."""
        return "\n".join(f"{name}: {part.summary()}" for name, part in self.parts.items())

    def plot(self) -> Any:
        """The figure of the common object, or of the first scan; a `matplotlib.figure.Figure`."""
        return next(iter(self.parts.values())).plot() if self.common is None else self.common.plot()


def reconstruct_together(
    scans: Mapping[str, ScanSource] | Sequence[ScanSource],
    output: str | Path | None = None,
    *,
    common: Common,
    refine: int | None = None,
    held_out: bool = False,
    recipe: RecipeSource = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    resume: bool = False,
    on_iteration: IterationHook | None = None,
    ranks: Ranks = ALONE,
) -> ReconstructedTogether:
    """Reconstruct several scans in one solve, by the iterative solver.

    Args:
        scans: two or more, with the name of each as a key; else they are called `scan_1`, `scan_2`, ...
        output: folder for a folder of each scan, with the files of `reconstruct`, and for `common_object.npz` and
            `.png` where the object is common; nothing is written without it.
        common: `object`: the scans show one object, each with its own probe. Their positions must be in one frame: in
            metres, or in pixels of the same object. `probe`: they were made with one probe, each of its own object.
            `both`: one object with one probe. The dose may differ from scan to scan.
        refine: iterations, instead of `reconstruction.refine.iterations`.
        held_out: also withhold a tenth of the photons of each scan, and state for each how much better they are
            explained by an image of the others from all scans together than from this scan alone (`held_out` of
            `metrics.json`). It takes three times as long.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.
        device: `auto`, `cpu`, `cuda`, ...
        resume: go on with a solve that was interrupted (Ctrl-C) in `output`.
        on_iteration: called after every iteration with the iterations done, all iterations, numbers.
        ranks: processes that share the work, each of which makes the same call; the first one writes.

    Raises:
        PtychoPINNError: fewer than two scans; scans without a common frame, pixel or size; settings that scans together
            do not allow (a prior, error bars, resolution); with `held_out`, counts that are no whole numbers. Nothing
            has been written then.
        KeyboardInterrupt: Ctrl-C; `output` holds the images so far, and what `resume` goes on from.
    """
    sources = scans if isinstance(scans, Mapping) else {f"scan_{k}": scan for k, scan in enumerate(scans, 1)}
    if refine is not None:
        overrides = [*overrides, f"reconstruction.refine.iterations={refine}"]
    started = time.perf_counter()
    with RunLog() as log:
        with ranks.together():
            settings = settings_together(recipe, overrides, refine)
            log_backend(settings, device)
            check_common(len(sources), common)
            scans_read = {name: as_scan(source, settings) for name, source in sources.items()}
            ready = scans_together(scans_read, settings, common, device, ranks)
            if held_out:
                check_holds_photons(ready)
        folder = begun_folder(output, log, ranks)
        warn_of_problems(*(task.tensors.scan for task in ready.alone.values()))
        job = Job(folder, {"load_s": time.perf_counter() - started}, None, None, on_iteration, resume)
        made = _solved(ready, job)
        if held_out:
            scores = held_out_scores(ready, device)
            parts = {name: with_score(part, scores[name]) for name, part in made.parts.items()}
            made = replace(made, parts=parts)
    return replace(made, paths={**made.paths, "log": log.path}) if log.path else made


def _solved(ready: ScansTogether, job: Job) -> ReconstructedTogether:
    """Solve, judge the image of each scan, and write all files."""
    work = None if job.folder is None else work_in(job.folder, "together_state", (), ready.task)
    earlier = Earlier.of(work, ready.task.ranks) if job.resume else Earlier()
    try:
        result = iterated(ready.task, ready.task.tensors, earlier.state, job.on_iteration)
    except SolverInterrupted as stopped:
        if work is not None:
            work.save(stopped)
            _write_unfinished(stopped, ready, job)
        raise
    together = result.together or ready.together
    images = ready.images(result.reconstruction, together)
    parts = {}
    for name, image in images.items():
        task, folder = ready.alone[name], _folder(job, name, ready.task.recipe)
        seconds = result.seconds * len(task.tensors) / len(ready.task.tensors)
        made = made_of(image, task, Refined(image, result.deviance, seconds))
        parts[name] = finish(_described(made, ready), replace(job, folder=folder))
    if work is not None:
        work.state.unlink(missing_ok=True)
    return _with_common(together.whole(result.reconstruction), ready, parts, job)


def _write_unfinished(stopped: SolverInterrupted, ready: ScansTogether, job: Job) -> None:
    """The images so far, with a mark; other ranks have ended."""
    for name, image in ready.images(stopped.image, stopped.together).items():
        task = replace(ready.alone[name], ranks=ALONE)
        made = unfinished(SolverInterrupted(image, stopped.checkpoint), task)
        part = replace(job, folder=_folder(job, name, ready.task.recipe))
        image_so_far = judged(_described(made, ready), part)
        announce(image_so_far.made.verdict)
        write_result(image_so_far, part)


def _described(made: Made, ready: ScansTogether) -> Made:
    """The same, with what the scans have in common in its metadata and metrics."""
    entry = {"common": ready.together.common, "scans": list(ready.alone)}
    method = f"{made.image.metadata[METHOD]}, {len(ready.alone)} scans {WORDS[ready.together.common]}"
    image = replace(made.image, metadata={**made.image.metadata, METHOD: method, ENTRY: entry})
    return replace(made, image=image, metrics={**made.metrics, ENTRY: entry})


def _folder(job: Job, name: str, recipe: Recipe) -> Path | None:
    """The folder of a scan, made, with the recipe; None where nothing is written."""
    if job.folder is None:
        return None
    folder = check_output_folder(job.folder / name)
    keep_recipe(recipe, folder)
    return folder


def _with_common(
    image: Reconstruction, ready: ScansTogether, parts: dict[str, Reconstructed], job: Job
) -> ReconstructedTogether:
    """The results, with the object that all scans share, under one probe, and its files."""
    if not ready.together.has_one_object:
        return ReconstructedTogether(parts, None, {})
    first = next(iter(parts.values())).reconstruction
    entry = {**image.metadata, METHOD: first.metadata[METHOD], ENTRY: first.metadata[ENTRY]}
    common = with_own_gauge(replace(image, metadata=entry), ready.task.gauge, ready.together)
    if job.folder is None:
        return ReconstructedTogether(parts, common, {})
    title = f"{len(parts)} scans {WORDS[ready.together.common]}"
    paths = {
        "reconstruction": common.save(job.folder / f"{COMMON_OBJECT}.npz"),
        "figure": save_figure(figure_reconstruction(common, title=title), job.folder / f"{COMMON_OBJECT}.png"),
    }
    return ReconstructedTogether(parts, common, paths)
