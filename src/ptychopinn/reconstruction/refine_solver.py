r"""Steps with momentum on object, probe modes and positions, each in units of its own curvature.

\[ v \leftarrow \beta v - s\, \frac{g}{D}, \qquad x \leftarrow x + v \]

D is, for the object, the placed intensity of the probes and \(\alpha\) of its maximum; for the probe, the largest
summed \(|O|^2\); for a position, once in an iteration and with \(\beta = s = 1/2\), the expected second derivative
(2, 2) of the loss and of the prior \(|y - y_{start}|^2 / 4 \sigma^2\): a step of Gauss and Newton.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.physics import intensity, place_patches, split_position
from ptychopinn.reconstruction.refine_gradients import Estimate, Gradients, Subpixel, gradients
from ptychopinn.typing import Canvas

FEWEST_STEPS = 8
"""Steps in an iteration, on a scan of fewer patterns than so many batches."""
LAST_STEP = 0.02
"""Where the cosine of the step lengths ends."""
POSITIONS_STEP, POSITIONS_MOMENTUM = 0.5, 0.5
"""Of the way to where a position fits best, and of its last step, what a step is made of."""
FEWEST_FOR_AFFINE = 20
"""Positions of which so many or fewer may move by an affine map, which so few do not tell from their errors."""
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
        self._mover = PositionMover(now.positions_px, config)
        self._power = self._placed_power()
        self._generator = torch.Generator().manual_seed(config.seed)

    @property
    def probe_power(self) -> Tensor:
        """(Y, X), photons: the placed intensity of all probes."""
        return self._power

    def iterate(self, iteration: int) -> Tensor:
        """Go once through all patterns; the deviance per measured pixel (4 times the loss), a scalar on the device."""
        config = self._config
        pace = step_length(iteration, config)
        moves = config.positions and iteration >= config.positions_start
        loss = torch.zeros((), device=self._power.device)
        power = torch.zeros_like(self._power)
        slopes = torch.zeros_like(self.now.positions_px)
        curvature = slopes.new_zeros(len(slopes), 2, 2)
        for index in self._batches():
            found = self._gradients(index, moves)
            share = len(index) / len(self._tensors)
            if config.object:
                self._step_object(found, share, pace)
            if config.probe and iteration >= config.probe_start:
                self._step_probe(found, pace)
            slopes[index] = found.positions.to(slopes.dtype)
            if found.positions_curvature is not None:
                curvature[index] = found.positions_curvature.to(slopes.dtype)
            loss += found.loss
            power += found.probe_power
        if moves:
            self.now.positions_px = self._mover.moved(self.now.positions_px, slopes, curvature)
        self._power = power
        return 4 * loss / self._pixels()

    def _batches(self) -> Iterator[Tensor]:
        count = len(self._tensors)
        size = min(self._config.batch_size, math.ceil(count / FEWEST_STEPS))
        order = torch.randperm(count, generator=self._generator).to(self._power.device)
        return iter(order.split(size))

    def _gradients(self, index: Tensor, moves: bool) -> Gradients:
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
        )

    def _step_object(self, found: Gradients, share: float, pace: float) -> None:
        """One step; `share` is the part of the patterns that it saw."""
        config, now = self._config, self.now
        gradient = found.object_ + share * config.smoothness * roughness(now.object_ - self._start.object_)
        floor = config.damping * self._power.amax() + 4 * config.smoothness
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


class PositionMover:
    """Moves positions to where their patterns fit best, by steps of limited length, without a common shift.

    Args:
        start_px: (N, 2), from where they move.
        config: prior, lengths, limit, and whether the scan as a whole may be stretched and turned.
    """

    def __init__(self, start_px: Tensor, config: RefineConfig) -> None:
        self._start = start_px
        self._config = config
        self._speed = torch.zeros_like(start_px)
        self._prior = 0.5 / config.positions_prior_px**2
        columns = torch.ones_like(start_px[:, :1])
        if not config.positions_affine and len(start_px) > FEWEST_FOR_AFFINE:
            columns = torch.cat((columns, start_px - start_px.mean(0)), 1)
        self._known = torch.linalg.qr(columns.cpu()).Q.to(start_px.device)

    def moved(self, positions_px: Tensor, gradient: Tensor, curvature: Tensor) -> Tensor:
        """Positions (N, 2) after one step, from the gradient (N, 2) and the curvature (N, 2, 2) of the loss."""
        gradient = gradient + self._prior * (positions_px - self._start)
        curvature = curvature + self._prior * torch.eye(2, dtype=curvature.dtype, device=curvature.device)
        step = POSITIONS_STEP * _solved(curvature, gradient)
        length = step.norm(dim=-1, keepdim=True).clamp_min(_SMALLEST)
        step = step * (self._config.positions_step_px / length).clamp_max(1)
        self._speed = POSITIONS_MOMENTUM * self._speed - step
        limit = self._config.positions_limit_px
        way = positions_px + self._speed - self._start
        return self._start + (way - self._known @ (self._known.T @ way)).clamp(-limit, limit)


def _solved(matrix: Tensor, vector: Tensor) -> Tensor:
    """x (N, 2) of A x = b for symmetric positive A (N, 2, 2)."""
    (a, b), (_, d) = matrix.movedim(0, -1)
    determinant = (a * d - b.square()).clamp_min(_SMALLEST)
    y, x = vector.unbind(-1)
    return torch.stack((d * y - b * x, a * x - b * y), -1) / determinant.unsqueeze(-1)


def step_length(iteration: int, config: RefineConfig) -> float:
    """Factor on the steps of object and probe: 1 at first, then along a cosine down to `LAST_STEP`.

    >>> step_length(0, RefineConfig(iterations=10)), round(step_length(9, RefineConfig(iterations=10)), 2)
    (1.0, 0.04)
    """
    done = iteration / max(1, config.iterations)
    if config.decay == 0 or done <= 1 - config.decay:
        return 1.0
    return max(LAST_STEP, (1 + math.cos(math.pi * (done - 1 + config.decay) / config.decay)) / 2)


def roughness(image: Canvas) -> Canvas:
    r"""Derivative of \(\sum |\nabla x|^2\) by the conjugate, free at the edges, (Y, X)."""
    rows, columns = image.diff(dim=-2), image.diff(dim=-1)
    result = torch.zeros_like(image)
    result[1:] += rows
    result[:-1] -= rows
    result[:, 1:] += columns
    result[:, :-1] -= columns
    return result
