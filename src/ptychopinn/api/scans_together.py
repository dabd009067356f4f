"""Several scans as one task of the solver, and the image of each from that of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from ptychopinn.api.inputs import RecipeSource, as_recipe
from ptychopinn.api.prior_use import AUTO, NONE
from ptychopinn.api.solve import from_nothing
from ptychopinn.api.solver_work import Task
from ptychopinn.config import Recipe
from ptychopinn.config.backend import DEFAULT
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.device import choose_device
from ptychopinn.data.joined import frame_offsets_px, joined_scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.ranks import Ranks
from ptychopinn.solver import Common, Together, joined_gauge, joined_starts, with_own_gauge

WORDS: Mapping[Common, str] = {
    "object": "of one object, each with its own probe",
    "probe": "with one probe, each of its own object",
    "both": "of one object with one probe",
}


@dataclass(frozen=True)
class ScansTogether:
    """All scans, ready to be solved together."""

    alone: dict[str, Task]
    """Name -> the scan as it would be solved alone."""
    task: Task
    """All together."""
    together: Together

    def images(self, image: Reconstruction, together: Together | None = None) -> dict[str, Reconstruction]:
        """The image of each scan, with what is known of its source.

        Args:
            image: of all.
            together: with the doses that were found, where they were fitted.
        """
        found = {}
        known = together or self.together
        for (name, task), part in zip(self.alone.items(), known.parts(image), strict=True):
            own = with_own_gauge(part, self.task.gauge, known)
            metadata = {**own.metadata, **task.start.metadata}
            found[name] = replace(
                own, metadata=metadata, geometry=task.start.geometry, pixel_size_m=task.start.pixel_size_m
            )
        return found


def settings_together(recipe: RecipeSource, overrides: Sequence[str], refine: int | None) -> Recipe:
    """The recipe of all scans.

    Raises:
        ConfigError: it asks for what scans together do not allow.
    """
    settings = as_recipe(recipe, overrides).changed(backend=DEFAULT)
    wanted = settings.reconstruction
    refused = {
        "reconstruction.prior": wanted.prior not in (AUTO, NONE),
        "reconstruction.resolution": wanted.resolution != "none",
        "reconstruction.uncertainty": wanted.uncertainty,
    }
    for name, is_asked in refused.items():
        if is_asked:
            raise ConfigError(f"{name} must be left out where scans are solved together; use it on each scan alone")
    if refine == 0:
        raise ConfigError(
            "refine must be at least 1 where scans are solved together, got 0; give more, or leave it out"
        )
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    return settings.changed(reconstruction=wanted.changed(prior=NONE))


def check_common(scans: int, common: str) -> None:
    """Refuse a number of scans, or a word for what they have in common, that nothing can be made of.

    Raises:
        ConfigError: which.
    """
    if common not in WORDS:
        raise ConfigError(f"common must be object, probe or both, got {common!r}; give one of them")
    if scans < 2:
        raise ConfigError(f"scans that are solved together must be two or more, got {scans}; give another one")


def scans_together(
    scans: Mapping[str, Scan], settings: Recipe, common: Common, device: str, ranks: Ranks
) -> ScansTogether:
    """Scans ready to be solved together, and each alone.

    Raises:
        PtychoPINNError: they have no common frame, pixel or size, or the recipe asks for what is not possible.
    """
    offsets = frame_offsets_px(list(scans.values()), one_object=common != "probe")
    alone = {name: from_nothing(scan, settings, device) for name, scan in scans.items()}
    recipes = [task.recipe for task in alone.values()]
    if any(one.model != recipes[0].model for one in recipes):
        raise ConfigError("the scans have different geometries; scans that are solved together need the same one")
    recipe = max(recipes, key=lambda one: one.reconstruction.refine.iterations)
    counts = [task.tensors.mean_counts_per_pattern() for task in alone.values()]
    fits_dose = recipe.reconstruction.refine.probe if common == "object" else recipe.reconstruction.refine.object
    joined = joined_starts([one.start for one in alone.values()], offsets, common, counts if fits_dose else None)
    joined.together.check(recipe.reconstruction.refine)
    tensors = ScanTensors(joined_scan(list(scans.values()), joined.start.positions_px), choose_device(device))
    gauge = joined_gauge([task.gauge for task in alone.values()])
    task = Task(joined.start, tensors, recipe, gauge, ranks=ranks, together=joined.together)
    alone = {name: replace(one, recipe=recipe, ranks=ranks) for name, one in alone.items()}
    return ScansTogether(alone, task, joined.together)
