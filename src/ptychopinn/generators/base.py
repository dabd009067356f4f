"""What a generator is given, and what it returns."""

from dataclasses import dataclass, replace
from functools import cached_property

from ptychopinn.physics import amplitude, intensity
from ptychopinn.typing import Mask, Patterns, Positions, Probe


@dataclass(frozen=True)
class GroupView:
    """What a generator may know of B groups of G patterns, in physical units."""

    amplitude: Patterns
    """(B, G, H, W), measured, sqrt(photons)."""
    measured: Mask | None
    """(B, G, H, W) or (H, W), False at bad pixels; none where every pixel was measured."""
    probes: Probe
    """(B, G, M, H, W) at the sample, moved by the fractional part of each position, sqrt(photons)."""
    detector_probes: Probe
    """(B, G, M, H, W), the same probes propagated to the detector."""
    relative_px: Positions
    """(B, G, 2), positions minus the group centre."""

    @cached_property
    def power(self) -> Patterns:
        """(B, G, H, W), intensity of the probes at the sample, photons."""
        return intensity(self.probes)

    @cached_property
    def detector_modulus(self) -> Patterns:
        """(H, W), root of the summed intensity of the probe at the detector; a shift does not change it."""
        return amplitude(self.detector_probes[0, 0])

    def detached(self) -> "GroupView":
        """The same values without gradients: a generator reads the probe, it does not fit it."""
        return replace(self, probes=self.probes.detach(), detector_probes=self.detector_probes.detach())
