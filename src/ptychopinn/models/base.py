"""What both kinds of model share: a generator, a probe, and how a batch is seen through them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.generators import GroupView, build_generator
from ptychopinn.models.beam import log_of, parts_of
from ptychopinn.models.positions import PositionShifts
from ptychopinn.physics import DiffractionModel


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
        self.physics = DiffractionModel.of(config)
        precision = getattr(torch, recipe.training.precision)
        self.generator = build_generator(config.generator, recipe.data.group_size, precision)
        parts, unit = parts_of(probe)
        self.probe_parts = nn.Parameter(parts, requires_grad=config.probe.trainable)
        self.register_buffer("probe_unit", unit)
        self.shifts: PositionShifts | None = None
        self.log_scale = nn.Parameter(log_of(intensity_scale))
        self.log_scale.requires_grad_(config.intensity_scale == "trainable")

    @property
    def probe(self) -> Tensor:
        """(M, H, W), sqrt(photons), the intensity scale included."""
        return torch.view_as_complex(self.probe_parts) * (self.probe_unit * self.log_scale.exp())

    @torch.no_grad()
    def hold_photons(self, photons: Tensor) -> None:
        """Scale the modes of the probe, in place, so that they have some photons together, whatever the scale is."""
        self.probe_parts.mul_((photons / self.probe_parts.square().sum()).sqrt())

    def fit_positions(self, count: int) -> PositionShifts:
        """Fit the positions of a scan of `count` patterns too; moves none of them yet."""
        self.shifts = PositionShifts(count, self.config.positions.limit_px).to(self.log_scale.device)
        return self.shifts

    def probe_of(self, scan: Batch | ScanTensors) -> Tensor:
        """(M, H, W), sqrt(photons): the probe that a scan or a batch carries, else the model's own."""
        return self.probe if scan.probe is None else scan.probe

    def view(self, batch: Batch) -> GroupView:
        """What the physics sees of a batch, with gradients to what is fitted of probe, scale and positions."""
        remainder = self.physics.probe_shift(batch.remainder_px)
        shifts = self._shifts_of(batch)
        if shifts is not None:
            remainder = remainder + shifts
        probe = self.probe_of(batch)
        probe = probe if batch.mirrored is None else batch.mirrored(probe)
        probes, detector_probes = self.physics.beams(probe, remainder)
        return GroupView(
            batch.amplitude,
            batch.measured,
            probes,
            detector_probes,
            batch.relative_px,
            self.positions(batch),
            batch.canvas_shape,
            self.physics,
        )

    def _shifts_of(self, batch: Batch) -> Tensor | None:
        """(B, G, 2), px: the shifts that a batch carries, else those that are being fitted to the training scan."""
        if batch.shifts_px is not None or self.shifts is None:
            return batch.shifts_px
        shifts: Tensor = self.shifts(batch.index)
        return shifts

    def positions(self, batch: Batch) -> Tensor:
        """Where the patches lie on the canvases of a batch: whole pixels, or fractional if bilinear."""
        return self.physics.place(batch.whole_px, batch.remainder_px)

    def seen(self, batch: Batch, view: GroupView) -> GroupView:
        """What the generator sees of a batch: without gradients, and of thinned counts only its part."""
        view = view.detached()
        return view if batch.seen is None else view.exposed(batch.seen, 1 - batch.hidden_fraction)

    def stage_patches(self, batch: Batch, view: GroupView) -> list[Tensor]:
        """Complex patches (B, G, H, W) of a batch after each stage of an unrolled generator; one item of any other."""
        return self.generator.stage_patches(self.seen(batch, view))

    def patches(self, batch: Batch) -> Tensor:
        """Complex patches (B, G, H, W) of a batch."""
        return self.generator(self.view(batch).detached())

    @abstractmethod
    def losses(self, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms of the loss by name; training minimises their sum."""
