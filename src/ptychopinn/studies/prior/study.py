"""Make a prior: draw and solve scans, train the network, score it; every part goes on where it was stopped."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.errors import ConfigError
from ptychopinn.prior import Prior, PriorRecord, save_prior
from ptychopinn.studies.environment import environment
from ptychopinn.studies.prior.examples import Example, example_of
from ptychopinn.studies.prior.noised import noised_seed
from ptychopinn.studies.prior.settings import PriorSettings, Stage
from ptychopinn.studies.prior.solved import Solved, solve_seed
from ptychopinn.studies.prior.training import Trainer, balanced, mean_loss

logger = logging.getLogger("ptychopinn.studies")
SETTINGS = "settings.json"
STATE = "training.safetensors"
PRIOR = "prior.safetensors"
Progress = Callable[[str, int, int], None]
"""Called with what is done, how many of it are, and how many there will be."""


@dataclass(frozen=True)
class MadePrior:
    """A prior that was trained now."""

    prior: Prior
    paths: dict[str, Path]
    """`prior` and `settings`."""


def make_prior(
    output: Path | str, settings: PriorSettings | None = None, on_progress: Progress | None = None
) -> MadePrior:
    """Train a prior from nothing but seeds.

    Args:
        output: folder; holds the solved scans, the state of the training and the prior.
        settings: the defaults made the prior of this package.
        on_progress: called after every scan and with every saved state.

    Raises:
        ConfigError: the folder was made with other settings.
        OutputError: the folder cannot be written.
    """
    settings = settings or PriorSettings()
    folder = check_output_folder(output)
    paths = {"settings": _claim(folder, settings), "prior": folder / PRIOR}
    report = on_progress or (lambda what, done, total: None)
    trainer = Trainer(settings, folder / STATE)
    for stage in settings.stages:
        if trainer.step < stage.until:
            train_stage(trainer, stage, folder, report)
    kept_back = [example_of(one, settings.prior) for one in _kept_back(folder, settings, report)]
    prior = Prior(trainer.average, record_of(trainer, kept_back), PRIOR)
    save_prior(prior, paths["prior"])
    return MadePrior(prior, paths)


def train_stage(trainer: Trainer, stage: Stage, folder: Path, report: Progress) -> None:
    """Make the examples of a stage, and train to its end."""
    settings = trainer.settings
    scans = range(settings.first_seed, settings.first_seed + stage.scans)
    noised = range(settings.first_seed, settings.first_seed + stage.noised)
    solved = chain(
        _made(folder / "scans", scans, solve_seed, report), _made(folder / "noised", noised, noised_seed, report)
    )
    examples = [example_of(one, settings.prior) for one in solved]
    trainer.run(
        balanced(examples, settings.robust_sigma) if stage.balanced else examples,
        stage.until,
        lambda step, loss: _log_step(report, step, settings.steps, loss),
    )


def record_of(trainer: Trainer, kept_back: list[Example]) -> PriorRecord:
    """How a network was trained, and its mean loss on scans that were kept back."""
    settings = trainer.settings
    loss, nothing = mean_loss(trainer.average, kept_back, settings.robust_sigma)
    return PriorRecord(
        name="simulated",
        revision=str(environment("cpu")["ptychopinn"]),
        trained_on="simulated scans of ptychopinn.studies.prior.scans, solved by ptychopinn.solver",
        settings=settings.model_dump(mode="json") | {"steps_done": trainer.step},
        scores={"loss_kept_back": loss, "loss_without_prior": nothing},
    )


def _claim(folder: Path, settings: PriorSettings) -> Path:
    """Write the settings, or find that they are those of an earlier run in the folder."""
    path, text = folder / SETTINGS, settings.model_dump_json(indent=2)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ConfigError(f"{folder}: was made with other settings, see {path.name}; give another folder")
    return write_text_atomically(path, text)


def _kept_back(folder: Path, settings: PriorSettings, report: Progress) -> list[Solved]:
    seeds = range(settings.first_seed - settings.kept_back, settings.first_seed)
    return list(_made(folder / "scans", seeds, solve_seed, report))


def _made(folder: Path, seeds: range, make: Callable[[int], Solved], report: Progress) -> Iterator[Solved]:
    """Examples by their seeds, from files where they have been made before."""
    folder.mkdir(parents=True, exist_ok=True)
    for done, seed in enumerate(seeds, 1):
        path = folder / f"{seed}.npz"
        if not path.exists():
            made = make(seed)
            made.save(path)
        yield Solved.load(path)
        report(folder.name, done, len(seeds))


def _log_step(report: Progress, step: int, steps: int, loss: float) -> None:
    logger.info("prior: step %d of %d, loss %.4f", step, steps, loss)
    report("steps", step, steps)
