"""The diffraction model: detect(propagate(illuminate(probe, extract(object_, positions))))."""

from torch import Tensor, nn

from ptychopinn.physics.detection import intensity
from ptychopinn.physics.illumination import exit_wave, shifted_probes
from ptychopinn.physics.patches import extract_patches
from ptychopinn.physics.propagation import FarField, Propagator
from ptychopinn.physics.shift import split_position


def detect_patches(patches: Tensor, probes: Tensor, propagate: Propagator) -> Tensor:
    """Expected photons (..., H, W) of object windows (..., H, W) under probes (..., M, H, W)."""
    return intensity(propagate(exit_wave(probes, patches)))


class DiffractionModel(nn.Module):
    r"""Expected photons of an object scanned by a probe.

    \[ \lambda_n = \sum_m \left| \mathcal{F}\left[ P_m(r - \delta_n)\, O(r + y_n) \right] \right|^2 \]

    with the position split into whole pixels \(y_n\) and a remainder \(\delta_n\).

    Args:
        subpixel: `probe` shifts the probe by the remainder (Fourier); `bilinear` samples the patch between pixels.
        propagate: sample to detector; far field by default.
    """

    def __init__(self, subpixel: str = "probe", propagate: Propagator | None = None) -> None:
        super().__init__()
        self.subpixel = subpixel
        self.propagate = propagate or FarField()

    def forward(self, object_: Tensor, positions_px: Tensor, probe: Tensor) -> Tensor:
        """Expected photons (..., P, H, W).

        Args:
            object_: (..., Y, X), complex.
            positions_px: (..., P, 2), (y, x) on the canvas of `object_`.
            probe: (M, H, W), sqrt(photons).
        """
        size = (probe.shape[-2], probe.shape[-1])
        if self.subpixel == "bilinear":
            return detect_patches(extract_patches(object_, positions_px, size), probe, self.propagate)
        whole, remainder = split_position(positions_px)
        probes, _ = shifted_probes(probe, remainder.to(probe.real.dtype))
        return detect_patches(extract_patches(object_, whole, size), probes, self.propagate)
