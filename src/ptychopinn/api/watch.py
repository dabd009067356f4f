"""`watch`: the image of a scan that is being measured, from pieces that arrive in any order."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from ptychopinn.api.inputs import RunLog, log_backend
from ptychopinn.api.live_solver import FINAL_ITERATIONS, LiveSolver
from ptychopinn.api.model_files import load_model
from ptychopinn.api.open_settings import with_open_settings
from ptychopinn.api.prior_use import prior_of
from ptychopinn.api.reconstruct import reconstruct_stitched, with_method
from ptychopinn.api.reconstructed import Reconstructed, keep_recipe
from ptychopinn.api.request import Job
from ptychopinn.api.train import Trained
from ptychopinn.data.io.atomic import check_output_folder, write_text_atomically
from ptychopinn.data.io.growing_file import GrowingFile
from ptychopinn.data.io.pieces import Piece, read_piece
from ptychopinn.data.reconstruction import LIVE_NAME
from ptychopinn.data.scan import Domain
from ptychopinn.errors import BundleError, ConfigError, OutputError, ScanError
from ptychopinn.plotting import figure_reconstruction, save_figure
from ptychopinn.reconstruction import LiveImage
from ptychopinn.solver import check_names

logger = logging.getLogger("ptychopinn")
LOOK_S = 0.1
"""Between two looks into the folder."""
EVERY_S = 5.0
"""Between two images of the scan so far."""
SHARE = 0.2
"""Largest part of the time that is spent on such images: a large one takes seconds."""
LIVE = "live.png"

FramesHook = Callable[[int, int | None], None]
"""Called with the frames placed, and the frames expected where that is known."""


@final
@dataclass(frozen=True)
class Watched:
    """The image of a scan whose pieces were joined."""

    reconstructed: Reconstructed
    report: dict[str, Any]
    """Counts of frames, latency and throughput, as `metrics.json` holds them under `live`."""
    unread: dict[Path, str]
    """Files that could not be read, each with the reason."""


def watch(
    source: str | Path,
    model: str | Path | Trained,
    output: str | Path,
    *,
    domain: Domain = "counts",
    frames: int | None = None,
    idle_s: float | None = None,
    every_s: float = EVERY_S,
    solve: bool = False,
    overrides: Sequence[str] = (),
    device: str = "auto",
    on_frames: FramesHook | None = None,
) -> Watched:
    """Reconstruct a scan while it is measured: pieces of it arrive in any order, in a folder or in one growing file.

    A piece holds `frames`, the numbers of its frames, with `diffraction`, with `xcoords` and `ycoords`, or with all of
    them. A frame is predicted and placed once, as soon as its pattern and its position are there; what comes again is
    left out and counted. The probe is that of the model.

    Args:
        source: a folder where files `*.npz` arrive; those that are there already count. Or an HDF5 file that is open
            for writing (SWMR); see `ptychopinn.data.io.growing_file.GrowingFile`.
        model: a bundle, its folder, or what `train` returned.
        output: folder for `live.png` and `live.npz` (the image so far), and at the end the files of `reconstruct`.
        domain: of the patterns.
        frames: end when so many frames are placed.
        idle_s: end if no piece came for so long. With neither Ctrl-C ends.
        every_s: time between two images of the scan so far.
        solve: let the iterative solver go on with the frames that are there while others arrive, and refine the image
            at the end, with 30 iterations where the recipe asks for none.
        overrides: `section.key=value` texts, as for `reconstruct` with a model. With
            `reconstruction.refine.iterations=N` the solver refines the image at the end.
        device: `auto`, `cpu`, `cuda`, ...
        on_frames: called when frames were placed.

    Raises:
        PtychoPINNError: the source, the model or the settings cannot be used; nothing has been written then. Or no
            frame was complete at the end.
    """
    source = Path(source)
    if not source.exists():
        raise ScanError(f"{source}: no such folder or file; give the folder in which pieces arrive, or the HDF5 file")
    if source.suffix == ".npz" and source.is_file():
        raise ScanError(
            f"{source}: watch must have a folder or an HDF5 file, got an NPZ file, which does not grow; give the "
            "folder in which it lies, or use `ptychopinn reconstruct` for a scan that has ended"
        )
    if (frames is not None and frames < 1) or (idle_s is not None and not idle_s >= 0) or not every_s >= 0:
        raise ConfigError(f"frames must be 1 or more, idle_s and every_s 0 or more, got {frames}, {idle_s}, {every_s}")
    with RunLog() as log:
        trained = model.model if isinstance(model, Trained) else load_model(model)
        recipe = with_open_settings(trained.recipe, None, overrides)
        if solve and recipe.reconstruction.refine.iterations == 0:
            recipe = recipe.with_overrides([f"reconstruction.refine.iterations={FINAL_ITERATIONS}"])
        if recipe.model.generator.grouping != "single":
            raise BundleError(
                "the network sees groups of patterns, which are not known before the scan has ended; use a model with "
                "model.generator.grouping=single"
            )
        check_names(recipe.reconstruction.refine)
        prior = prior_of(recipe)
        log_backend(recipe, device)
        if recipe.training.threads is not None:
            torch.set_num_threads(recipe.training.threads)
        trained = replace(trained, recipe=recipe)
        live = LiveImage(trained, domain, device)
        target = check_output_folder(output)
        log.write_to(target)
        keep_recipe(recipe, target)
        pieces = _Pieces(source) if source.is_dir() else _Rows(source)
        solver = LiveSolver(recipe.reconstruction.refine) if solve else None
        try:
            _follow(live, pieces, target, frames, idle_s, every_s, on_frames, solver)
        except KeyboardInterrupt:
            logger.info("interrupted: the image of what has arrived is written")
        finally:
            if solver is not None:
                solver.stop()
        _add(live, pieces, ended=True)
        live.place()
        if len(live) == 0 and pieces.unread:
            path, reason = next(iter(pieces.unread.items()))
            raise ScanError(f"no frame is complete, and {len(pieces.unread)} files could not be read; {path}: {reason}")
        report = live.report() | ({} if solver is None else {"solver": solver.report()})
        reconstructor = live.reconstructor()
        image = with_method(live.image(reconstructor), reconstructor)
        image = image if solver is None else solver.image(image)
        image = replace(image, metadata={**image.metadata, "live": report})
        made = reconstruct_stitched(reconstructor, image, {}, Job(target), prior)
        metrics = {**made.metrics, "live": report}
        write_text_atomically(made.paths["metrics"], json.dumps(metrics, indent=2))
        paths = {**made.paths, **({"log": log.path} if log.path else {})}
    unread = {path: reason for path, reason in pieces.unread.items() if path.exists()}
    return Watched(replace(made, metrics=metrics, paths=paths), report, unread)


@final
class _Pieces:
    """The files of a folder, each read once, and again if it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[int, int]] = {}
        self.unread: dict[Path, str] = {}

    def new(self, *, ended: bool = False) -> list[tuple[Path, Piece]]:
        """What has arrived since the last look; a file that cannot be read is tried again when it has changed.

        Args:
            ended: nothing more will come; a file is whole or not, so that this changes nothing.
        """
        found = []
        for path in sorted(self._folder.glob("*.npz")):
            try:
                state = path.stat()
            except OSError:
                continue
            seen = (state.st_size, state.st_mtime_ns)
            if path.name.startswith(".") or self._read.get(path) == seen:
                continue
            self._read[path] = seen
            try:
                found.append((path, read_piece(path)))
                self.unread.pop(path, None)
            except ScanError as error:
                self.unread[path] = str(error)
        return found


@final
class _Rows:
    """The rows of one file that is being written."""

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        self._seen: tuple[int, int] | None = None
        self.unread: dict[Path, str] = {}

    def new(self, *, ended: bool = False) -> list[tuple[Path, Piece]]:
        """What was added since the last look; a file that cannot be read is tried again when it has changed."""
        path = self._file.path
        try:
            state = path.stat()
            seen = (state.st_size, state.st_mtime_ns)
            if seen == self._seen and not ended:
                return []
            found = [(path, piece) for piece in self._file.new(ended=ended)]
        except (OSError, ScanError) as error:
            self.unread[path] = str(error)
            return []
        self._seen = seen
        self.unread.pop(path, None)
        return found


def _add(live: LiveImage, pieces: _Pieces | _Rows, *, ended: bool = False) -> bool:
    """Take what has arrived; whether there was something."""
    new = pieces.new(ended=ended)
    for path, piece in new:
        try:
            live.add(piece)
        except ScanError as error:
            pieces.unread[path] = str(error)
    return bool(new)


def _follow(
    live: LiveImage,
    pieces: _Pieces | _Rows,
    target: Path,
    frames: int | None,
    idle_s: float | None,
    every_s: float,
    on_frames: FramesHook | None,
    solver: LiveSolver | None,
) -> None:
    """Place frames as they come, and draw the image now and then, until the scan has ended."""
    last_piece = last_drawn = time.monotonic()
    wait_s, drawn = every_s, 0
    while frames is None or len(live) < frames:
        new = _add(live, pieces)
        if live.place() and on_frames is not None:
            on_frames(len(live), frames)
        now = time.monotonic()
        last_piece = now if new else last_piece
        if idle_s is not None and now - last_piece >= idle_s:
            return
        if len(live) > drawn and now - last_drawn >= wait_s:
            _draw(live, target, solver)
            drawn, last_drawn = len(live), time.monotonic()
            wait_s = max(every_s, (last_drawn - now) / SHARE)
        if solver is not None and solver.is_due(len(live)):
            _solve(live, solver)
        if not new:
            time.sleep(LOOK_S)


def _solve(live: LiveImage, solver: LiveSolver) -> None:
    """Let the solver go on with the frames that are placed, where they make a scan."""
    try:
        reconstructor = live.reconstructor()
        solver.begin(reconstructor, live.image(reconstructor))
    except ScanError as error:
        logger.info("the solver waits for more frames: %s", error)


def _draw(live: LiveImage, target: Path, solver: LiveSolver | None) -> None:
    """Write the figure and the image of the scan so far; what the disk or a check refuses does not stop the scan."""
    try:
        image = live.image(live.reconstructor())
        image = image if solver is None else solver.image(image)
        save_figure(figure_reconstruction(image, title=f"Live: {len(live)} frames"), target / LIVE)
        image.save(target / LIVE_NAME)
    except (OutputError, ScanError) as error:
        logger.warning("no image of the scan so far: %s", error)
