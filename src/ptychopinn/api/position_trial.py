"""Whether the positions of a scan look wrong: a short refinement of them, judged by photons that it was not given."""

from dataclasses import dataclass

import numpy as np

from ptychopinn.api.short_fits import Fitted, ShortFits

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


def position_trial(fits: ShortFits) -> tuple[PositionTrial, Fitted] | None:
    """Refine the positions of some patterns, and the fit; None where it diverges, or all fits refine them.

    Args:
        fits: of these patterns.
    """
    if fits.trials.config.positions:
        return None

    def tried(prior_px: float) -> tuple[PositionTrial, Fitted] | None:
        free = fits.fitted(fits.trials.changed(positions=True, positions_prior_px=prior_px))
        if free is None:
            return None
        moved = free.image.positions_px - fits.trials.start.positions_px
        rms = float(np.sqrt(np.square(moved - moved.mean(axis=0)).mean()))
        return PositionTrial(fits.patterns, rms, prior_px, fits.gain(free)), free

    prior_px = fits.trials.config.positions_prior_px
    first = tried(prior_px)
    if first is None or prior_px >= LARGE_PRIOR_PX:
        return first
    found, _ = first
    return first if found.look_wrong() or found.moved_rms_px < LARGE_PX else tried(LARGE_PRIOR_PX) or first
