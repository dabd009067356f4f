"""What a generator is given, and what is asked of it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from ptychopinn.config.backend import Backend
from ptychopinn.config.training import CompileMode
from ptychopinn.physics import DiffractionModel, amplitude, intensity
from ptychopinn.typing import Canvas, Mask, Patches, Patterns, Positions, Probe


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


class Scene(Protocol):
    """Patterns that see one canvas: a group in training, a whole scan in reconstruction."""

    @property
    def weight(self) -> Tensor:
        """W, (B, Y, X), photons on each pixel of the object."""

    def back_project(self, canvas: Canvas) -> Canvas:
        """The steps of PIE of all patterns for an object (B, Y, X), placed and summed, (B, Y, X), photons."""


class SceneSolver(Protocol):
    """Solves for the object of all patterns of a scene at once."""

    def canvases(self, scene: Scene, first_steps: int | None = None) -> list[Canvas]:
        """The objects (B, Y, X) that its stages end with; `first_steps` replaces the physics steps of the first."""

    def passes(self, first_steps: int | None = None) -> int:
        """How often `canvases` back-projects the patterns of a scene."""


class Generator(nn.Module, ABC):
    """From groups of patterns to complex patches of the object; keeps the statistics of its networks' input.

    Models, prediction and training ask these questions and never for a class.
    """

    backend: Backend = "pytorch"
    """What computes the patches."""
    input_mean: Tensor
    input_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(()))
        self.register_buffer("input_deviation", torch.ones(()))

    @property
    @abstractmethod
    def scene_solver(self) -> SceneSolver | None:
        """What merges the patterns of a whole scene into one object; None where patches are merged afterwards."""

    @abstractmethod
    def forward(self, view: GroupView) -> Patches:
        """Patches (B, G, H, W), complex, on the whole-pixel grid of the positions."""

    @abstractmethod
    def stage_patches(self, view: GroupView) -> list[Patches]:
        """The same after each stage; one item where there are no stages."""

    @abstractmethod
    def network_input(self, view: GroupView) -> Tensor:
        """What the first network sees, normalised."""

    @abstractmethod
    def compile_networks(self, mode: CompileMode = "default") -> None:
        """Compile every network; see `ptychopinn.generators.compiled`."""

    def normalise_by(self, mean: float, deviation: float) -> None:
        """Freeze the statistics that the input is normalised by."""
        self.input_mean.fill_(mean)
        self.input_deviation.fill_(deviation)

    def normalised(self, image: Tensor) -> Tensor:
        """The input with the mean taken off, over the deviation."""
        return (image - self.input_mean) / self.input_deviation
