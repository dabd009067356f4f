"""How an image is refined: iterations of the forward model on the whole scan."""

from typing import ClassVar, Literal

from pydantic import Field

from ptychopinn.config.base import Section


class RefineConfig(Section):
    """Preconditioned steps with momentum on object, probe and positions: see docs/refine.md."""

    renamed: ClassVar = {
        "positions_bend": "positions_distortion",
        "smoothness_edge": "edge_preserving",
        "material": "single_material",
    }

    iterations: int = Field(default=0, ge=0)
    """Passes over all patterns; none by default."""
    loss: Literal["poisson", "amplitude"] = "poisson"
    """What is made small: the Poisson deviance of the counts, or squared differences of amplitudes."""
    object: bool = True
    """Refine the object."""
    probe: bool = True
    """Refine the probe modes."""
    probe_start: int = Field(default=0, ge=0)
    """Iterations before the probe is refined."""
    positions: bool = False
    """Refine the scan positions."""
    positions_start: int = Field(default=0, ge=0)
    """Iterations before the positions are refined."""
    batch_size: int = Field(default=64, ge=1)
    """Most patterns in one step; a scan is cut into eight steps at least."""
    object_step: float = Field(default=0.3, gt=0, le=2)
    """Step of the object, in units of the inverse of its curvature."""
    probe_step: float = Field(default=0.5, gt=0, le=2)
    """Step of the probe, in the same units."""
    positions_step_px: float = Field(default=0.5, gt=0)
    """Longest step that a position begins in one iteration; momentum may double it."""
    positions_prior_px: float = Field(default=1.0, gt=0)
    """Standard deviation of the errors of the positions along an axis: where light says little, they stay nearer."""
    positions_limit_px: float = Field(default=4.0, gt=0)
    """Farthest that a position moves along an axis in all."""
    positions_distortion: bool = False
    """Stretch, turn and bend the scan as a whole, with the object, where that is refined; else what the changes have of
    stretch, shear and rotation is taken off."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Part of the last step that is made again."""
    decay: float = Field(default=0.8, ge=0, le=1)
    """Last part of the iterations, in which the steps of object and probe fall along a cosine."""
    damping: float = Field(default=0.05, gt=0)
    """Added to the curvature of the object, in units of its largest value: steps stay short where light is weak."""
    smoothness: float = Field(default=100.0, ge=0)
    """Photons with which neighbouring pixels of the change since the start are held together, against fitting noise."""
    edge_preserving: float | None = Field(default=None, gt=0)
    """Difference of neighbouring pixels beyond which they are held no more strongly, so that edges stay sharp; with
    0.03 lower `smoothness` to 30. Null: the more, the larger the difference."""
    single_material: float = Field(default=0.0, ge=0)
    """Photons with which neighbouring pixels are held to one material, of one ratio of absorption to phase, which the
    image itself tells, such as 600 beside a `edge_preserving`. 0 for samples of several materials."""
    seed: int = Field(default=0, ge=0)
    """Order of the patterns."""
