"""Whether the solver's or the network's image is the result of a run, by photons that neither was made from.

The counts are thinned at random: 90 % are used to make an image of each kind, the other 10 % to compare them. Solver,
probe, positions and training use the 90 % alone, since an image made from the withheld photons would also explain their
noise. The images that a run writes are made from all counts, by the same steps.
"""

import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.api.reconstructed import Made
from ptychopinn.api.solver_work import Task
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import Split
from ptychopinn.metrics.verdict import Maker
from ptychopinn.metrics.withheld import Preference, preference, withheld_deviance
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import photons_in_batches
from ptychopinn.training import Fit

logger = logging.getLogger("ptychopinn")
WITHHELD = 0.1
"""Part of the photons. With twice as much the error of the comparison is 1.4 times smaller, relative to the difference,
and training has a tenth of the photons less."""
SEED = 0
"""Of the draw; fixed, so that a resumed run withholds the same photons."""


@dataclass(frozen=True)
class Choice:
    """Which image is the result, and why."""

    result: Maker
    reason: str
    """In a sentence."""
    preference: Preference | None = None
    """Of the solver (first) and the network (second); None where no photons could be withheld."""

    @property
    def other(self) -> Maker:
        """Whose image is kept beside the result."""
        return "network" if self.result == "solver" else "solver"

    def entry(self) -> dict[str, Any]:
        """The entry `choice` of `metrics.json`."""
        known: dict[str, Any] = {"result": self.result, "other": self.other, "reason": self.reason}
        found = self.preference
        if found is None:
            return known
        return known | {
            "withheld_fraction": WITHHELD,
            "withheld_photons": found.photons,
            "deviance_per_pixel": dict(zip(("solver", "network"), found.deviance, strict=True)),
            "difference": found.difference,
            "standard_error": found.standard_error,
            "difference_in_standard_errors": found.errors,
        }


def choose(split: Split | None, solver: Made | None, network: Made | None) -> Choice:
    """Compare the images of the first part of the photons on the second part; a tie goes to the solver.

    Args:
        split: the photons; None where none could be withheld.
        solver: the image of the solver, made from the first part.
        network: that of the network.
    """
    if split is None or solver is None or network is None:
        return Choice(
            "solver",
            "the counts are not whole numbers, so that no photons can be withheld to compare the images; without a "
            "comparison the solver's image is the result",
        )
    by_solver, by_network = (_withheld_deviance(made, split) for made in (solver, network))
    pixels, photons = int(solver.tensors.measured_pixels()), split.withheld_photons()
    found = preference(by_solver, by_network, pixels, photons)
    return Choice("network" if found.is_second_better else "solver", _reason(found), found)


def found_scan(scan: Scan, image: Reconstruction) -> Scan:
    """The scan with the probe and the positions of an image."""
    return replace(scan, probe=image.probe, positions_px=image.positions_px)


def with_found_probe(recipe: Recipe) -> Recipe:
    """The recipe of a training with the probe that the solver found; it is not smoothed, masked or scaled again."""
    as_found = recipe.model.probe.changed(smoothing_px=0.0, mask_radius=None, mask_edge_px=0.0, scale=1.0)
    return recipe.changed(model=recipe.model.changed(probe=as_found))


def with_found_detector(recipe: Recipe, image: Reconstruction) -> Recipe:
    """The recipe with the background and the point spread of the detector that the solver fitted, where it did."""
    found = {"background": image.background_photons, "blur_px": image.blur_px}
    return recipe.changed(model=recipe.model.changed(**{name: one for name, one in found.items() if one is not None}))


def at_full_dose(fit: Fit, task: Task, tensors: ScanTensors, recipe: Recipe, fraction: float) -> Fit:
    """What was trained on a part of the photons, for all photons: probe and background have 1 / (1 - q) times as many.

    Args:
        fit: of the training; its model is changed in place.
        task: what the solver was given for all photons.
        tensors: the scan with all counts, at the positions of the training.
        recipe: as it was given; its background and its settings of the probe hold for further scans.
        fraction: q, the part that was withheld.
    """
    known, brighter = fit.recipe.fitted, (1 - fraction) ** -0.5
    assert known is not None
    scaled = _scale_of_start(task)  # states, as after `train`, whether the file's probe was in sqrt(photons)
    with torch.no_grad():
        fit.model.probe_unit.mul_(brighter / scaled)
        fit.model.log_scale.add_(math.log(scaled))
    fit.model.physics = DiffractionModel.of(recipe.model.changed(fresnel_number=fit.recipe.model.fresnel_number))
    if fit.model.shifts is not None:
        fit.model.shifts.remember(tensors.scan)
    full = fit.recipe.changed(
        model=fit.recipe.model.changed(probe=recipe.model.probe, background=recipe.model.background)
    )
    statistics = known.changed(
        intensity_scale=known.intensity_scale * scaled, mean_count=known.mean_count * brighter**2
    )
    return replace(fit, recipe=full.changed(fitted=statistics), tensors=tensors)


def _scale_of_start(task: Task) -> float:
    """Factor on the probe of the file, where its photons were not known."""
    if task.gauge.photons_known:
        return 1.0
    return float(np.linalg.norm(task.start.probe) / np.linalg.norm(task.tensors.scan.probe))


def _withheld_deviance(made: Made, split: Split) -> NDArray[np.float64]:
    """(N,): of the withheld counts of each pattern under an image that was made from the others."""
    photons = photons_in_batches(made.image, made.tensors, DiffractionModel.of(made.recipe.model))
    return withheld_deviance(photons, split, made.tensors)


def _reason(found: Preference) -> str:
    if found.is_tie:
        return (
            "both images explain the withheld photons equally well (difference of the deviance "
            f"{found.difference:.4g} +- {found.standard_error:.2g}); the solver's image is then the result"
        )
    better, worse = ("network", "solver") if found.is_second_better else ("solver", "network")
    return (
        f"the {better}'s image explains the withheld photons better than the {worse}'s: its deviance is lower by "
        f"{abs(found.difference):.4g} +- {found.standard_error:.2g} ({abs(found.errors):.0f} standard errors)"
    )
