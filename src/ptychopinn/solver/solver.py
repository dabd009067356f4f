r"""Steps with momentum on object, probe modes and positions, each in units of its own curvature.

\[ v \leftarrow \beta v - s\, \frac{g}{D}, \qquad x \leftarrow x + v \]

D is, for the object, the placed intensity of the probes and \(\alpha\) of its maximum; for the probe, the largest
summed \(|O|^2\). Positions move once in an iteration: `PositionMover`.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.physics import intensity, place_patches, split_position
from ptychopinn.physics.gradients import Estimate, Gradients, Subpixel, gradients
from ptychopinn.solver.positions import PositionMover, carried
from ptychopinn.solver.single_material import material_of, off_material
from ptychopinn.typing import Canvas

FEWEST_STEPS = 8
"""Steps in an iteration, on a scan of fewer patterns than so many batches."""
LAST_STEP = 0.02
"""Where the cosine of the step lengths ends."""
BEND_START = 10
"""Iterations of positions alone before the scan is bent with the object: a vague object tells of a shrunken one."""
MATERIAL_START = 5
"""Iterations before an image is asked for its material: a flat object has none."""
_SMALLEST = 1e-12


class Solver:
    """Refines an estimate in place.

    Args:
        now: the estimate; its object and positions are also what changes are counted from.
        tensors: patterns, on the device of the estimate.
        config: what is refined and how.
        subpixel: as in `DiffractionModel`.
    """

    def __init__(self, now: Estimate, tensors: ScanTensors, config: RefineConfig, subpixel: Subpixel = "probe"):
        self.now = now
        self._tensors = tensors
        self._config = config
        self._subpixel = subpixel
        self._start = Estimate(now.object_, now.probe, now.positions_px)
        self._object_speed = torch.zeros_like(now.object_)
        self._probe_speed = torch.zeros_like(now.probe)
        self._power = self._placed_power()
        self._mover = PositionMover(now.positions_px, config)
        self._generator = torch.Generator().manual_seed(config.seed)
        self.material: tuple[complex, float] | None = None
        """Direction and correlation of `material_of`, where the sample is held to one."""

    @property
    def probe_power(self) -> Tensor:
        """(Y, X), photons: the placed intensity of all probes."""
        return self._power

    def iterate(self, iteration: int) -> Tensor:
        """Go once through all patterns; the deviance per measured pixel (4 times the loss), a scalar on the device."""
        config = self._config
        pace = step_length(iteration, config)
        if config.single_material and iteration >= MATERIAL_START:
            self.material = material_of(self.now.object_, self._power)
        moves = config.positions and iteration >= config.positions_start
        bends = moves and self._mover.bends and iteration >= config.positions_start + BEND_START
        loss = torch.zeros((), device=self._power.device)
        power = torch.zeros_like(self._power)
        slopes = Slopes(self.now.positions_px)
        for index in self._batches():
            found = self._gradients(index, moves, bends)
            share = len(index) / len(self._tensors)
            if config.object:
                self._step_object(found, share, pace)
            if config.probe and iteration >= config.probe_start:
                self._step_probe(found, pace)
            slopes.add(index, found)
            loss += found.loss
            power += found.probe_power
        if moves:
            self._move(slopes, bends)
        self._power = power
        return 4 * loss / self._pixels()

    def _move(self, slopes: "Slopes", bends: bool) -> None:
        """Move the positions, and bend the scan with the object."""
        now = self.now
        now.positions_px = self._mover.moved(now.positions_px, slopes.each, slopes.curvature)
        if bends:
            now.positions_px, field = self._mover.bent(now.positions_px, slopes.strain, slopes.strain_curvature)
            images = torch.stack((now.object_, self._start.object_, self._object_speed))
            now.object_, self._start.object_, self._object_speed = carried(images, field.on(now.object_.shape))

    def _batches(self) -> Iterator[Tensor]:
        count = len(self._tensors)
        size = min(self._config.batch_size, math.ceil(count / FEWEST_STEPS))
        order = torch.randperm(count, generator=self._generator).to(self._power.device)
        return iter(order.split(size))

    def _gradients(self, index: Tensor, moves: bool, bends: bool) -> Gradients:
        tensors = self._tensors
        measured = tensors.measured
        return gradients(
            self.now,
            index,
            tensors.amplitude[index].to(self._power.dtype),
            measured[index] if measured is not None and measured.ndim == 3 else measured,
            loss=self._config.loss,
            subpixel=self._subpixel,
            positions_curvature=moves,
            strain=bends,
        )

    def _step_object(self, found: Gradients, share: float, pace: float) -> None:
        """One step; `share` is the part of the patterns that it saw."""
        config, now = self._config, self.now
        rough = roughness(now.object_ - self._start.object_, config.edge_preserving)
        gradient = found.object_ + share * config.smoothness * rough
        floor = config.damping * self._power.amax() + 4 * config.smoothness + config.single_material
        if self.material is not None:
            gradient = gradient + share * config.single_material * off_material(now.object_, self.material[0])
        curvature = torch.maximum(found.probe_power, share * self._power) + share * floor
        step = config.object_step * pace * gradient / curvature.clamp_min(_SMALLEST)
        self._object_speed = config.momentum * self._object_speed - step
        now.object_ = now.object_ + self._object_speed

    def _step_probe(self, found: Gradients, pace: float) -> None:
        curvature = found.object_power.amax().clamp_min(_SMALLEST)
        step = self._config.probe_step * pace * found.probe / curvature
        self._probe_speed = self._config.momentum * self._probe_speed - step
        self.now.probe = self.now.probe + self._probe_speed

    def _placed_power(self) -> Tensor:
        """The probe's intensity placed at all positions, a batch at a time."""
        power = intensity(self.now.probe)
        shape = (self.now.object_.shape[-2], self.now.object_.shape[-1])
        total = torch.zeros(shape, dtype=power.dtype, device=power.device)
        for positions in self.now.positions_px.split(self._config.batch_size):
            whole, _ = split_position(positions)
            total += place_patches(power.expand(len(whole), *power.shape), whole, shape)
        return total

    def _pixels(self) -> float | Tensor:
        """Measured pixels of all patterns."""
        tensors = self._tensors
        if tensors.measured is None:
            return tensors.amplitude.numel()
        return tensors.measured.sum() * (1 if tensors.measured.ndim == 3 else len(tensors))


class Slopes:
    """Gradients and curvatures of the loss by positions and strains, gathered over the batches of an iteration."""

    def __init__(self, positions_px: Tensor) -> None:
        count = len(positions_px)
        self.each = torch.zeros_like(positions_px)
        self.curvature = positions_px.new_zeros(count, 2, 2)
        self.strain = positions_px.new_zeros(count, 4)
        self.strain_curvature = positions_px.new_zeros(count, 4, 4)

    def add(self, index: Tensor, found: Gradients) -> None:
        """Those of one batch."""
        pairs = (
            (self.each, found.positions),
            (self.curvature, found.positions_curvature),
            (self.strain, found.strain),
            (self.strain_curvature, found.strain_curvature),
        )
        for kept, value in pairs:
            if value is not None:
                kept[index] = value.to(kept.dtype)


def step_length(iteration: int, config: RefineConfig) -> float:
    """Factor on the steps of object and probe: 1 at first, then along a cosine down to `LAST_STEP`.

    >>> step_length(0, RefineConfig(iterations=10)), round(step_length(9, RefineConfig(iterations=10)), 2)
    (1.0, 0.04)
    """
    done = iteration / max(1, config.iterations)
    if config.decay == 0 or done <= 1 - config.decay:
        return 1.0
    return max(LAST_STEP, (1 + math.cos(math.pi * (done - 1 + config.decay) / config.decay)) / 2)


def roughness(image: Canvas, edge: float | None = None) -> Canvas:
    r"""Derivative of a sum over the differences d of neighbouring pixels by the conjugate, free at the edges, (Y, X).

    The sum is \(\sum |d|^2\), and with an edge e \(2 e^2 \sum (\sqrt{1 + |d|^2 / e^2} - 1)\), which grows linearly
    beyond e: a large difference is not more strongly held than that.
    """
    result = torch.zeros_like(image)
    for axis in (0, 1):
        step = image.diff(dim=axis)
        if edge is not None:
            step = step / (1 + (step.real.square() + step.imag.square()) / edge**2).sqrt()
        result.narrow(axis, 1, step.shape[axis]).add_(step)
        result.narrow(axis, 0, step.shape[axis]).sub_(step)
    return result
