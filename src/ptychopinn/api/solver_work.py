"""What a solver has reached in an output folder: its state after an interruption, and its finished image."""

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.identity import digest_of
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior import Prior
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver import (
    Gauge,
    IterationHook,
    Refined,
    SolverCheckpoint,
    SolverInterrupted,
    Together,
    load_checkpoint,
    refine,
)
from ptychopinn.training import CHECKPOINTS

logger = logging.getLogger("ptychopinn")
_DIGEST = "solver_input"
"""Entry of an image's metadata: digest of all that the solver was given."""
_FORWARD = {"propagation", "fresnel_number", "background", "blur_px", "subpixel", "fly_path_px", "fly_steps"}
"""Settings of `model` from which `DiffractionModel.of` makes the model of the patterns."""


@dataclass(frozen=True)
class Task:
    """An image that the solver is ready to refine."""

    start: Reconstruction
    tensors: ScanTensors
    recipe: Recipe
    gauge: Gauge
    """What is known of the probe of the start."""
    prior: Prior | None = None
    """Applied to the image of the solver; None for none."""
    ranks: Ranks = ALONE
    """Processes that share the work; all hold the same values."""
    together: Together | None = None
    """How the patterns belong together where they are of several scans."""


def iterated(
    task: Task,
    tensors: ScanTensors,
    checkpoint: SolverCheckpoint | None = None,
    on_iteration: IterationHook | None = None,
) -> Refined:
    """Run the solver as a task says, on its scan or on one with other counts.

    Raises:
        SolverInterrupted: Ctrl-C in the iterations.
    """
    settings = task.recipe.reconstruction
    return refine(
        task.start,
        tensors,
        settings.refine,
        model=DiffractionModel.of(task.recipe.model),
        gauge=task.gauge,
        min_coverage=settings.min_coverage,
        checkpoint=checkpoint,
        on_iteration=on_iteration,
        ranks=task.ranks,
        together=task.together,
    )


@dataclass(frozen=True)
class SolverWork:
    """Files of one solve."""

    given: str
    """Digest of the patterns, the start and the settings, by which the files are recognised."""
    state: Path
    """After an interruption; removed at the end."""
    images: tuple[Path, ...]
    """Where its finished image may be."""

    def finished(self) -> Reconstruction | None:
        """The finished image of the same input, where there is one."""
        for path in self.images:
            if not path.is_file():
                continue
            try:
                image = Reconstruction.load(path)
            except PtychoPINNError as error:
                logger.info("not used again: %s", error)
                continue
            if image.metadata.get(_DIGEST) == self.given and "interrupted" not in image.metadata:
                logger.info("the solver has finished before: its image is in %s", path)
                return image
        return None

    def reached(self) -> SolverCheckpoint | None:
        """The state to go on from, where the same solve was interrupted."""
        checkpoint = load_checkpoint(self.state, self.given)
        if checkpoint is None:
            logger.info("no interrupted solver to resume: it begins with the first iteration")
        else:
            logger.info("resuming the solver after iteration %d", len(checkpoint.deviance))
        return checkpoint

    def described(self, image: Reconstruction) -> Reconstruction:
        """The image with the digest of its input."""
        return replace(image, metadata={**image.metadata, _DIGEST: self.given})

    def save(self, stopped: SolverInterrupted) -> None:
        """Write the state of an interrupted solve."""
        stopped.checkpoint.save(self.state, self.given)
        logger.info("interrupted after iteration %d: the state is in %s", len(stopped.checkpoint.deviance), self.state)


@dataclass(frozen=True)
class Earlier:
    """What an earlier solve of the same input has left: its image, else its state, else nothing."""

    image: Reconstruction | None = None
    state: SolverCheckpoint | None = None

    @classmethod
    def of(cls, work: SolverWork | None, ranks: Ranks) -> "Earlier":
        """What the first rank finds in its folder, on all ranks; `work` is None where there is no folder."""
        with ranks.together():
            image = work.finished() if work else None
            state = work.reached() if work and image is None else None
        if not ranks.are_many:
            return cls(image, state)
        with tempfile.TemporaryDirectory() as folder:
            files = (Path(folder) / "image.npz", Path(folder) / "state.npz")
            if image is not None:
                image.save(files[0])
            if state is not None:
                state.save(files[1], "")
            for file in files:
                content = ranks.first_bytes(file.read_bytes() if file.is_file() else None)
                if content is not None and not ranks.is_first:
                    file.write_bytes(content)
            found = Reconstruction.load(files[0]) if files[0].is_file() else None
            return cls(found, load_checkpoint(files[1], ""))


def work_in(folder: Path, name: str, image_names: tuple[str, ...], task: Task) -> SolverWork:
    """The files of a solve in an output folder.

    Args:
        folder: of the output.
        name: of the state, in the folder of the checkpoints.
        image_names: where the finished image may be, relative to the folder.
        task: what the solver is given.
    """
    scan, start, recipe = task.tensors.scan, task.start, task.recipe
    given = digest_of(
        scan.domain,
        scan.patterns,
        scan.bad_pixels,
        start.object_,
        start.origin_px,
        start.positions_px,
        start.probe,
        repr(task.gauge),
        recipe.model.model_dump_json(include=_FORWARD),
        recipe.reconstruction.model_dump_json(include={"refine", "min_coverage"}),
        *(() if task.together is None else (task.together.common, task.together.scan_of, task.together.doses)),
    )
    return SolverWork(given, folder / CHECKPOINTS / f"{name}.npz", tuple(folder / image for image in image_names))
