"""What both kinds of model share: a generator, a probe, and how a batch is seen through them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import Batch
from ptychopinn.generators import Generator, GroupView, Unrolled, stages_of
from ptychopinn.models.positions import PositionShifts
from ptychopinn.physics import shifted_probes


class PatchModel(nn.Module, ABC):
    """A generator with the probe and the scale that its patches belong to.

    Args:
        recipe: what to build.
        probe: (M, H, W) complex, prepared; sqrt(photons) up to the intensity scale.
        intensity_scale: factor on the probe that takes it to sqrt(photons).
    """

    probe_unit: Tensor

    def __init__(self, recipe: Recipe, probe: Tensor, intensity_scale: float = 1.0) -> None:
        super().__init__()
        config = recipe.model
        self.config = config
        precision = getattr(torch, recipe.training.precision)
        self.generator: Generator | Unrolled
        if stages_of(config.generator):
            self.generator = Unrolled(config.generator, precision)
        else:
            self.generator = Generator(config.generator, recipe.data.group_size, precision)
        parts, unit = _parts(probe)
        self.probe_parts = nn.Parameter(parts, requires_grad=config.probe.trainable)
        self.register_buffer("probe_unit", unit)
        self.shifts: PositionShifts | None = None
        self.log_scale = nn.Parameter(torch.tensor(float(intensity_scale)).log())
        self.log_scale.requires_grad_(config.intensity_scale == "trainable")

    @property
    def probe(self) -> Tensor:
        """(M, H, W), sqrt(photons), the intensity scale included."""
        return torch.view_as_complex(self.probe_parts) * (self.probe_unit * self.log_scale.exp())

    def fit_positions(self, count: int) -> PositionShifts:
        """Fit the positions of a scan of `count` patterns too; moves none of them yet."""
        self.shifts = PositionShifts(count, self.config.positions.limit_px).to(self.log_scale.device)
        return self.shifts

    def set_probe(self, probe: Tensor, intensity_scale: float) -> None:
        """Put another probe (M, H, W) and scale in place, those of another scan."""
        parts, unit = _parts(probe)
        device = self.log_scale.device
        self.probe_parts = nn.Parameter(parts.to(device), requires_grad=self.probe_parts.requires_grad)
        with torch.no_grad():
            self.probe_unit.copy_(unit)
            self.log_scale.fill_(torch.tensor(float(intensity_scale)).log())

    def view(self, batch: Batch) -> GroupView:
        """What the physics sees of a batch, with gradients to what is fitted of probe, scale and positions."""
        remainder = batch.remainder_px
        if self.config.subpixel == "bilinear":
            remainder = torch.zeros_like(remainder)
        if self.shifts is not None:
            remainder = remainder + self.shifts(batch.index)
        probe = self.probe if batch.probe is None else batch.probe
        probe = probe if batch.mirrored is None else batch.mirrored(probe)
        probes, detector_probes = shifted_probes(probe, remainder)
        return GroupView(
            batch.amplitude,
            batch.measured,
            probes,
            detector_probes,
            batch.relative_px,
            self.positions(batch),
            batch.canvas_shape,
        )

    def positions(self, batch: Batch) -> Tensor:
        """Where the patches lie on the canvases of a batch: whole pixels, or fractional if bilinear."""
        return batch.whole_px + batch.remainder_px if self.config.subpixel == "bilinear" else batch.whole_px

    def seen(self, batch: Batch, view: GroupView) -> GroupView:
        """What the generator sees of a batch: without gradients, and of thinned counts only its part."""
        view = view.detached()
        return view if batch.seen is None else view.exposed(batch.seen, 1 - batch.hidden_fraction)

    def stage_patches(self, batch: Batch, view: GroupView) -> list[Tensor]:
        """Complex patches (B, G, H, W) of a batch after each stage of an unrolled generator; one item of any other."""
        seen = self.seen(batch, view)
        return self.generator.stage_patches(seen) if isinstance(self.generator, Unrolled) else [self.generator(seen)]

    def patches(self, batch: Batch) -> Tensor:
        """Complex patches (B, G, H, W) of a batch."""
        return self.generator(self.view(batch).detached())

    @abstractmethod
    def losses(self, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms of the loss by name; training minimises their sum."""


def _parts(probe: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts (M, H, W, 2) of a probe in a memory of its own, in units of about its largest modulus.

    A trainable probe then takes optimiser steps of the same relative size whatever its photons are. The unit is a power
    of two, so that it costs no digit.
    """
    probe = probe.detach().to(torch.complex64)
    largest = probe.abs().amax()
    unit = torch.where(largest > 0, largest.log2().floor().exp2(), torch.ones_like(largest))
    return torch.view_as_real(probe.contiguous()) / unit, unit
