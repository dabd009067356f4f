"""`run`: train on a scan, then reconstruct it; one call from a measurement to an image."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_recipe
from ptychopinn.api.reconstruct import reconstruct_prepared
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.api.request import Job
from ptychopinn.api.train import Trained, begin, choose_earlier, write_training
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.reconstruction import Progress, Reconstructor
from ptychopinn.solver import IterationHook
from ptychopinn.training import EpochHook, fit_prepared


@dataclass(frozen=True)
class Run:
    """A trained model, the image that it made, and where both were written."""

    trained: Trained
    reconstructed: Reconstructed
    paths: dict[str, Path]
    """All files by name: those of both parts, and `log`; empty when nothing was written."""

    @property
    def reconstruction(self) -> Reconstruction:
        """The image."""
        return self.reconstructed.reconstruction


def run(
    scan: ScanSource,
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: EpochHook | None = None,
    on_batch: Progress | None = None,
    on_iteration: IterationHook | None = None,
) -> Run:
    """Train the network of a recipe on a scan and reconstruct the same patterns; the scan is read once.

    Args:
        scan: a file, or a `Scan`.
        output: folder for all files that the README lists; nothing is written without it.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.
        resume: go on from the last checkpoint in `output`, to as many epochs as then or more.
        overwrite: replace an earlier training in `output`, which is refused otherwise.
        on_epoch: called after every epoch of training.
        on_batch: called after every batch of prediction.
        on_iteration: called after every iteration of a refinement, where the recipe asks for one.

    Raises:
        PtychoPINNError: the scan, the recipe or the folder cannot be used; nothing has been written then.
    """
    started = time.perf_counter()
    with RunLog() as log:
        start, folder = begin(scan, output, as_recipe(recipe, overrides), log, choose_earlier(resume, overwrite))
        loaded_at = time.perf_counter()
        result = fit_prepared(start, folder, resume=resume, tell=on_epoch)
        trained_at = time.perf_counter()
        written = write_training(result, folder) if folder else {}
        timings = {
            "load_s": loaded_at - started,
            "train_s": trained_at - loaded_at,
            "write_s": time.perf_counter() - trained_at,
        }
        reconstructor = Reconstructor.for_scan(result.trained, result.tensors, probe="model")
        reconstructed = reconstruct_prepared(
            reconstructor, Job(folder, timings, result.history, on_batch, on_iteration)
        )
    seen = reconstructed.collapse
    trained = Trained(result.trained, result.history, timings["train_s"], written, seen)
    paths = {**written, **reconstructed.paths}
    return Run(trained, reconstructed, {**paths, "log": log.path} if log.path else {})
