r"""Penalties on the object: what training adds to its loss, and the solver to its gradient.

Training takes `value`, a mean per pixel. The solver takes the derivative of the sum over all pixels by the conjugate
of the object, \(N\, \partial R / \partial \bar O\) with N pixels, so that a weight is in photons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from ptychopinn.losses.means import phase_of
from ptychopinn.losses.single_material import principal_direction, single_material_gradient, single_material_sum
from ptychopinn.typing import Canvas

Part = Literal["complex", "amplitude", "phase"]
TYPICAL_CHANGE = 0.03
"""Difference of neighbouring pixels below which the solver treats an absolute value as a parabola: about the noise at
1e4 photons per pattern. Half as much halves the steps where such a penalty acts."""


@runtime_checkable
class Penalty(Protocol):
    """A measure of how rough or how implausible an object is."""

    @property
    def curvature(self) -> float:
        """Largest second derivative of the sum by one pixel; keeps the steps of the solver short enough."""

    def value(self, images: Tensor) -> Tensor:
        """Mean per pixel of complex images (..., Y, X), a differentiable scalar."""

    def gradient(self, object_: Canvas) -> Canvas:
        """Derivative of the sum over the pixels of one object (Y, X) by its conjugate, (Y, X), without autograd."""


@final
@dataclass(frozen=True)
class TotalVariation:
    """Mean absolute difference of neighbours along rows, plus that along columns."""

    part: Part = "complex"

    @property
    def curvature(self) -> float:
        """Of a parabola that has the same value at `TYPICAL_CHANGE`; four neighbours."""
        return 4 / TYPICAL_CHANGE

    def value(self, images: Tensor) -> Tensor:
        """Mean over the images."""
        image = part_of(images, self.part)
        return image.diff(dim=-2).abs().mean() + image.diff(dim=-1).abs().mean()

    def gradient(self, object_: Canvas) -> Canvas:
        """By autograd."""
        return gradient_by_autograd(self.value, object_)


@final
@dataclass(frozen=True)
class MeanDeviation:
    """Mean absolute deviation of each image from its own mean."""

    part: Part = "complex"

    @property
    def curvature(self) -> float:
        """Of a parabola that has the same value at `TYPICAL_CHANGE`."""
        return 1 / TYPICAL_CHANGE

    def value(self, images: Tensor) -> Tensor:
        """Mean over the images."""
        image = part_of(images, self.part)
        return (image - image.mean(dim=(-2, -1), keepdim=True)).abs().mean()

    def gradient(self, object_: Canvas) -> Canvas:
        """By autograd."""
        return gradient_by_autograd(self.value, object_)


@final
@dataclass(frozen=True)
class Smoothness:
    r"""\(\sum |d|^2\) over the differences d of neighbouring pixels, or its edge-preserving form.

    With an edge e it is \(2 e^2 \sum (\sqrt{1 + |d|^2 / e^2} - 1)\) (pseudo-Huber), which grows linearly beyond e:
    a large difference is pulled back no more strongly than that, so that edges stay sharp.

    Args:
        edge: e, or None for squares.
    """

    edge: float | None = None

    @property
    def curvature(self) -> float:
        """Of four squared differences."""
        return 4.0

    def value(self, images: Tensor) -> Tensor:
        """Sum over the differences, per pixel."""
        squares = (_square(images.diff(dim=axis)) for axis in (-2, -1))
        if self.edge is None:
            return sum(square.sum() for square in squares) / images.numel()  # type: ignore[return-value]
        edge = self.edge**2
        return sum(2 * edge * ((1 + square / edge).sqrt() - 1).sum() for square in squares) / images.numel()  # type: ignore[return-value]

    def gradient(self, object_: Canvas) -> Canvas:
        """Derivative of the sum by the conjugate, free at the edges of the canvas.

        Real and imaginary parts are handled as two images: complex numbers cost twice as much on a CPU.
        """
        parts = object_.real.contiguous(), object_.imag.contiguous()
        results = torch.zeros_like(parts[0]), torch.zeros_like(parts[1])
        for axis in (0, 1):
            steps = [part.diff(dim=axis) for part in parts]
            if self.edge is not None:
                square = steps[0].square().addcmul_(steps[1], steps[1])
                weight = square.mul_(1 / self.edge**2).add_(1).rsqrt_()
                steps = [step.mul_(weight) for step in steps]
            for result, step in zip(results, steps, strict=True):
                result.narrow(axis, 1, step.shape[axis]).add_(step)
                result.narrow(axis, 0, step.shape[axis]).sub_(step)
        return torch.complex(*results)


@final
@dataclass(frozen=True)
class SingleMaterial:
    """Deviation from a constant ratio of absorption and phase shift; see `ptychopinn.losses.single_material`.

    Args:
        direction: the direction of ln O in the complex plane, of modulus 1; estimated from each image if None.
    """

    direction: complex | None = None

    @property
    def curvature(self) -> float:
        """About that of one difference of logarithms."""
        return 1.0

    def value(self, images: Tensor) -> Tensor:
        """Sum over the differences, per pixel."""
        return single_material_sum(images, self._direction(images.detach())) / images.numel()

    def gradient(self, object_: Canvas) -> Canvas:
        """Derivative of the sum by the conjugate."""
        return single_material_gradient(object_, self._direction(object_))

    def _direction(self, images: Tensor) -> complex | Tensor:
        if self.direction is not None:
            return self.direction
        return principal_direction(images, torch.ones_like(images.real))[0]


def part_of(images: Tensor, part: Part) -> Tensor:
    """Complex images, their amplitude, or their phase in rad."""
    if part == "complex":
        return images
    return images.abs() if part == "amplitude" else phase_of(images)


def gradient_by_autograd(value: Callable[[Tensor], Tensor], object_: Canvas) -> Canvas:
    """`Penalty.gradient` of a penalty that has no derivative by hand; works under `torch.inference_mode` as well."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = object_.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(value(leaf), leaf)
    return gradient * (object_.numel() / 2)  # torch's gradient is twice the derivative by the conjugate


def _square(values: Tensor) -> Tensor:
    return values.real.square() + values.imag.square()
