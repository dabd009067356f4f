"""The diffraction model: detect(propagate(illuminate(probe, extract(object_, positions))))."""

from jaxtyping import Complex, Float, Real
from torch import Tensor, nn

from ptychopinn.physics.detection import intensity
from ptychopinn.physics.illumination import exit_wave, shifted_probes
from ptychopinn.physics.patches import extract_patches
from ptychopinn.physics.propagation import FarField, Propagator
from ptychopinn.physics.shift import split_position


def detect_patches(
    patches: Complex[Tensor, "*#batch H W"], probes: Complex[Tensor, "*#batch M H W"], propagate: Propagator
) -> Float[Tensor, "... H W"]:
    """Expected photons of object windows under probes; leading axes broadcast."""
    return intensity(propagate(exit_wave(probes, patches)))


class DiffractionModel(nn.Module):
    r"""Expected photons of an object scanned by a probe.

    \[ \lambda_n = \sum_m \left| \mathcal{F}\left[ P_m(r - \delta_n)\, O(r + y_n) \right] \right|^2 \]

    with the position split into whole pixels \(y_n\) and a remainder \(\delta_n\). Differentiable in the
    object, in the probe, and in the positions as far as they do not cross to the next whole pixel.

    Args:
        subpixel: `probe` shifts the probe by the remainder (Fourier); `bilinear` samples the patch between
            pixels.
        propagate: sample to detector; far field by default.

    Raises:
        ValueError: another word for `subpixel`.
    """

    def __init__(self, subpixel: str = "probe", propagate: Propagator | None = None) -> None:
        super().__init__()
        if subpixel not in ("probe", "bilinear"):
            raise ValueError(f"subpixel is {subpixel!r}; the rule is 'probe' or 'bilinear'")
        self.subpixel = subpixel
        self.propagate = propagate or FarField()

    def forward(
        self,
        object_: Complex[Tensor, "*batch Y X"],
        positions_px: Real[Tensor, "*batch P 2"],
        probe: Complex[Tensor, "M H W"],
    ) -> Float[Tensor, "*batch P H W"]:
        """Expected photons of every position.

        Args:
            object_: transmission.
            positions_px: (y, x) on the canvas of `object_`.
            probe: sqrt(photons).

        Raises:
            PtychoPINNError: a patch leaves the object.
        """
        size = (probe.shape[-2], probe.shape[-1])
        if self.subpixel == "bilinear":
            return detect_patches(extract_patches(object_, positions_px, size), probe, self.propagate)
        whole, remainder = split_position(positions_px)
        probes, _ = shifted_probes(probe, remainder.to(probe.real.dtype))
        return detect_patches(extract_patches(object_, whole, size), probes, self.propagate)
