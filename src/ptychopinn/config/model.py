"""What the network is, how its patches are merged, and what is fitted beside it."""

import logging
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from ptychopinn.config.base import Section

logger = logging.getLogger("ptychopinn.config")


class GeneratorConfig(Section):
    """The network that turns patterns into complex patches."""

    architecture: str = "cnn"
    """Name of the network: `cnn`, `fno`, `fno_vanilla`, `ffno`, `hybrid`, `hybrid_resnet`, `neuralop_uno`, `unrolled`,
    `legacy_cnn_tensorflow` and `legacy_cnn_pytorch` (those of earlier archives), or one that a plug-in registers."""
    input: str = "back_projected"
    """Input of the network: `back_projected` (the measured amplitude with the phase of the probe, propagated back to
    the sample; needs a usable probe), `log_counts`, `amplitude` or `relative_amplitude` (over the
    root of the probe's photons)."""
    output: str = "real_imaginary"
    """How the output of the network is converted to an object: `real_imaginary`, `amplitude_phase`,
    `circular_phase` or `polar` (amplitude and phase as they are)."""
    encoder: str | None = None
    """Encoder to use in place of the architecture's own: `convolution`, `fourier`, `fourier_pyramid`, `factorised`."""
    bottleneck: str | None = None
    """Bottleneck to use in place of the architecture's own: `none`, `residual`, `fourier`."""
    decoder: str | None = None
    """Decoder to use in place of the architecture's own: `convolution`, `fourier`, `refiner`."""
    amplitude_activation: Literal["sigmoid", "silu", "softplus", "relu"] = "sigmoid"
    """Last activation of the amplitude, for the architectures `legacy_cnn_tensorflow` and `legacy_cnn_pytorch`; no
    effect on the others."""
    grouping: Literal["single", "stacked"] = "single"
    """`single`: the network sees one pattern at a time. `stacked`: it sees the G patterns of a group as input
    channels."""
    width: int = Field(default=8, ge=1, le=4096)
    """Number of channels at full resolution; it doubles at every level. Raise it if the image stays blurred at high
    dose."""
    levels: int = Field(default=3, ge=1, le=7)
    """Number of times that the encoder halves the resolution. No effect on the encoders of `fno` and `ffno`, which keep
    it."""
    blocks: int = Field(default=4, ge=1, le=256)
    """Number of consecutive blocks in bottlenecks and in encoders that keep the resolution."""
    refiner_blocks: int = Field(default=1, ge=1, le=64)
    """Number of double convolutions in the decoder `refiner`, that of `fno` and `ffno`."""
    spectral_modes: int = Field(default=12, ge=1, le=4096)
    """Highest spatial frequency that a spectral convolution keeps, cycles per patch; it is halved at every level."""
    spectral: Literal["own", "neuraloperator"] = "own"
    """Implementation of the two-dimensional spectral convolutions; both use the same weights. `neuraloperator` needs
    that package."""
    stages: int | None = Field(default=None, ge=0, le=16)
    """Number of unrolled stages. Each runs the iterative solver on the merged object and then the network. 0 applies
    the network once to each pattern. Null means 1 for the architecture `unrolled` and 0 for the others."""
    physics_steps: int = Field(default=12, ge=1, le=10_000)
    """Number of solver steps in each stage during training."""

    @field_validator("input", mode="before")
    @classmethod
    def _current_input(cls, value: Any) -> Any:
        if value == "lifted":
            logger.warning("the input lifted is now called back_projected; the old name will be removed")
            return "back_projected"
        return value


class MergeConfig(Section):
    """How the patches of a group are combined into one object during training."""

    weight: Literal["probe", "uniform", "central", "legacy"] = "probe"
    """Weight of the pixels of a patch: the probe intensity, 1 everywhere, or 1 in the central half of each side.
    `legacy` sums whole patches and divides by the sum of central halves + 0.001, as the earlier TensorFlow models
    did."""
    enabled: bool = True
    """Average overlapping patches before they are compared with the data. If false there is no overlap constraint."""


class ProbeConfig(Section):
    """The starting probe, and whether it is fitted."""

    trainable: bool = False
    """Fit the probe modes together with the network. Use it if the probe is known only roughly."""
    modes: int | None = Field(default=None, ge=1, le=256)
    """Number of incoherent modes: the first ones of the file, completed by orthogonal modes made from it. Null uses
    those of the file. Try 3 for partial coherence or vibration."""
    mask_radius: float | None = Field(default=None, gt=0, le=1)
    """Radius of a centred disk outside which the probe is 0, in units of half the pattern size. Null applies no
    mask."""
    mask_edge_px: float = Field(default=0.0, ge=0)
    """Width of the soft edge of that disk, px: standard deviation of a Gaussian."""
    smoothing_px: float = Field(default=0.0, ge=0)
    """Standard deviation of the Gaussian that smooths the starting probe, px."""
    scale: float = Field(default=1.0, gt=0)
    """Factor applied to the starting probe."""


class PositionsConfig(Section):
    """Whether scan positions are fitted during training."""

    trainable: bool = False
    """Fit the scan positions together with the network. Refinement (`reconstruction.refine.positions`) corrects them
    better."""
    limit_px: float = Field(default=2.0, gt=0)
    """Largest correction of a position along each axis, px."""


class LossConfig(Section):
    """Weights of the terms of the training loss. A term with weight 0 is not computed."""

    stage_weight: float = Field(default=0.3, ge=0)
    """Weight of the unrolled stages before the last one; the last one has weight 1."""

    poisson_weight: float = Field(default=1.0, ge=0)
    """Weight of the negative Poisson log-likelihood of the counts."""
    amplitude_mae_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute difference between measured and modelled amplitudes."""
    realspace_mae_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute difference between merged patches and labels. Needs labels in the scan."""
    realspace_weight: float = Field(default=0.0, ge=0)
    """Second factor of the same term, as in legacy PtychoPINN. The term is used only if both weights are above 0."""
    total_variation_weight: float = Field(default=0.0, ge=0)
    """Weight of the total variation of the complex merged object. Try 0.01 for a noisy image at low dose; it also
    removes fine detail."""
    mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute deviation of the complex merged object from its mean."""
    amplitude_total_variation_weight: float = Field(default=0.0, ge=0)
    """Weight of the total variation of the object's amplitude."""
    phase_total_variation_weight: float = Field(default=0.0, ge=0)
    """Weight of the total variation of the object's phase, rad."""
    amplitude_mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute deviation of the object's amplitude from its mean."""
    phase_mean_deviation_weight: float = Field(default=0.0, ge=0)
    """Weight of the mean absolute deviation of the object's phase from its mean, rad."""
    terms: dict[str, NonNegativeFloat] = Field(default={})
    """Weights of further data losses by name, as in {my_loss: 0.1}: `amplitude`, or a loss of an installed package."""
    penalties: dict[str, NonNegativeFloat] = Field(default={})
    """Weights of further penalties on the merged object by name: `smoothness`, `edge_preserving`, `single_material`, or
    a penalty of an installed package."""

    @model_validator(mode="after")
    def _names_without_a_setting(self) -> "LossConfig":
        for key, weights in (("terms", self.terms), ("penalties", self.penalties)):
            for name in weights:
                if f"{name}_weight" in type(self).model_fields:
                    raise ValueError(f"{key} must not name {name}, which has its own setting; use {name}_weight")
        return self


class ModelConfig(Section):
    """Network, merge, probe, positions, losses and forward model."""

    kind: Literal["pinn", "supervised"] = "pinn"
    """`pinn` trains on the diffraction patterns alone; `supervised` trains on labels (known patches of the object)."""
    generator: GeneratorConfig = GeneratorConfig()
    merge: MergeConfig = MergeConfig()
    probe: ProbeConfig = ProbeConfig()
    positions: PositionsConfig = PositionsConfig()
    loss: LossConfig = LossConfig()
    propagation: str = "far_field"
    """Propagation from the sample to the detector: `far_field` (Fourier transform), `near_field` (Fresnel propagation
    with the same pixel size at the sample and at the detector), or one that a plug-in registers."""
    fresnel_number: float | None = Field(default=None, gt=0)
    """Fresnel number of a pixel, pixel^2 / (wavelength * distance), dimensionless, for `near_field`; in a cone beam
    with the effective pixel and distance. Null takes it from the geometry of the scan."""
    background: float = Field(default=0.0, ge=0)
    """Mean photons per pixel, the same in every pixel, that do not come from the sample: air scatter, stray light, dark
    counts. They are added to the expected photons, also by the simulator. Binning sums them. Give it if the counts of
    the patterns do not fall to 0 far from the beam."""
    blur_px: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation of the point spread of the detector, a Gaussian, px; 0 for none. The expected photons are
    blurred by it, also by the simulator. Give it if it is known, as of a scintillator."""
    fly_path_px: tuple[float, float] | None = None
    """Path of the sample during an exposure of a fly scan, [dy, dx] in px of the object; the position is its middle,
    and its sign has no effect. The pattern is the mean of those along the path, also in the simulator. Null for a scan
    that stops at each position. Far field only."""
    fly_steps: int = Field(default=5, ge=2, le=64)
    """Number of points on that path whose patterns are averaged. Take about one for each pixel of the path; time and
    memory grow with it as with the number of probe modes."""
    subpixel: Literal["probe", "bilinear"] = "probe"
    """How the fraction of a pixel in a position is applied: `probe` shifts the probe in Fourier space (exact),
    `bilinear` interpolates the object (slightly blurred)."""
    intensity_scale: Literal["auto", "data", "probe", "trainable"] = "auto"
    """How the probe is scaled to the counts. `auto` keeps its scale if it explains the mean counts within a factor of
    0.2 to 2, else rescales it; `data` always rescales; `probe` never does; `trainable` also fits the scale."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfig":
        loss = self.loss
        real = loss.realspace_mae_weight > 0 and loss.realspace_weight > 0
        further = any(loss.terms.values())
        if self.kind == "pinn" and not (loss.poisson_weight or loss.amplitude_mae_weight or real or further):
            raise ValueError(
                "every data term of the loss has weight 0; give poisson_weight or amplitude_mae_weight a positive value"
            )
        if self.kind == "supervised" and self.positions.trainable:
            raise ValueError(
                "labels say nothing of the positions, which model.positions.trainable asks to fit; set it to false, or "
                "model.kind to pinn"
            )
        return self
