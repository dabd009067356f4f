"""`train`: fit a network to a scan, without ground truth."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ptychopinn.api.backends import check_backend, fit_prepared
from ptychopinn.api.figure_content import NETWORK, today
from ptychopinn.api.inputs import RecipeSource, RunLog, ScanSource, as_recipe, as_scan, log_backend, warn_of_problems
from ptychopinn.api.model_files import BUNDLE_NAME, files_of, save_model
from ptychopinn.config import Recipe
from ptychopinn.data.io.atomic import check_output_folder, remove_file, write_text_atomically
from ptychopinn.errors import ConfigError
from ptychopinn.metrics.collapse import Collapse
from ptychopinn.models import TrainedModel
from ptychopinn.notebook import Shown
from ptychopinn.plotting import figure_history, save_figure
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.reconstruction import Reconstructor
from ptychopinn.training import (
    CHECKPOINTS,
    EpochHook,
    Fit,
    History,
    Prepared,
    checkpoint_to_resume,
    judge,
    prepare,
    recipe_of_start,
)


@dataclass(frozen=True, repr=False)
class Trained(Shown):
    """A trained model, its history, and where they were written."""

    model: TrainedModel
    """The network with its complete recipe."""
    history: History
    """Column name -> one number per epoch: `epoch`, `train_loss`, `val_loss`, `learning_rate`, `seconds`, and, NaN
    where nobody looked, `contrast_amplitude`, `contrast_phase_rad`, `coverage` of the image so far."""
    seconds: float
    """Time of the training itself."""
    paths: dict[str, Path]
    """`model`, `recipe`, `history`, `history_figure` (also as `history_picture`), `checkpoints`, `metrics`, `log`;
    empty without output."""
    collapse: Collapse | None = None
    """Contrast and coverage of the image of the training scan, and whether it is flat where the patterns are not."""

    @property
    def recipe(self) -> Recipe:
        """Complete, with the statistics that training measured."""
        return self.model.recipe

    def summary(self) -> str:
        """Network, backend, patterns; epochs, time and losses."""
        fitted, size = self.model.fitted, self.model.fitted.pattern_size
        losses = (("training", "train_loss"), ("validation", "val_loss"))
        last = [f"{name} loss {self.history[key][-1]:.4g}" for name, key in losses if len(self.history.get(key, ()))]
        epochs = len(self.history.get("epoch", ()))
        network = f"{self.recipe.model.generator.architecture} ({self.recipe.backend})"
        return (
            f"Trained: network {network} for patterns of {size} x {size} px, trained on {fitted.n_patterns} of them\n"
            f"  {', '.join([f'{epochs} epochs in {self.seconds:.0f} s', *last])}"
        )

    def plot(self) -> Any:
        """Loss and learning rate over the epochs, a `matplotlib.figure.Figure`."""
        return figure_history(self.history, "Training", f"{NETWORK} {self.recipe.model.generator.architecture}")


def train(
    scan: ScanSource | Sequence[ScanSource],
    output: str | Path | None = None,
    recipe: RecipeSource = None,
    *,
    overrides: Sequence[str] = (),
    start_from: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_epoch: EpochHook | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train the network of a recipe on a scan, or on several; or train a finished model further.

    Args:
        scan: a file, or a `Scan`; a list of them trains one model on all, each with its own beam and sample.
        output: folder for `wts.h5.zip`, `recipe.yaml`, `history.csv`, `history.png`, `checkpoints/` and
            `metrics.json` (its entries `started_from`, `collapse` and `scan_problems`) and `run.log`; nothing is
            written without it.
        recipe: name, YAML file, mapping or `Recipe`; the default recipe without it.
        overrides: `section.key=value` texts.
        start_from: a trained model, whose weights training begins with and whose recipe takes the place of `recipe`
            (fine-tuning). Its number of epochs is chosen anew, see `training.epochs`.
        resume: go on from the last checkpoint in `output`, to as many epochs as then or more.
        overwrite: replace an earlier training in `output`, which is refused otherwise.
        on_epoch: called after every epoch with epochs done, epochs in all and the numbers of the epoch.
        ranks: processes that share the training, each of which makes the same call; the first one writes.

    Raises:
        PtychoPINNError: the scan, the recipe or the folder cannot be used; nothing has been written then.
    """
    with RunLog() as log:
        earlier = choose_earlier(resume, overwrite)
        base = recipe if start_from is None else recipe_of_model(start_from, recipe)
        start, folder = begin(scan, output, as_recipe(base, overrides), log, earlier, ranks)
        started = time.perf_counter()
        result = fit_prepared(start, folder, resume=resume, on_epoch=on_epoch, ranks=ranks)
        seconds = time.perf_counter() - started
        paths: dict[str, Path] = {}
        collapse = None
        with ranks.together():
            if ranks.is_first:
                paths = write_training(result, folder) if folder else {}
                record_model(result, paths.get("model"))
                collapse = judge_training(result)
                if folder is not None:
                    entries = {
                        "started_from": result.trained.fitted.started_from,
                        "collapse": collapse.entry(),
                        "scan_problems": [note for part in start.parts for note in part.tensors.scan.notes],
                    }
                    text = json.dumps(entries, indent=2)
                    paths["metrics"] = write_text_atomically(folder / "metrics.json", text)
    if log.path is not None:
        paths["log"] = log.path
    return Trained(result.trained, result.history, seconds, paths, collapse)


def recipe_of_model(path: str | Path, recipe: RecipeSource) -> Recipe:
    """The recipe of a trained model, for training it further.

    Raises:
        ConfigError: another recipe was given, too.
        BundleError: the model cannot be used.
    """
    if recipe is not None:
        raise ConfigError(
            f"{path}: a model that is trained further brings its own recipe, and another one was given; leave out "
            "--config, and change settings by --set"
        )
    return recipe_of_start(str(path))


def record_model(result: Fit, path: Path | None = None, notes: Mapping[str, str] | None = None) -> None:
    """Give the archive of a trained model to what recorded its training, as a plain file; see `training.logger`.

    Args:
        result: of the training.
        path: of the archive; it is written for this alone where there is none.
        notes: texts by file name that are kept with it.
    """
    if result.tracking is None or not result.tracking.is_open:
        return
    if path is not None and not notes:
        return result.tracking.add_file(path)
    with files_of(result.trained, notes) as files:
        for file in files:
            result.tracking.add_file(file)


def judge_training(result: Fit) -> Collapse:
    """Contrast and coverage of the whole image of the (first) training scan; see `ptychopinn.training.judge`."""
    image, _ = Reconstructor.for_scan(result.trained, result.tensors, probe="model").image()
    return judge(result.tensors, image, result.model.physics)


Earlier = Literal["refuse", "resume", "replace"]
"""What becomes of an earlier training in the output folder."""


def choose_earlier(resume: bool, overwrite: bool) -> Earlier:
    """What becomes of an earlier training in the output folder.

    Raises:
        ConfigError: both were asked for.
    """
    if resume and overwrite:
        raise ConfigError("resume and overwrite exclude each other; give one of --resume and --overwrite")
    return "resume" if resume else "replace" if overwrite else "refuse"


def begin(
    scan: ScanSource | Sequence[ScanSource],
    output: str | Path | None,
    recipe: Recipe,
    log: RunLog,
    earlier: Earlier = "replace",
    ranks: Ranks = ALONE,
) -> tuple[Prepared, Path | None]:
    """All that can be refused, and only then the output folder, which the first rank makes.

    Raises:
        ConfigError: the folder holds a training and `earlier` is `refuse`, or its checkpoint does not fit.
        BundleError: its checkpoint cannot be read and `earlier` is `resume`.
        PtychoPINNError: scan, recipe or folder cannot be used.
    """
    with ranks.together():
        log_backend(recipe)
        check_backend(recipe)
        folder = None if output is None else Path(output)
        if folder is not None and earlier == "refuse" and ranks.is_first:
            check_unused(folder)
        sources = [scan] if isinstance(scan, ScanSource) else scan
        start = prepare([as_scan(source, recipe) for source in sources], recipe)
        if folder is not None and earlier == "resume":
            checkpoint_to_resume(folder, start)
    with ranks.together():  # what another rank was refused for leaves no folder behind
        if folder is not None and ranks.is_first:
            check_output_folder(folder)
            check_output_folder(folder / CHECKPOINTS)
            log.write_to(folder)
    warn_of_problems(*(part.tensors.scan for part in start.parts))
    return start, folder


def check_unused(folder: Path) -> None:
    """Refuse a folder that holds a training.

    Raises:
        ConfigError: it holds a model or checkpoints.
    """
    used = [name for name in (BUNDLE_NAME, f"{CHECKPOINTS}/last.ckpt") if (folder / name).exists()]
    if used:
        raise ConfigError(
            f"{folder}: holds an earlier training ({', '.join(used)}); give --resume to continue it, --overwrite to "
            "replace it, or another output folder"
        )


def remove_training(folder: Path) -> None:
    """Remove the files of an earlier training from a folder."""
    names = (BUNDLE_NAME, "history.csv", "history.png", f"{CHECKPOINTS}/last.ckpt", f"{CHECKPOINTS}/best.ckpt")
    for name in names:
        remove_file(folder / name)


def write_training(result: Fit, folder: Path) -> dict[str, Path]:
    """The files of a training run."""
    heading = "Training" + (f" on {Path(source).name}" if (source := result.tensors.scan.source) != "memory" else "")
    began = result.trained.fitted.started_from
    parts = (f"{NETWORK} {result.recipe.model.generator.architecture}", began and f"started from {began}", today())
    facts = "   ·   ".join(part for part in parts if part)
    figure = save_figure(figure_history(result.history, heading, facts), folder / "history.png")
    written = {
        "model": save_model(folder / BUNDLE_NAME, result.trained),
        "recipe": write_text_atomically(folder / "recipe.yaml", result.recipe.to_yaml()),
        "history_figure": figure,
        "history_picture": figure,
        "checkpoints": folder / "checkpoints",
    }
    table = folder / "history.csv"
    return {**written, "history": table} if result.recipe.training.logger != "none" else written
