"""What a prior is made of, with bounds that any file is checked against, and the record of how it was trained."""

from typing import Any

from pydantic import Field

from ptychopinn.config.base import Section

DEFAULT = "default"
"""The name of the prior in this package."""


class PriorRecipe(Section):
    """Architecture and scales of a prior; lengths in px of the object, contrasts in units of the transmission."""

    levels: int = Field(default=3, ge=1, le=5)
    """Resolutions of the network, each half of the one before."""
    width: int = Field(default=16, ge=4, le=64)
    """Channels at full resolution; each level has twice as many."""
    blocks: int = Field(default=1, ge=1, le=4)
    """Residual blocks on each level, before and after the coarser ones."""
    local_mean_px: float = Field(default=5.0, ge=1, le=16)
    """Standard deviation of the Gaussian mean that is taken off the correction: larger structures are left alone."""
    frame_px: float = Field(default=10.0, ge=2, le=32)
    """Standard deviation of the Gaussian mean whose phase the network takes as zero."""
    noise_floor: float = Field(default=0.05, ge=1e-3, le=1)
    """Added to sigma where the contrast is shown in units of it."""
    step_scale: float = Field(default=4.0, ge=0.1, le=100)
    """Factor on the step of the counts, in sigma, where it is shown."""
    limit_sigma: float = Field(default=6.0, ge=0.5, le=20)
    """Largest correction of the real and of the imaginary part, in sigma."""


class PriorRecord(Section):
    """How a prior was trained, and what it scored; shown to users, never used for computing."""

    name: str = Field(default="", max_length=100)
    revision: str = Field(default="", max_length=100)
    trained_on: str = Field(default="", max_length=2000)
    settings: dict[str, Any] = Field(default={})
    scores: dict[str, Any] = Field(default={})
