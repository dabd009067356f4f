"""How an image is refined: iterations of the forward model on the whole scan."""

from typing import ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from ptychopinn.config.base import Section


class RefineConfig(Section):
    """The iterative solver: momentum steps on object, probe and positions. See docs/refine.md."""

    renamed: ClassVar = {
        "positions_bend": "positions_distortion",
        "smoothness_edge": "edge_preserving",
        "material": "single_material",
    }

    iterations: int = Field(default=0, ge=0, le=100_000)
    """Number of passes over all patterns. 0 does not refine a network's image; where the solver makes the image (`run`,
    `reconstruct` without a model) 0 stands for 28 to 40 by the dose, and for 40 where positions are refined. The step
    size follows this number, so a longer run stopped early is worse than a short one."""
    loss: str = "poisson"
    """Data loss that is minimised, by name: `poisson` (deviance of the counts), `amplitude` (squared difference of
    amplitudes), or a loss of an installed package. `poisson` is better at low dose."""
    object: bool = True
    """Refine the object."""
    probe: bool = True
    """Refine the probe modes."""
    probe_modes: Literal["given", "auto"] = "given"
    """Number of incoherent probe modes: `given` is that of the start (`model.probe.modes`). `auto` adds modes to a
    single one as long as withheld photons are explained better by more than two standard errors and the added mode
    holds at least 2.8 % of the power. It makes two or more images of up to 200 patterns for that; below 3e4 photons per
    pattern no mode is added."""
    probe_relaxation: int = Field(default=0, ge=0, le=16)
    """Number of modes by which the probe varies from pattern to pattern (orthogonal probe relaxation): each is added to
    the probe with a weight of its own in every pattern. For a beam whose shape fluctuates; try 1 or 2. An iteration
    takes up to 1.5 times as long with each mode. 0 for a probe that is the same in all patterns."""
    probe_start: int = Field(default=0, ge=0)
    """Iteration in which the probe refinement starts."""
    positions: bool = False
    """Refine the scan positions. Use it for random position errors of up to a few pixels."""
    positions_start: int = Field(default=0, ge=0)
    """Iteration in which the position refinement starts."""
    background: Literal["auto", "given", "flat", "pattern"] = "auto"
    """Background of the patterns: `given` is that of `model.background`; `flat` also fits one number for all pixels,
    photons, and begins with that. `auto` is `given` where `model.background` is above 0 and in the near field; else it
    fits the number and sets it to 0 if it holds less than 1e-4 of the photons. `pattern` fits one number for each pixel
    of the detector, the same in all patterns, if that explains withheld photons better by more than two standard
    errors than one number for all. Where the counts are not whole numbers no photons can be withheld, and the pattern
    is fitted without this comparison. It needs more than 10 iterations; with fewer it is `flat`. At low dose the fitted
    number is too small; give a known background by `model.background` there."""
    intensities: Literal["auto", "given", "fitted"] = "auto"
    """Intensity of the beam in each pattern, relative to the mean: `given` is 1 in all, `fitted` fits it together with
    the object, for a beam that flickers. `auto` fits it if the photons of the patterns differ from the fitted model by
    far more than counting noise, after 30 % of the iterations (at least 12) or 50 % (at least 18)."""
    blur: Literal["auto", "given", "fitted"] = "auto"
    """Point spread of the detector, a Gaussian: `given` has the width of `model.blur_px`; `fitted` begins with that and
    fits it. `auto` is `given` where that is above 0; else it fits the width in the far field if the patterns are far
    less sharp than the model after 25 % of the iterations (at least 10), or 50 % (at least 18) with `positions`. It
    finds a blur of 0.7 px from some 1e5 photons per pattern on."""
    batch_size: int = Field(default=64, ge=1)
    """Number of patterns in one step. Small scans use smaller batches: an iteration has at least 8 steps. Large scans
    use larger ones: it has at most 12. The first 40 % of the iterations use half as many patterns."""
    object_step: float = Field(default=0.3, gt=0, le=2)
    """Step size of the object, in units of the inverse curvature. Lower it if the refinement diverges. Steps are
    shorter where few patterns of a batch overlap, see docs/dev/refinement.md."""
    low_frequency_step: float = Field(default=1.0, ge=0, le=1)
    """Step size of the slowly varying phase of the object after each iteration, in units of its inverse curvature. The
    object steps alone need hundreds of iterations for phase that varies over several probe widths; 0 turns it off,
    and `positions_distortion` too."""
    probe_step: float = Field(default=0.7, gt=0, le=2)
    """Step size of the probe, in units of the inverse curvature. Lower it if the refinement diverges."""
    positions_step_px: float = Field(default=0.5, gt=0)
    """Largest new correction of a position in one iteration, px. Momentum can double it."""
    positions_prior_px: float = Field(default=1.0, gt=0)
    """Expected error of the positions, px (standard deviation along each axis). Poorly constrained positions stay close
    to their nominal values; raise it for larger errors. From 2 px on, each position is also searched on a grid, five
    times in a run."""
    positions_limit_px: float | None = Field(default=None, gt=0)
    """Largest total correction of a position along each axis, px. Null means 16 times `positions_prior_px`, at most a
    quarter of the width of a pattern. A warning says if positions reach it."""
    positions_distortion: bool = False
    """Also fit a smooth distortion of the whole scan by polynomials, from the tenth iteration on, in place of the joint
    steps of positions and object. Scale, shear, rotation and drift are found without it."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Fraction of the previous step of object and probe that is added to the next one."""
    decay: float = Field(default=0.8, ge=0, le=1)
    """Final fraction of the iterations during which the step sizes of object and probe decrease to 0 along a cosine."""
    damping: float = Field(default=0.05, gt=0)
    """Constant added to the curvature of the object, relative to its maximum. It limits the steps of weakly illuminated
    pixels; raise it if the refinement diverges."""
    smoothness: float | None = Field(default=None, ge=0)
    """Weight, in photons, of the penalty on gradients of the object. It suppresses noise; higher values blur fine
    detail. Null chooses it by the dose d, in photons per pixel of the object: 12 + d^0.7."""
    edge_preserving: float | None = Field(default=None, gt=0)
    """Difference between neighbouring pixels above which the smoothness penalty grows only linearly, so that edges stay
    sharp. If `smoothness` is null, null means 0.03; with a given `smoothness`, null means a quadratic penalty."""
    single_material: float = Field(default=0.0, ge=0)
    """Weight, in photons, of the single-material (constant delta/beta) penalty; try 600 together with
    `edge_preserving`. The ratio is estimated from the image. Leave it at 0 for samples of several materials."""
    penalties: dict[str, NonNegativeFloat] = Field(default={})
    """Weights, in photons, of further penalties on the object by name, as in {total_variation: 10}: those of training
    and of installed packages."""
    orthogonal_modes: bool = True
    """Make the probe modes orthogonal after each iteration and sort them by power. This changes no pattern, and makes
    the power of each mode unique. It has no effect on a single mode."""
    constraints: tuple[str, ...] = ()
    """Further constraints by name, of installed packages. They are applied in this order after each iteration."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of the order of the patterns."""

    @model_validator(mode="after")
    def _intensities_with_the_object(self) -> Self:
        if self.intensities == "fitted" and not self.object:
            raise ValueError("intensities must not be fitted where object is false; use intensities=given")
        return self

    @model_validator(mode="after")
    def _modes_with_object_and_probe(self) -> Self:
        if self.probe_modes == "auto" and not (self.object and self.probe):
            raise ValueError("probe_modes must not be auto where object or probe is false; use probe_modes=given")
        return self

    @model_validator(mode="after")
    def _relaxation_with_object_and_probe(self) -> Self:
        if self.probe_relaxation and not (self.object and self.probe):
            raise ValueError(
                f"probe_relaxation must be 0 where object or probe is false, got {self.probe_relaxation}; set object "
                "and probe to true, or probe_relaxation=0"
            )
        return self

    @field_validator("penalties")
    @classmethod
    def _names_without_a_setting(cls, penalties: dict[str, float]) -> dict[str, float]:
        for name in penalties:
            if name in cls.model_fields:
                raise ValueError(f"penalties must not name {name}, which has its own setting; use {name}")
        return penalties
