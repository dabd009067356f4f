"""What the built-in simulator draws."""

from typing import Literal

from pydantic import Field

from ptychopinn.config.base import Section


class SimulationConfig(Section):
    """Object, probe, scan and dose of a simulated experiment."""

    object_kind: Literal["composite", "siemens_star", "dead_leaves", "gaussian_field", "lines"] = "composite"
    """What the sample is; `composite` puts a star, dead leaves and a power-law texture side by side."""
    object_size_px: int = Field(default=192, ge=32, le=8192)
    """Rows and columns of the object."""
    amplitude_min: float = Field(default=0.6, gt=0, le=1)
    """Lowest transmission amplitude."""
    phase_range_rad: float = Field(default=1.6, ge=0, le=6.28)
    """Difference of the largest and smallest phase."""
    probe_kind: Literal["zone_plate", "disk", "gaussian"] = "zone_plate"
    """Illumination at the sample."""
    probe_size_px: int = Field(default=64, ge=8, le=2048)
    """Rows and columns of the probe and of the detector."""
    probe_modes: int = Field(default=1, ge=1, le=16)
    """Incoherent modes."""
    scan_kind: Literal["jittered_grid", "spiral", "raster"] = "jittered_grid"
    """Where the beam goes."""
    step_px: float = Field(default=7.5, gt=0)
    """Mean distance of neighbouring positions."""
    jitter_px: float = Field(default=1.5, ge=0)
    """Largest random displacement of a grid position on each axis."""
    photons_per_pattern: float = Field(default=1e5, gt=0)
    """Expected counts in one pattern where the object is 1."""
    poisson_noise: bool = True
    """Draw counts; without it the expected intensity is written."""
    seed: int = Field(default=0, ge=0)
    """Fixes object, positions and counts."""
