"""How patches become one image."""

from typing import Literal

from pydantic import Field

from ptychopinn.config.base import Section
from ptychopinn.config.refine import RefineConfig


class ReconstructionConfig(Section):
    """Prediction, stitching and refinement of the image."""

    batch_size: int = Field(default=64, ge=1)
    """Number of patterns predicted at once. Lower it if memory runs out."""
    weight: Literal["probe", "uniform", "central"] = "probe"
    """Weight of the pixels of a patch in the stitched image: the probe intensity, 1 everywhere, or the probe intensity
    in a central window."""
    window_px: int | None = Field(default=None, ge=1)
    """Side of that central window, px. Null uses half the pattern size. Pixels that no window covers use the whole
    patches."""
    physics_steps: int | None = Field(default=60, ge=1, le=10_000)
    """Number of solver steps over the whole scan in the first stage of an unrolled network. Null uses as many as in
    training. Fewer steps leave low frequencies of the phase unfinished."""
    min_coverage: float = Field(default=1e-2, gt=0, lt=1)
    """Smallest illumination of a pixel that counts as covered, relative to the maximum. Pixels below it are set to 1
    and left out of the scores."""
    check: bool = True
    """If the image does not fit the patterns, try other orientations, orders, domains and units of the scan on some
    patterns, which takes some 10 s of CPU time, and report what fits better."""
    resolution: Literal["none", "photons", "scan", "both"] = "none"
    """Measure the resolution without a reference: the solver makes images of two halves of the data, whose ring
    correlation is reported. `photons` divides the photons of each pattern at random (costs twice the time of the
    solver), `scan` takes every second position (costs the time of the solver once), `both` does both."""
    uncertainty: bool = False
    """Error bars of the solver's image: standard deviations of amplitude and phase for every pixel, from replicas that
    are solved with redrawn counts. Needs photon counts. See docs/evaluation.md."""
    uncertainty_replicas: int = Field(default=2, ge=1, le=100)
    """Number of these replicas; each takes the time of the solver. The error bars themselves are then known to some
    10 %; more replicas make their maps smoother."""
    prior: str = Field(default="auto", min_length=1, max_length=4096)
    """Trained prior that takes counting noise off the solver's image, as far as withheld photons support it: `none`,
    `default` (the prior of this package), `auto` (the same, where the counting noise of the object is above 1 %), or a
    file that `train-prior` wrote. See docs/refine.md."""
    refine: RefineConfig = RefineConfig()
