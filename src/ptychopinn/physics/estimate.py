"""What is refined, and what it is compared with."""

import math
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from ptychopinn.physics.detection import intensity
from ptychopinn.physics.propagation import Propagator, cheapest
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.physics.several_probes import SeveralProbes
from ptychopinn.typing import Canvas, Patterns, Probe


@dataclass
class Estimate:
    """What is refined."""

    object_: Canvas
    """(Y, X)."""
    probe: Probe
    """(M, H, W), sqrt(photons); the modes of several probes one after the other, (K M, H, W)."""
    positions_px: Tensor
    """(N, 2), on the canvas."""
    intensities: Tensor | None = None
    """(N,), photons of the beam in each pattern in units of the probe's; None where all are 1."""
    relaxation: ProbeRelaxation | None = None
    """How the probe varies from pattern to pattern; None where it does not."""
    several: SeveralProbes | None = None
    """Which probe each pattern has; None where one serves all."""
    doses: Tensor | None = None
    """(N,), a further factor on the photons, the same in all patterns of a scan; None where all are 1."""

    def probes(self, index: Tensor | slice) -> Tensor:
        """The probe (M, H, W), or that of each of some patterns (B, M, H, W) where they differ."""
        probe = self.probe if self.several is None else self.several.of(self.probe, index)
        return probe if self.relaxation is None else probe + self.relaxation.of(index)

    def beam(self) -> Tensor:
        """(H, W), photons: the intensity of the probe, on the mean over several."""
        return intensity(self.probe) if self.several is None else self.several.beam(self.probe)

    def mean_beam(self) -> Tensor:
        """(H, W), photons: the same with the modes by which the probe varies, the mean over the patterns."""
        varying = self.relaxation
        return self.beam() if varying is None else self.beam() + varying.modes.abs().square().sum((0, 1))

    def factors(self, index: Tensor | slice) -> Tensor | None:
        """(B,), photons of the beam in some patterns in units of their probe's; None where all are 1."""
        known = [one[index] for one in (self.intensities, self.doses) if one is not None]
        return math.prod(known[1:], start=known[0]) if known else None

    def scale_beam(self, factor: Tensor | float) -> None:
        """Multiply the probe of every pattern by one number or by (H, W)."""
        self.probe = self.probe * factor
        self.relaxation = None if self.relaxation is None else self.relaxation.scaled(factor)

    def roots(self, index: Tensor) -> Tensor | None:
        """(B, 1, 1, 1), what the probe is multiplied by in some patterns; None where it is 1."""
        factors = self.factors(index)
        return None if factors is None else factors.sqrt().to(self.probe.real.dtype)[:, None, None, None]


@dataclass(frozen=True)
class Counted:
    """What was measured of B patterns, in the array order of the detector waves (`cheapest`)."""

    counts: Patterns
    """(B, H, W), photons."""
    bad: Bool[Tensor, "... H W"] | None = None
    """(B, H, W) or (H, W), True at bad pixels; None where there are none."""

    @classmethod
    def of(cls, propagator: Propagator, counts: Patterns, measured: Bool[Tensor, "... H W"] | None = None) -> "Counted":
        """From patterns as they were recorded.

        Args:
            propagator: of the model that they are compared with.
            counts: (B, H, W), photons.
            measured: (B, H, W) or (H, W), False at bad pixels.
        """
        order = cheapest(propagator).order
        return cls(order(counts), None if measured is None else ~order(measured))

    def masked(self, values: Tensor) -> Tensor:
        """Values (B, H, W), zero at bad pixels."""
        return values if self.bad is None else values.masked_fill(self.bad, 0)

    def summed(self) -> tuple[Tensor, Tensor | float]:
        """Photons on the measured pixels, and how many of these pixels there are."""
        if self.bad is None:
            return self.counts.sum(), float(self.counts.numel())
        return self.masked(self.counts).sum(), (~self.bad).expand_as(self.counts).sum()
