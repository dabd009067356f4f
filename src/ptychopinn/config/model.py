"""What the network is, how its patches are merged, and what is fitted beside it."""

from typing import Literal

from pydantic import Field, model_validator

from ptychopinn.config.base import Section


class GeneratorConfig(Section):
    """From patterns to complex patches."""

    architecture: str = "cnn"
    """Name of encoder, bottleneck and decoder together: `cnn`, `fno`, `ffno`, `hybrid`, `hybrid_resnet`, or another."""
    input: str = "lifted"
    """What the network sees of a pattern: `lifted`, `log_counts`, `amplitude`."""
    output: str = "real_imaginary"
    """How its output is read as an object: `real_imaginary`, `amplitude_phase`, `circular_phase`."""
    encoder: str | None = None
    """Another encoder than the architecture's: `convolution`, `fourier`, `fourier_pyramid`, `factorised`."""
    bottleneck: str | None = None
    """Another bottleneck: `none`, `residual`, `fourier`."""
    decoder: str | None = None
    """Another decoder: `convolution`, `fourier`, `refiner`."""
    grouping: Literal["single", "stacked"] = "single"
    """`single`: each pattern is encoded alone, once. `stacked`: the G patterns of a group are input channels."""
    width: int = Field(default=8, ge=1)
    """Channels at full resolution; doubled at every level."""
    levels: int = Field(default=3, ge=1, le=7)
    """Times that encoders halve the resolution; those of `fno` and `ffno` never do."""
    blocks: int = Field(default=4, ge=1)
    """Blocks in a row, in encoders that keep the resolution and in bottlenecks."""
    spectral_modes: int = Field(default=12, ge=1)
    """Highest spatial frequency that a spectral convolution keeps, cycles per patch; halved at every level."""
    spectral: Literal["own", "neuraloperator"] = "own"
    """What runs two-dimensional spectral convolutions; the weights are the same."""
    stages: int | None = Field(default=None, ge=0, le=16)
    """Stages of physics and network, each on the merged object; 0 for a network that sees each pattern once. By default
    1 for the architecture `unrolled`, else 0."""
    physics_steps: int = Field(default=12, ge=1)
    """Steps of the iterative solver in each of those stages."""


class MergeConfig(Section):
    """How the patches of a group become one object."""

    weight: Literal["probe", "uniform", "central"] = "probe"
    """Weight of a patch's pixels: probe intensity, one, or a central window."""
    enabled: bool = True
    """Without it every pattern keeps its own patch: no overlap constraint."""


class ProbeConfig(Section):
    """The illumination that the model starts from, and whether it is fitted."""

    trainable: bool = False
    """Fit the probe modes together with the network."""
    modes: int | None = Field(default=None, ge=1)
    """Use so many incoherent modes: the first ones of the file, or further orthogonal ones made from it."""
    mask_radius: float | None = Field(default=None, gt=0, le=1)
    """Radius of a centred disk outside which the probe is zero, in units of half the pattern size."""
    mask_edge_px: float = Field(default=0.0, ge=0)
    """Standard deviation of a Gaussian that softens the edge of that disk."""
    smoothing_px: float = Field(default=0.0, ge=0)
    """Standard deviation of a Gaussian that smooths the starting probe."""
    scale: float = Field(default=1.0, gt=0)
    """Factor on the starting probe."""


class PositionsConfig(Section):
    """The scan positions, and whether they are fitted."""

    trainable: bool = False
    """Fit the positions together with the network."""
    limit_px: float = Field(default=2.0, gt=0)
    """Farthest that a position moves along an axis."""


class LossConfig(Section):
    """Weights of the terms of the loss; a term of weight 0 is not computed."""

    stage_weight: float = Field(default=0.3, ge=0)
    """Weight of all terms for the stages of an unrolled generator before the last, which counts once."""

    poisson_weight: float = Field(default=1.0, ge=0)
    """Negative Poisson log-likelihood of the counts."""
    amplitude_mae_weight: float = Field(default=0.0, ge=0)
    """Mean absolute difference of measured and modelled amplitude."""
    realspace_mae_weight: float = Field(default=0.0, ge=0)
    """Mean absolute difference of merged patches and labels, where the scan has labels."""
    realspace_weight: float = Field(default=0.0, ge=0)
    """Further factor on that difference, as earlier systems have it; both must be above 0."""
    total_variation_weight: float = Field(default=0.0, ge=0)
    """Total variation of the merged object."""
    mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Mean deviation of the merged object from its mean."""
    amplitude_total_variation_weight: float = Field(default=0.0, ge=0)
    """Total variation of the merged object's amplitude."""
    phase_total_variation_weight: float = Field(default=0.0, ge=0)
    """Total variation of its phase, rad."""
    amplitude_mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Mean deviation of its amplitude from the mean amplitude."""
    phase_mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Mean deviation of its phase from the mean phase, rad."""


class ModelConfig(Section):
    """Generator, merge, physics and losses."""

    kind: Literal["pinn", "supervised"] = "pinn"
    """Self-supervised by the diffraction model, or trained on labels."""
    generator: GeneratorConfig = GeneratorConfig()
    merge: MergeConfig = MergeConfig()
    probe: ProbeConfig = ProbeConfig()
    positions: PositionsConfig = PositionsConfig()
    loss: LossConfig = LossConfig()
    subpixel: Literal["probe", "bilinear"] = "probe"
    """The fractional part of a position shifts the probe (Fourier), or the patch is sampled bilinearly."""
    intensity_scale: Literal["auto", "data", "probe", "trainable"] = "auto"
    """Where the scale between model and counts comes from: see docs/conventions.md."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        loss = self.loss
        real = loss.realspace_mae_weight > 0 and loss.realspace_weight > 0
        if self.kind == "pinn" and loss.poisson_weight == 0 and loss.amplitude_mae_weight == 0 and not real:
            raise ValueError(
                "every data term of the loss has weight 0; give poisson_weight or amplitude_mae_weight a positive value"
            )
        if self.kind == "supervised" and self.positions.trainable:
            raise ValueError(
                "labels say nothing of the positions, which model.positions.trainable asks to fit; set it to false, or "
                "model.kind to pinn"
            )
        return self
