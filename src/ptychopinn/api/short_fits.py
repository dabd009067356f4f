"""Short fits of some patterns of a scan, compared by photons that were withheld from them."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.geometry_trials import Part
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.withheld import Preference
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import Trials, flat_start, photons_in_batches, trial_of

ITERATIONS = 24
"""Of each fit: positions move from the first one on, and most of an error of 1 px is found in ten."""
FEWEST_PATTERNS = 24
"""With fewer patterns nothing is said."""


@final
@dataclass(frozen=True, eq=False)
class Fitted:
    """An image of some patterns, and what withheld photons say of it."""

    image: Reconstruction
    deviance: NDArray[np.float64]
    """(N,): of the withheld photons of each pattern."""


@final
@dataclass(frozen=True, eq=False)
class ShortFits:
    """A fit by the model of a recipe, and fits by other ones that are compared with it."""

    trials: Trials
    """Their patterns and settings."""
    plain: Fitted
    """By the model and the solver of the recipe."""

    @classmethod
    def of(cls, part: Part, recipe: Recipe) -> "ShortFits | None":
        """Fit the patterns of a part; None where this says nothing: few patterns, or no whole numbers of counts.

        Args:
            part: some patterns of the scan.
            recipe: its model and solver.
        """
        scan = part.scan.select(part.index)
        if len(scan) < FEWEST_PATTERNS:
            return None
        tensors, model = ScanTensors(scan), DiffractionModel.of(recipe.model)
        probe = prepare_probe(scan.probe, recipe.model.probe)
        scale, _ = scan_scale(recipe, tensors, probe)
        short = recipe.reconstruction.refine.changed(
            iterations=ITERATIONS, positions_start=0, positions_distortion=False
        )
        start = flat_start(scan, probe * scale)
        trials = Trials.of(start, tensors, short, model, trial_of, photons_in_batches)
        settled = None if trials is None else trials.settled()
        if settled is None:
            return None
        trials, image = settled
        return cls(trials, Fitted(image, trials.deviance(image)))

    @property
    def patterns(self) -> int:
        """How many."""
        return len(self.plain.deviance)

    def fitted(self, trials: Trials) -> Fitted | None:
        """The fit of trials with other settings or another model; None where it diverges."""
        image = trials.image(trials.start, trials.config)
        return None if image is None else Fitted(image, trials.deviance(image))

    def gain(self, other: Fitted, than: Fitted | None = None) -> float:
        """By how many standard errors a fit explains the withheld photons better than another one, the plain one."""
        return -self.preference(than or self.plain, other).errors

    def preference(self, first: Fitted, second: Fitted) -> Preference:
        """Between two fits."""
        return self.trials.preference(first.deviance, second.deviance)
