"""What is refined, and what it is compared with."""

from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from ptychopinn.physics.propagation import Propagator, cheapest
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.typing import Canvas, Patterns, Probe


@dataclass
class Estimate:
    """What is refined."""

    object_: Canvas
    """(Y, X)."""
    probe: Probe
    """(M, H, W), sqrt(photons)."""
    positions_px: Tensor
    """(N, 2), on the canvas."""
    intensities: Tensor | None = None
    """(N,), photons of the beam in each pattern in units of the probe's; None where all are 1."""
    relaxation: ProbeRelaxation | None = None
    """How the probe varies from pattern to pattern; None where it does not."""

    def probes(self, index: Tensor | slice) -> Tensor:
        """The probe (M, H, W), or that of each of some patterns (B, M, H, W) where it varies."""
        return self.probe if self.relaxation is None else self.probe + self.relaxation.of(index)

    def scale_beam(self, factor: Tensor | float) -> None:
        """Multiply the probe of every pattern by one number or by (H, W)."""
        self.probe = self.probe * factor
        self.relaxation = None if self.relaxation is None else self.relaxation.scaled(factor)

    def roots(self, index: Tensor) -> Tensor | None:
        """(B, 1, 1, 1), what the probe is multiplied by in some patterns; None where it is 1."""
        if self.intensities is None:
            return None
        return self.intensities[index].sqrt().to(self.probe.real.dtype)[:, None, None, None]


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
