r"""A step of the slowly varying phase of the object, once after each iteration.

Patterns depend on the phase \(\varphi\) of the object only through its differences within the illuminated area. A phase
of wavelength \(2\pi / |k|\) far above the width of the probe changes them little, by the local gradient alone, so that
its curvature falls with \(|k|^2\), and steps that divide by the illumination take hundreds of iterations. This step
divides by the curvature at each frequency,

\[ \hat\varphi_k \leftarrow \hat\varphi_k - \frac{\hat g_k}{H_k}, \qquad
   g = 2\, \mathrm{Im}\left[\bar O\, \frac{\partial L}{\partial \bar O}\right], \qquad
   H_k = \bar W \left[ k^T C k + \kappa\, (k^T V k)^2 \right] + H_k^{\text{penalties}}, \]

with the mean placed intensity \(\bar W\) and, from `tilt_response`, the curvature C by a phase gradient and the spread
V of the illuminated intensity. The term with \(\kappa\) ends the step where a wavelength comes near the width of the
illumination, where the other steps are fast. For a penalty on differences, whose weight is w and whose curvature is
\(4\) for a difference of squares, \(H_k = 2 w |k|^2\).

The frequencies are those of a cosine transform over the canvas, in bins of a part of the illuminated width. The mean
phase stays as it is.
"""

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.physics.gradients import TiltResponse
from ptychopinn.solver.bins import binned, on_pixels, side_of
from ptychopinn.solver.penalties import ObjectPenalty, gradient_by_object
from ptychopinn.solver.state import State
from ptychopinn.typing import Canvas

FOURTH_POWER = 0.1
r"""Weight \(\kappa\) of the fourth power of the frequency; chosen on drawn scans."""
LEAST_RESPONSE = 0.01
"""Smallest curvature by a phase gradient, as a part of the spread: no step becomes longer by an uncertain estimate."""
LARGEST_CHANGE = 0.5
"""Largest step, rad in the standard deviation of the illuminated intensity: the curvature is that of small changes."""
SQUARED_DIFFERENCE = 4.0
"""Curvature of the squared differences of neighbouring pixels, as penalties count it."""


@final
class LowFrequencyPhase:
    """Adds a smooth map to the phase of the object, and to that of its velocity.

    Args:
        config: the step size.
        penalties: of the object.
        response: measures how patterns depend on a phase gradient, at the present estimate.
    """

    def __init__(
        self, config: RefineConfig, penalties: Sequence[ObjectPenalty], response: Callable[[], TiltResponse]
    ) -> None:
        self._length = config.low_frequency_step
        self._penalties = penalties
        self._response = response

    def apply(self, state: State) -> None:
        """Take one step, from the second iteration on: a start object may have no contrast at all."""
        if state.stage.iteration == 0:
            return
        response, object_ = self._response(), state.estimate.object_
        width = math.sqrt(max(float(response.spread.trace()) / 2, 0.0))
        weight = state.power / state.power.sum()
        change = self._change(state, response, weight, side_of(width))
        change = change - (change * weight).sum()
        turn = torch.polar(torch.ones_like(change), change * (self._length * _limited(change, weight, width)))
        state.estimate.object_ = object_ * turn
        state.object_velocity = state.object_velocity * turn

    def _change(self, state: State, response: TiltResponse, weight: Tensor, side: int) -> Tensor:
        """(Y, X), rad: the Newton step, in bins of `side` px."""
        object_ = state.estimate.object_
        gradient = binned(self._gradient(state), side)
        rows, columns = gradient.shape
        squared = object_.abs().square()
        power = float((state.power * squared * weight).sum())
        mirrored = _mirrored(gradient)
        vectors = _wave_vectors(mirrored, side)
        mean_square = float((squared * weight).sum())
        curvature = power * _data_curvature(vectors, response) + mean_square * self._stiffness(vectors)
        curvature[0, 0] = math.inf
        step = torch.fft.irfft2(-torch.fft.rfft2(mirrored) / curvature, s=mirrored.shape)[:rows, :columns]
        return on_pixels(step, side, object_.shape)

    def _gradient(self, state: State) -> Tensor:
        """(Y, X): of data and penalties by the phase."""
        by_object = gradient_by_object(state, self._penalties)
        return 2 * (state.estimate.object_.conj() * by_object).imag

    def _stiffness(self, vectors: Tensor) -> Tensor:
        """Curvature of the penalties at wave vectors (Y, X, 2), where the object is 1."""
        squared = vectors.square().sum(-1)
        total = torch.zeros_like(squared)
        for penalty in self._penalties:
            total += 2 * penalty.curvature * (squared / SQUARED_DIFFERENCE if penalty.of_differences else 1)
        return total


def _data_curvature(vectors: Tensor, response: TiltResponse) -> Tensor:
    """Curvature of the data at wave vectors (Y, X, 2), per photon on the object."""
    by_tilt, spread = (
        ((vectors @ matrix.to(vectors)) * vectors).sum(-1) for matrix in (response.curvature, response.spread)
    )
    return torch.maximum(by_tilt, LEAST_RESPONSE * spread) + FOURTH_POWER * spread.square()


def _limited(change: Canvas, weight: Canvas, width: float) -> float:
    """A factor up to 1 that keeps a phase change (Y, X) small within the illuminated width."""
    slope = sum(
        (change.diff(dim=axis).square() * weight.narrow(axis, 1, weight.shape[axis] - 1)).sum() for axis in (0, 1)
    )
    across = width * math.sqrt(float(slope))
    return min(1.0, LARGEST_CHANGE / across) if across > 0 else 1.0


def _mirrored(image: Tensor) -> Tensor:
    """(2Y, 2X), even about the edges: its Fourier transform is the cosine transform of the image."""
    tall = torch.cat((image, image.flip(0)))
    return torch.cat((tall, tall.flip(1)), 1)


def _wave_vectors(image: Tensor, side: int) -> Tensor:
    """(Y, X//2+1, 2), rad/px, of `torch.fft.rfft2` of an image in bins of `side` px."""
    rows = torch.fft.fftfreq(image.shape[0], side / (2 * math.pi), dtype=image.dtype, device=image.device)
    columns = torch.fft.rfftfreq(image.shape[1], side / (2 * math.pi), dtype=image.dtype, device=image.device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
