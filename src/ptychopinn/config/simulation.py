"""What the built-in simulator draws."""

from typing import Literal

from pydantic import Field, model_validator

from ptychopinn.config.base import Section


class SimulationConfig(Section):
    """Object, probe, scan and dose of a simulated experiment."""

    object_kind: Literal["composite", "siemens_star", "dead_leaves", "gaussian_field", "lines"] = "composite"
    """What the sample is; `composite` puts a star, dead leaves and a power-law texture side by side."""
    object_size_px: int = Field(default=192, ge=32, le=8192)
    """Rows and columns of the object; at least two more than the probe's."""
    amplitude_min: float = Field(default=0.6, gt=0, le=1)
    """Lowest transmission amplitude; the highest is 1."""
    phase_range_rad: float = Field(default=1.6, ge=0, le=6.28)
    """Difference of the largest and smallest phase, which lie at plus and minus half of it."""
    probe_kind: Literal["zone_plate", "disk", "gaussian"] = "zone_plate"
    """Illumination at the sample; every kind is about a third of the window wide."""
    probe_size_px: int = Field(default=64, ge=8, le=2048)
    """Rows and columns of the probe and of the detector."""
    probe_modes: int = Field(default=1, ge=1, le=16)
    """Incoherent modes, each with 0.4 of the power of the one before."""
    scan_kind: Literal["jittered_grid", "spiral", "raster"] = "jittered_grid"
    """Where the beam goes."""
    step_px: float = Field(default=7.5, ge=0.25)
    """Mean distance of neighbouring positions."""
    jitter_px: float = Field(default=1.5, ge=0)
    """Largest random displacement of a grid position on each axis; only the jittered grid uses it."""
    photons_per_pattern: float = Field(default=1e5, gt=0, le=1e15)
    """Expected counts in one pattern where the object is 1."""
    poisson_noise: bool = True
    """Draw counts; without it the expected intensity is written."""
    seed: int = Field(default=0, ge=0)
    """Fixes object, positions and counts; the beam does not depend on it."""

    @model_validator(mode="after")
    def _patch_fits(self) -> "SimulationConfig":
        if self.object_size_px < self.probe_size_px + 2:
            raise ValueError(
                f"object_size_px is {self.object_size_px} and probe_size_px {self.probe_size_px}, but the "
                "object must be at least 2 px larger; raise object_size_px or lower probe_size_px"
            )
        return self
