"""How a scan is read and how its patterns are grouped."""

from typing import Literal

from pydantic import Field, model_validator

from ptychopinn.config.base import Section


class DataConfig(Section):
    """Reading, sub-sampling and grouping of a scan."""

    domain: Literal["auto", "amplitude", "counts"] = "auto"
    """What the recorded patterns are; `auto` follows the metadata, then the evidence."""
    axis_order: Literal["auto", "nhw", "hwn"] = "auto"
    """Which axis of the patterns runs over the scan; `auto` compares with the number of positions."""
    position_origin: Literal["auto", "element", "centre"] = "auto"
    """`element`: positions point at patch element (H//2, W//2). `centre`: at the geometric centre, (N-1)/2."""
    fftshift: bool = False
    """Move the zero frequency of every pattern from the corner to the centre."""
    source_distance_m: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Distance from the focus of the beam to the sample behind it, m, for near-field patterns of a cone beam.

    By default that of the file, or else estimated from how the patterns move with the sample."""

    n_patterns: int | None = Field(default=None, ge=1)
    """Use only so many patterns of the scan; all of them by default."""
    subsampling: Literal["random", "sequential"] = "random"
    """How those patterns are chosen."""

    group_size: int = Field(default=16, ge=1, le=256)
    """Patterns merged in one group (G)."""
    neighbors: int | None = Field(default=None, ge=1)
    """Candidate neighbours of each pattern from which a group is drawn (K); by default the group size minus one."""
    neighbor_rule: Literal["nearest", "min_distance", "four_quadrants"] = "nearest"
    """Nearest candidates, those not nearer than `min_distance_px`, or candidates spread over the four quadrants."""
    min_distance_px: float = Field(default=0.0, ge=0)
    """Smallest distance of a neighbour, for the rule `min_distance`."""
    max_distance_px: float | None = Field(default=None, gt=0)
    """Largest distance of a neighbour; no limit by default."""
    sampler: Literal["seeded", "sequential"] = "seeded"
    """`seeded` draws seed points and members from a generator; `sequential` takes the first ones in scan order."""
    n_groups: int | None = Field(default=None, ge=1)
    """Groups in all; by default every pattern is the seed point of `groups_per_pattern` groups."""
    groups_per_pattern: int = Field(default=1, ge=1)
    """K-choose-C oversampling: distinct groups drawn for each seed point."""
    cache: bool = False
    """Keep the group table in a file beside the scan."""
    bounds_y: tuple[float, float] = (0.0, 1.0)
    """Train only on patterns between these fractions of the scan's rows; all patterns are reconstructed."""
    bounds_x: tuple[float, float] = (0.0, 1.0)
    """The same for its columns."""
    validation_fraction: float = Field(default=0.05, ge=0, lt=0.9)
    """Part of the patterns kept for validation: one compact region of the sample, never random neighbours."""

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        for name in ("bounds_y", "bounds_x"):
            low, high = getattr(self, name)
            if not 0 <= low < high <= 1:
                raise ValueError(f"{name} is [{low:g}, {high:g}]; the rule is 0 <= low < high <= 1, parts of the scan")
        if self.neighbors is not None and self.neighbors < self.group_size - 1:
            raise ValueError(
                f"neighbors is {self.neighbors} but a group of {self.group_size} needs {self.group_size - 1} of them; "
                "raise neighbors or lower group_size"
            )
        return self
