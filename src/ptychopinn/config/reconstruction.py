"""How patches become one image."""

from typing import Literal

from pydantic import Field

from ptychopinn.config.base import Section
from ptychopinn.config.refine import RefineConfig


class ReconstructionConfig(Section):
    """Prediction and stitching."""

    batch_size: int = Field(default=64, ge=1)
    """Patterns predicted at once."""
    weight: Literal["probe", "uniform", "central"] = "probe"
    """Weight of a patch's pixels in the stitch: probe intensity, one, or probe intensity in a central window."""
    window_px: int | None = Field(default=None, ge=1)
    """Side of the central window of the weight `central`; half the pattern by default. Where no window reaches,
    whole patches count."""
    physics_steps: int | None = Field(default=60, ge=1)
    """Steps of the iterative solver in the first stage of an unrolled generator, over the whole scan; none for as many
    as in training."""
    min_coverage: float = Field(default=1e-2, gt=0, lt=1)
    """Where the total weight is below this part of its maximum the canvas counts as not covered."""
    refine: RefineConfig = RefineConfig()
