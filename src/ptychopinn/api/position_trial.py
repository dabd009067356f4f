"""Whether the positions of a scan look wrong: a short refinement of them, judged by photons that it was not given."""

import logging
from dataclasses import dataclass

import numpy as np

from ptychopinn.api.geometry_trials import Part
from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.thinning import for_part, holds_photons, withhold_photons
from ptychopinn.metrics.withheld import preference, withheld_deviance
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import flat_start, photons_in_batches, trial_of

logger = logging.getLogger("ptychopinn.check")
ITERATIONS = 24
"""Of both fits: positions move from the first one on, and most of an error of 1 px is found in ten."""
WITHHELD = 0.1
"""Part of the photons."""
SEED = 0
FEWEST_PATTERNS = 24
"""With fewer patterns nothing is said."""
LEAST_ERRORS = 3.0
"""Standard errors by which the withheld photons must be explained better. On 4 drawn scans of right positions it was
1.4 at most, with errors of 0.3 px 3.3 or more, with 1 px 11 or more."""
LEAST_ERRORS_UNKNOWN = 8.0
"""The same where no geometry explains the patterns: there positions may only make up for what else is wrong."""
LEAST_MOVE_PX = 0.15
"""Rms move along an axis, px. Counting noise moved right positions by 0.19 px at 1e4 photons per pattern."""
LARGE_PX = 0.5
"""Rms move from which positions that were not found may have errors of several pixels: they are then searched."""
LARGE_PRIOR_PX = 3.0
"""Expected error, `positions_prior_px`, of the search."""


@dataclass(frozen=True)
class PositionTrial:
    """What a short refinement of the positions of some patterns found; plain JSON values."""

    patterns: int
    moved_rms_px: float
    """Along an axis, about the common shift."""
    prior_px: float
    """Expected error that the refinement was told."""
    gain_in_standard_errors: float
    """By which the withheld photons are explained better with refined positions; below 0 they are explained worse."""

    def look_wrong(self, least_errors: float = LEAST_ERRORS) -> bool:
        """Whether the gain exceeds so many standard errors and the move `LEAST_MOVE_PX`."""
        return self.gain_in_standard_errors > least_errors and self.moved_rms_px > LEAST_MOVE_PX

    @property
    def sentence(self) -> str:
        """What is wrong, the evidence, and what to do."""
        larger = f" --set reconstruction.refine.positions_prior_px={self.prior_px:g}" if self.prior_px > 1 else ""
        return (
            f"The positions look wrong: a refinement on {self.patterns} patterns moves them by "
            f"{self.moved_rms_px:.2g} px rms, and the refined image explains withheld photons better, by "
            f"{self.gain_in_standard_errors:.3g} standard errors; refine them "
            f"(--set reconstruction.refine.positions=true{larger})."
        )


def position_trial(part: Part, recipe: Recipe) -> PositionTrial | None:
    """Refine the positions of the patterns of a part; None where this says nothing.

    Args:
        part: some patterns of the scan.
        recipe: its model and solver.
    """
    scan = part.scan.select(part.index)
    if len(scan) < FEWEST_PATTERNS or not holds_photons(scan):
        return None
    split = withhold_photons(scan, WITHHELD, SEED)
    tensors, dimmed = ScanTensors(split.scan), for_part(recipe, WITHHELD)
    model = DiffractionModel.of(dimmed.model)
    probe = prepare_probe(split.scan.probe, dimmed.model.probe)
    scale, _ = scan_scale(dimmed, tensors, probe)
    start = flat_start(split.scan, probe * scale)
    wanted = recipe.reconstruction.refine
    short = wanted.changed(
        iterations=ITERATIONS,
        probe_modes="given",
        probe_relaxation=0,
        background="auto" if wanted.background == "pattern" else wanted.background,
        positions_start=0,
        positions_distortion=False,
    )
    held = trial_of(start, tensors, short.changed(positions=False), model)
    if held is None:
        return None
    before = withheld_deviance(photons_in_batches(held, tensors, model), split, tensors)

    def tried(prior_px: float) -> PositionTrial | None:
        free = trial_of(start, tensors, short.changed(positions=True, positions_prior_px=prior_px), model)
        if free is None:
            return None
        after = withheld_deviance(photons_in_batches(free, tensors, model), split, tensors)
        found = preference(before, after, split.withheld.size, split.withheld_photons())
        moved = free.positions_px - start.positions_px
        rms = float(np.sqrt(np.square(moved - moved.mean(axis=0)).mean()))
        return PositionTrial(len(scan), rms, prior_px, -found.errors)

    found = tried(short.positions_prior_px)
    if (
        found is None
        or found.look_wrong()
        or found.moved_rms_px < LARGE_PX
        or short.positions_prior_px >= LARGE_PRIOR_PX
    ):
        return found
    return tried(LARGE_PRIOR_PX) or found
