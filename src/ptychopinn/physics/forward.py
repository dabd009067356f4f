"""The diffraction model: detect(propagate(illuminate(probe, extract(object_, positions)))).

Training, prediction, the solver, the unrolled generator and the simulator all use this one. It alone decides what is
done with the fractional part of a position, how waves reach the detector, and what is added to the photons there.
"""

from collections.abc import Callable
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Complex, Float, Real
from numpy.typing import NDArray
from torch import Tensor, nn

from ptychopinn.config import ModelConfig
from ptychopinn.errors import ConfigError
from ptychopinn.physics.detection import amplitude, blurred, intensity
from ptychopinn.physics.fly import ExposurePath
from ptychopinn.physics.illumination import exit_wave, shifted_probes
from ptychopinn.physics.patches import extract_patches
from ptychopinn.physics.propagation import FarField, Propagator, cheapest, propagator_of
from ptychopinn.physics.shift import fourier_shift, split_position

Subpixel = Literal["probe", "bilinear"]
Background = float | Float[Tensor, "..."] | NDArray[np.float32] | None


def detect_patches(
    patches: Complex[Tensor, "*#batch H W"], probes: Complex[Tensor, "*#batch M H W"], propagator: Propagator
) -> Float[Tensor, "... H W"]:
    """Photons of object windows under probes; leading axes broadcast."""
    transforms = cheapest(propagator)
    return transforms.recorded(intensity(transforms.to_detector(exit_wave(probes, patches))))


@final
class DiffractionModel(nn.Module):
    r"""Expected photons of an object scanned by a probe.

    \[ \lambda_n = c_n\, G * \sum_m \left| \mathcal{D}\left[ P_m(r - \delta_n)\, O(r + y_n) \right] \right|^2 + b \]

    with the propagator \(\mathcal{D}\), the point spread G of the detector (a Gaussian, none by default), the intensity
    \(c_n\) of the beam (1 by default), the background b, and the position split into whole pixels \(y_n\) and a
    remainder \(\delta_n\). In a fly scan the modes are those along the path of the exposure (`ExposurePath`), S of each
    mode of the probe. Differentiable in the object, in the probe, and in the positions as far as they do not
    cross to the next whole pixel.

    Args:
        subpixel: `probe` shifts the probe by the remainder (Fourier); `bilinear` samples the patch between pixels.
        propagator: sample to detector; far field by default.
        background: photons that reach the detector without having met the sample, one number or (H, W); none by
            default.
        blur_px: standard deviation of the Gaussian point spread of the detector; 0 for none.
        path: of the exposures of a fly scan; None where the sample stands still.

    Raises:
        ValueError: another word for `subpixel`, a background of another shape, a negative blur, or a path where the
            propagator is not that of the far field.

    >>> model = DiffractionModel(background=0.5)
    >>> photons = model.photons(torch.ones(8, 8) + 0j, torch.ones(1, 8, 8) + 0j)
    >>> photons.shape, photons.sum().item()
    (torch.Size([8, 8]), 96.0)
    """

    background: Tensor | None

    def __init__(
        self,
        subpixel: str = "probe",
        propagator: Propagator | None = None,
        background: Background = None,
        blur_px: float = 0.0,
        path: ExposurePath | None = None,
    ) -> None:
        super().__init__()
        if subpixel not in ("probe", "bilinear"):
            raise ValueError(f"subpixel must be 'probe' or 'bilinear', got {subpixel!r}")
        if not blur_px >= 0:
            raise ValueError(f"blur_px must be at least 0, got {blur_px}")
        self.subpixel = subpixel
        self.blur_px = float(blur_px)
        self.propagator = FarField() if propagator is None else propagator
        if path is not None and not self.propagator.is_fourier:
            raise ValueError(f"fly scans are modelled in the far field only, not by {self.propagator.name}")
        self.path = path
        self.register_buffer("background", _as_pattern(background), persistent=False)

    @classmethod
    def of(cls, config: ModelConfig) -> "DiffractionModel":
        """The model that the settings `model` of a recipe describe.

        Raises:
            ConfigError: no propagator has the name of `model.propagation`, it lacks a setting, or it is not that of the
                far field and `model.fly_path_px` is given.
        """
        propagator = propagator_of(config)
        if config.fly_path_px is not None and not propagator.is_fourier:
            raise ConfigError(
                f"model.fly_path_px is given and model.propagation is {propagator.name!r}, but fly scans are modelled "
                "in the far field only; set model.fly_path_px=null"
            )
        path = None if config.fly_path_px is None else ExposurePath(config.fly_path_px, config.fly_steps)
        return cls(config.subpixel, propagator, config.background or None, config.blur_px, path)

    def dimmed(self, fraction: float) -> "DiffractionModel":
        """The same experiment with a part of the background; probes are dimmed by the caller."""
        background = None if self.background is None else fraction * self.background
        return DiffractionModel(self.subpixel, self.propagator, background, self.blur_px, self.path)

    def with_detector(self, background: Background = None, blur_px: float | None = None) -> "DiffractionModel":
        """The same experiment with another background, photons, and another blur; None for no change."""
        if background is None and blur_px is None:
            return self
        level = self.background if background is None else background
        width = self.blur_px if blur_px is None else blur_px
        return DiffractionModel(self.subpixel, self.propagator, level, width, self.path)

    def with_path(self, path: ExposurePath | None) -> "DiffractionModel":
        """The same experiment with another path of the exposures."""
        return DiffractionModel(self.subpixel, self.propagator, self.background, self.blur_px, path)

    @property
    def shifts_probes(self) -> bool:
        """Whether the fraction of a pixel in a position shifts the probe; else the object is interpolated."""
        return self.subpixel != "bilinear"

    def split(self, positions_px: Real[Tensor, "*batch 2"]) -> tuple[Real[Tensor, "*batch 2"], Tensor]:
        """Where the patches are cut (whole pixels, or fractional if bilinear), and how far the probe is shifted."""
        if self.subpixel == "bilinear":
            return positions_px, torch.zeros_like(positions_px)
        return split_position(positions_px)

    def place(
        self, whole_px: Real[Tensor, "*batch 2"], remainder_px: Float[Tensor, "*batch 2"]
    ) -> Real[Tensor, "*batch 2"]:
        """Where the patches of positions that are split already are cut; see `split`."""
        return whole_px + remainder_px if self.subpixel == "bilinear" else whole_px

    def probe_shift(self, remainder_px: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """How far the probe is shifted for positions that are split already; see `split`."""
        return torch.zeros_like(remainder_px) if self.subpixel == "bilinear" else remainder_px

    def probes(
        self, probe: Complex[Tensor, "*#batch M H W"], shift_px: Real[Tensor, "*batch 2"]
    ) -> Complex[Tensor, "*batch _ H W"]:
        """Shifted probes at the sample, sqrt(photons); those along the path of an exposure as modes."""
        shift = shift_px.to(probe.real.dtype).unsqueeze(-2)
        if self.path is None:
            return fourier_shift(probe, shift)
        offsets = self.path.offsets_px().to(shift).unsqueeze(1)
        along = fourier_shift(probe.unsqueeze(-4), shift.unsqueeze(-3) + offsets)
        return along.flatten(-4, -3) / self.path.steps**0.5

    def beams(
        self, probe: Complex[Tensor, "M H W"], shift_px: Real[Tensor, "*batch 2"]
    ) -> tuple[Complex[Tensor, "*batch _ H W"], Complex[Tensor, "*batch _ H W"]]:
        """Shifted probes at the sample, and propagated to the detector through no object; sqrt(photons)."""
        if self.path is not None:
            along = self.probes(probe, shift_px)
            return along, self.propagator(along)
        probes, spectra = shifted_probes(probe, shift_px.to(probe.real.dtype))
        return probes, spectra if self.propagator.is_fourier else self.propagator(probes)

    def photons(
        self, patches: Complex[Tensor, "*#batch H W"], probes: Complex[Tensor, "*#batch M H W"]
    ) -> Float[Tensor, "... H W"]:
        """Expected photons of object windows under probes that are shifted already; leading axes broadcast."""
        photons = detect_patches(patches, probes, self.propagator)
        return self.with_background(self.blurred(photons).clamp_min(0) if self.blur_px > 0 else photons)

    def blurred(self, photons: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """Photons of the wave, or what the adjoint is given, spread by the detector; of any array order."""
        return blurred(photons, self.blur_px**2) if self.blur_px > 0 else photons

    def with_background(
        self, photons: Float[Tensor, "*batch H W"], order: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "*batch H W"]:
        """Photons of the wave and of the background together, in the array order of `Transforms.order` if given."""
        if self.background is None:
            return photons
        return photons + (self.background if order is None else order(self.background)).to(photons)

    def without_background(self, recorded: Float[Tensor, "*batch H W"]) -> Float[Tensor, "*batch H W"]:
        """Recorded amplitudes, sqrt(photons), of the wave alone: 0 where fewer photons than the background came."""
        if self.background is None:
            return recorded
        return (recorded.square() - self.background.to(recorded)).clamp_min(0).sqrt()

    def amplitude(self, detector_wave: Complex[Tensor, "*batch M H W"]) -> Float[Tensor, "*batch H W"]:
        """Root of the expected photons of detector waves, sqrt(photons)."""
        if self.background is None and self.blur_px == 0:
            return amplitude(detector_wave)
        return self.with_background(self.blurred(intensity(detector_wave)).clamp_min(0)).sqrt()

    def forward(
        self,
        object_: Complex[Tensor, "*batch Y X"],
        positions_px: Real[Tensor, "*batch P 2"],
        probe: Complex[Tensor, "*#positions M H W"],
        intensities: Float[Tensor, "*batch P"] | None = None,
    ) -> Float[Tensor, "*batch P H W"]:
        """Expected photons of every position.

        Args:
            object_: transmission.
            positions_px: (y, x) on the canvas of `object_`.
            probe: sqrt(photons); one for all positions, or (..., P, M, H, W) where it varies.
            intensities: photons of the beam at each position, in units of the probe's; all 1 by default.

        Raises:
            PtychoPINNError: a patch leaves the object.
        """
        size = (probe.shape[-2], probe.shape[-1])
        where, shift = self.split(positions_px)
        probes = probe if self.subpixel == "bilinear" and self.path is None else self.probes(probe, shift)
        if intensities is not None:
            probes = probes * intensities.sqrt().to(probe.real.dtype)[..., None, None, None]
        return self.photons(extract_patches(object_, where, size), probes)


def _as_pattern(background: Background) -> Tensor | None:
    if background is None:
        return None
    pattern = torch.as_tensor(background)
    if pattern.ndim not in (0, 2):
        raise ValueError(f"background must be one number or (H, W), got shape {tuple(pattern.shape)}")
    return pattern if pattern.ndim == 2 else pattern.reshape(1, 1)
