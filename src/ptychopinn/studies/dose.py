"""The same experiment at several doses, from simulation to scores."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptychopinn.api.evaluate import evaluate
from ptychopinn.api.inputs import RecipeSource, as_recipe
from ptychopinn.api.run import run
from ptychopinn.api.simulate import simulate
from ptychopinn.data.io import check_output_folder, write_text_atomically
from ptychopinn.data.reconstruction import RESULT_NAME
from ptychopinn.errors import ConfigError
from ptychopinn.solver import IterationHook
from ptychopinn.studies.comparison import SCORES
from ptychopinn.training import EpochHook

OnDose = Callable[[int, int, "Dose"], None]


@dataclass(frozen=True)
class Dose:
    """One experiment."""

    photons: float
    """Of a pattern, expected."""
    seed: int
    report: dict[str, Any]
    """What `ptychopinn.evaluate` says of the image."""


@dataclass(frozen=True)
class DoseStudy:
    """All experiments of a study."""

    doses: tuple[Dose, ...]
    table: Path


def study_dose(
    photons: Sequence[float],
    output: str | Path,
    recipe: RecipeSource = None,
    *,
    seeds: Sequence[int] = (0,),
    train: bool = True,
    overrides: Sequence[str] = (),
    on_dose: OnDose | None = None,
    on_epoch: EpochHook | None = None,
    on_iteration: IterationHook | None = None,
) -> DoseStudy:
    """Simulate, reconstruct (solver and network, see `ptychopinn.run`) and score at several doses and seeds.

    An experiment whose image is in `output` is not made again.

    Args:
        photons: expected counts of a pattern.
        output: folder for `dose_<photons>_seed<seed>/` and `table.csv`.
        recipe: of simulation, training and reconstruction.
        seeds: of object, counts and weights.
        train: whether a network is trained; if not, the solver's image is scored.
        overrides: `section.key=value` texts.
        on_dose: called after each with the number done, all, and the experiment.
        on_epoch: called after every epoch of training.
        on_iteration: called after every iteration of the solver.

    Raises:
        PtychoPINNError: no dose, or recipe or folder cannot be used.
    """
    if not photons or min(photons) <= 0 or not seeds:
        raise ConfigError(f"photons are {list(photons)}, seeds {list(seeds)}; give positive doses and one seed or more")
    folder, base = check_output_folder(output), as_recipe(recipe, overrides)
    done: list[Dose] = []
    for dose in photons:
        for seed in seeds:
            place = check_output_folder(folder / f"dose_{dose:g}_seed{seed}")
            changes = [f"simulation.photons_per_pattern={dose:g}", f"simulation.seed={seed}", f"training.seed={seed}"]
            asked = base.with_overrides(changes)
            scan = simulate(place / "scan.npz", asked).scan
            if not (place / RESULT_NAME).exists():
                run(scan, place, asked, train=train, overwrite=True, on_epoch=on_epoch, on_iteration=on_iteration)
            done.append(Dose(dose, seed, evaluate(place, scan, place / "scores").report))
            if on_dose is not None:
                on_dose(len(done), len(photons) * len(seeds), done[-1])
    return DoseStudy(tuple(done), write_text_atomically(folder / "table.csv", _table(done)))


def _table(doses: Sequence[Dose]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("photons", "seed", *SCORES))
    for one in doses:
        writer.writerow((f"{one.photons:g}", one.seed, *(one.report.get(key) for key in SCORES)))
    return text.getvalue()
