r"""The single-material penalty: absorption and phase shift in a constant ratio (constant delta/beta).

With \(O = e^{-(\beta + i \delta) h}\) the logarithm of the object runs along one line of the complex plane, and so do
its differences between neighbouring pixels a and b,

\[ \ell_{ab} = \ln \left| \frac{O_a}{O_b} \right| + i \arg (O_a \bar O_b), \qquad
   R = \sum_{ab} \min(|O_a|, |O_b|)^2 \left( \mathrm{Im}\, \bar c\, \ell_{ab} \right)^2, \]

c being the direction of that line, of modulus 1. The smaller modulus is the weight, so that no step is longer than the
smaller of the two pixels. The direction c is estimated from the image: it is the principal direction of the
differences between means over squares of `COARSE_PX` pixels, where the counting noise is small. No phase has to be
unwrapped. The idea is that of Paganin et al. 2002 (doi:10.1046/j.1365-2818.2002.01010.x), as a penalty.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ptychopinn.typing import Canvas

COARSE_PX = 4
"""Side of the squares over which the object is averaged before its direction is estimated."""
_SMALLEST = 1e-6


def material_direction(object_: Tensor, power: Tensor) -> tuple[complex, float]:
    r"""The direction c of \(\ln O\), and the correlation of its two parts.

    Args:
        object_: (..., Y, X); leading axes are images of one sample.
        power: of the same shape, photons: the weight of each pixel.

    Returns:
        c, its imaginary part not negative; the correlation of absorption and phase: 1 or -1 for a single material,
        near 0 for many, or for one that hardly absorbs.
    """
    direction, correlation = principal_direction(object_, power)
    return complex(direction), float(correlation)


def principal_direction(object_: Tensor, power: Tensor) -> tuple[Tensor, Tensor]:
    """What `material_direction` gives as two numbers, as two tensors of the device, which nothing waits for."""
    size = object_.shape[-2:]
    weighted = torch.stack((object_.real * power, object_.imag * power, power)).reshape(3, -1, *size)
    real, imaginary, dose = F.avg_pool2d(weighted, COARSE_PX)
    coarse = torch.complex(real, imaginary) / dose.clamp_min(_SMALLEST)
    amplitude = absorbed = delayed = coarse.real.new_zeros(())
    for after, before, weight in _neighbours(coarse, dose):
        logarithm = _difference(after, before)
        amplitude = amplitude + (weight * logarithm.real.square()).sum()
        delayed = delayed + (weight * logarithm.imag.square()).sum()
        absorbed = absorbed + (weight * logarithm.real * logarithm.imag).sum()
    angle = torch.atan2(2 * absorbed, amplitude - delayed) / 2
    upwards = torch.where(angle < 0, -torch.ones_like(angle), torch.ones_like(angle))
    spread = (amplitude * delayed).sqrt()
    correlation = torch.where(spread > 0, absorbed / spread, torch.zeros_like(spread))
    return torch.polar(upwards.abs(), angle) * upwards, correlation


def single_material_sum(object_: Tensor, direction: complex | Tensor) -> Tensor:
    """R of images (..., Y, X), summed over all of them; differentiable, the factors min |O| held."""
    direction = torch.as_tensor(direction, dtype=object_.dtype, device=object_.device)
    modulus = object_.detach().abs()
    total = modulus.new_zeros(())
    for axis in (-2, -1):
        last = object_.shape[axis] - 1
        after, before = object_.narrow(axis, 1, last), object_.narrow(axis, 0, last)
        across = (_difference(after, before) * direction.conj()).imag
        smaller = torch.minimum(modulus.narrow(axis, 1, last), modulus.narrow(axis, 0, last))
        total = total + (smaller.square() * across.square()).sum()
    return total


def single_material_gradient(object_: Canvas, direction: complex | Tensor) -> Canvas:
    """Derivative of R by the conjugate of the object, the factors min |O| held, (Y, X)."""
    direction = torch.as_tensor(direction, dtype=object_.dtype, device=object_.device)
    modulus, phase = object_.abs(), object_.sgn()
    result = torch.zeros_like(object_)
    for axis in (0, 1):
        last = object_.shape[axis] - 1
        after, before = object_.narrow(axis, 1, last), object_.narrow(axis, 0, last)
        across = 1j * direction * (_difference(after, before) * direction.conj()).imag
        smaller = torch.minimum(modulus.narrow(axis, 1, last), modulus.narrow(axis, 0, last))
        for side, sign in ((1, 1), (0, -1)):
            part = smaller.square() / modulus.narrow(axis, side, last).clamp_min(_SMALLEST)
            result.narrow(axis, side, last).add_(across * phase.narrow(axis, side, last) * part, alpha=sign)
    return result


def _difference(after: Tensor, before: Tensor) -> Tensor:
    ratio = after.abs().clamp_min(_SMALLEST) / before.abs().clamp_min(_SMALLEST)
    return torch.complex(ratio.log(), (after * before.conj()).angle())


def _neighbours(image: Tensor, dose: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pairs of neighbours along both axes, with the smaller dose of the two."""
    for axis in (-2, -1):
        last = image.shape[axis] - 1
        weight = torch.minimum(dose.narrow(axis, 1, last), dose.narrow(axis, 0, last))
        yield image.narrow(axis, 1, last), image.narrow(axis, 0, last), weight
