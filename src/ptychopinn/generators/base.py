"""What a generator is given, and what all of them keep."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from ptychopinn.physics import DiffractionModel, amplitude, intensity
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
    positions_px: Tensor
    """(B, G, 2), where the patches lie on the canvas of their group: whole (int64), or fractional if bilinear."""
    canvas_shape: tuple[int, int]
    """(Y, X) of the canvases."""
    physics: DiffractionModel
    """How the patterns came about."""

    @cached_property
    def power(self) -> Patterns:
        """(B, G, H, W), intensity of the probes at the sample, photons."""
        return intensity(self.probes)

    @cached_property
    def detector_modulus(self) -> Patterns:
        """(H, W), root of the summed intensity of the probe at the detector; a shift does not change it."""
        return amplitude(self.detector_probes[0, 0])

    def detached(self) -> "GroupView":
        """The same values without gradients: a generator reads probe and positions, it does not fit them."""
        return replace(
            self,
            probes=self.probes.detach(),
            detector_probes=self.detector_probes.detach(),
            positions_px=self.positions_px.detach(),
        )

    def exposed(self, amplitude: Patterns, fraction: float) -> "GroupView":
        """The same experiment with a part of the photons: their amplitude (B, G, H, W), and probes that dim."""
        dim = fraction**0.5
        return replace(
            self,
            amplitude=amplitude,
            probes=dim * self.probes,
            detector_probes=dim * self.detector_probes,
            physics=self.physics.dimmed(fraction),
        )


class NormalisedInput(nn.Module):
    """Base of generators: keeps the statistics that their networks' input is normalised by."""

    input_mean: Tensor
    input_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(()))
        self.register_buffer("input_deviation", torch.ones(()))

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Freeze the statistics that the input is normalised by."""
        self.input_mean.fill_(mean)
        self.input_deviation.fill_(deviation)

    def normalised(self, image: Tensor) -> Tensor:
        """The input with the mean taken off, over the deviation."""
        return (image - self.input_mean) / self.input_deviation
