r"""Data losses: the misfit of expected photons \(\lambda\) and counts k, pixel by pixel.

Training averages `value` over the measured pixels and lets autograd differentiate it. The iterative solver sums the
loss and takes the slope \(\partial \ell / \partial \lambda\) from the same object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from ptychopinn.losses.means import masked_mean
from ptychopinn.physics.deviance import likelihood_excess
from ptychopinn.physics.likelihood import SMALLEST_AMPLITUDE, SOLVER_PHOTONS, STEEPEST, TRAINING_PHOTONS


@runtime_checkable
class DataLoss(Protocol):
    """Misfit of expected photons and counts, for training and for the solver."""

    @property
    def photons_power(self) -> float:
        """How a value grows with the dose: 1 for a value in photons, 0.5 in sqrt(photons), 0 for a pure number.

        Training divides by this power of the mean count, so that learning rates carry over between doses.
        """

    def value(self, expected: Tensor, counts: Tensor) -> Tensor:
        """Loss of each pixel, (..., H, W), differentiable by `expected`, with a finite gradient at 0 photons.

        Args:
            expected: photons, (..., H, W).
            counts: measured photons, of the same shape.
        """

    def value_and_slope(self, expected: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The same loss and its derivative by `expected`, both (..., H, W), without autograd.

        The solver's steps are in units of the curvature of `(sqrt(expected) - sqrt(counts))**2`: scale a loss of your
        own so that it agrees with that one where photons are many.
        """


@final
@dataclass(frozen=True)
class Poisson:
    r"""Poisson deviance in one form for each use, with its offset stated.

    \[ \ell = s\, (\lambda' - k' + k \log k' - k \log \lambda'), \qquad
       \ell' = s\, (1 - k / \lambda'), \qquad \lambda' = \lambda + \lambda_0, \quad k' = k + k_0 . \]

    Where the counts are more than `steepest` = R times \(\lambda'\), the loss goes on as a straight line over
    \(\sqrt{\lambda'}\), with \(\ell' = -s \sqrt{k / \lambda'} (\sqrt R - 1/\sqrt R)\): the slope of the likelihood
    has no bound there, and no step of a solver would be short enough.

    The defaults are those of the solver: a quarter of the deviance, as curved as `AmplitudeSquare`.

    Args:
        offset_photons: \(\lambda_0\), as a dark count would add: a dark pixel with one photon then does not outweigh
            all others.
        counts_offset_photons: \(k_0\); equal to \(\lambda_0\) it makes the loss 0 where expected and counted agree.
        steepest: R, or None for the likelihood everywhere.
        scale: s; 1/2 for a quarter of the deviance.
    """

    offset_photons: float = SOLVER_PHOTONS
    counts_offset_photons: float = 0.0
    steepest: float | None = STEEPEST
    scale: float = 0.5

    @property
    def photons_power(self) -> float:
        """The value is in photons."""
        return 1.0

    def value(self, expected: Tensor, counts: Tensor) -> Tensor:
        """Loss of each pixel."""
        if self.steepest is None:
            return self.scale * self._likelihood(expected + self.offset_photons, counts)
        return self.value_and_slope(expected, counts)[0]

    def value_and_slope(self, expected: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each pixel, and its derivative by `expected`."""
        expected, counts = torch.broadcast_tensors(expected, counts)
        photons, counts = (expected + self.offset_photons).flatten(), counts.flatten()
        above = photons - counts
        slope = above / photons
        if self.offset_photons > 0 and not self.counts_offset_photons:  # the same likelihood, by what is known already
            value = torch.addcmul(above, counts, slope.neg().clamp_min_(torch.finfo(slope.dtype).eps - 1).log1p_())
        else:
            value = self._likelihood(photons, counts)
        if self.steepest is not None and slope.numel() and slope.amin() < 1 - self.steepest:
            steep = (slope < 1 - self.steepest).nonzero().squeeze(1)  # few pixels
            value[steep], slope[steep] = self._line(photons[steep], counts[steep], self.steepest)
        return value.mul_(self.scale).view(expected.shape), slope.mul_(self.scale).view(expected.shape)

    def _line(self, photons: Tensor, counts: Tensor, limit: float) -> tuple[Tensor, Tensor]:
        """Unscaled loss and derivative where the counts are more than `limit` times the photons."""
        beyond = (counts / (limit * photons)).sqrt()
        line = (2 * (limit - 1) / limit) * counts * (1 - beyond.reciprocal())
        return self._likelihood(counts / limit, counts) + line, (1 - limit) * beyond

    def _likelihood(self, photons: Tensor, counts: Tensor) -> Tensor:
        """Unscaled."""
        reference = counts + self.counts_offset_photons if self.counts_offset_photons else counts
        return likelihood_excess(counts, photons, reference)


LIKELIHOOD = Poisson(TRAINING_PHOTONS, TRAINING_PHOTONS, steepest=None, scale=1.0)
"""The Poisson loss of training: the negative log-likelihood, from that of a model that equals the counts on."""


@final
@dataclass(frozen=True)
class AmplitudeSquare:
    r"""\(\ell = (\sqrt\lambda - \sqrt k)^2\) and \(\ell' = 1 - \sqrt{k / \lambda}\)."""

    @property
    def photons_power(self) -> float:
        """The value is in photons."""
        return 1.0

    def value(self, expected: Tensor, counts: Tensor) -> Tensor:
        """Loss of each pixel; at 0 photons the gradient is taken as 0."""
        return (expected.clamp_min(torch.finfo(expected.dtype).tiny).sqrt() - counts.sqrt()).square()

    def value_and_slope(self, expected: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each pixel, and its derivative by `expected`."""
        model, amplitude = expected.sqrt(), counts.sqrt()
        return (model - amplitude).square(), 1 - amplitude / model.clamp_min(torch.finfo(model.dtype).tiny ** 0.5)


@final
@dataclass(frozen=True)
class AmplitudeDifference:
    r"""\(\ell = |\sqrt{\lambda + \epsilon^2} - \sqrt k|\), with \(\epsilon\) = `SMALLEST_AMPLITUDE`."""

    @property
    def photons_power(self) -> float:
        """The value is in sqrt(photons)."""
        return 0.5

    def value(self, expected: Tensor, counts: Tensor) -> Tensor:
        """Loss of each pixel, sqrt(photons)."""
        return (torch.sqrt(expected + SMALLEST_AMPLITUDE**2) - counts.sqrt()).abs()

    def value_and_slope(self, expected: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each pixel, and its derivative by `expected`."""
        model = torch.sqrt(expected + SMALLEST_AMPLITUDE**2)
        difference = model - counts.sqrt()
        return difference.abs(), difference.sign() / (2 * model)


def mean_loss(loss: DataLoss, expected: Tensor, counts: Tensor, measured: Tensor | None = None) -> Tensor:
    """Mean of a data loss over the measured pixels of (..., H, W)."""
    return masked_mean(loss.value(expected, counts), measured)


def slope_by_autograd(
    value: Callable[[Tensor, Tensor], Tensor], expected: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Value and slope of a loss that has no derivative by hand; works under `torch.inference_mode` as well.

    >>> value, slope = slope_by_autograd(lambda e, k: (e - k) ** 2, torch.tensor([3.0]), torch.tensor([1.0]))
    >>> float(value), float(slope)
    (4.0, 4.0)
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf, fixed = expected.detach().clone().requires_grad_(), counts.detach().clone()
        values = value(leaf, fixed)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), slope
