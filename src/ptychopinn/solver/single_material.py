r"""A sample of one material: what it absorbs it also delays, everywhere in the same ratio.

With \(O = e^{-(\beta + i \delta) h}\) the logarithm of the object runs along one line of the complex plane, and so do
its differences between neighbouring pixels a and b,

\[ \ell_{ab} = \ln \left| \frac{O_a}{O_b} \right| + i \arg (O_a \bar O_b), \qquad
   R = \sum_{ab} \min(|O_a|, |O_b|)^2 \left( \mathrm{Im}\, \bar c\, \ell_{ab} \right)^2, \]

c being the direction of that line, of modulus 1. The lesser modulus counts, so that no step is longer than the lesser
of the two pixels. The image itself tells c: it is the principal direction of the differences between means over squares
of `COARSE_PX` pixels, where the noise of counting is small. No phase has to be unwrapped.
The idea is that of Paganin et al. 2002 (doi:10.1046/j.1365-2818.2002.01010.x), as a penalty.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ptychopinn.typing import Canvas

COARSE_PX = 4
"""Side of the squares over which the object is averaged before its material is asked for."""
_SMALLEST = 1e-6


def material_of(object_: Canvas, power: Tensor) -> tuple[complex, float]:
    r"""The direction c of \(\ln O\), and the correlation of its two parts.

    Args:
        object_: (Y, X).
        power: (Y, X), photons: light counts what the squares say.

    Returns:
        c, its imaginary part not negative; the correlation of absorption and phase: 1 or -1 for one material, near 0
        for many, or for one that hardly absorbs.
    """
    lit = torch.stack((object_.real * power, object_.imag * power, power)).unsqueeze(0)
    real, imaginary, light = F.avg_pool2d(lit, COARSE_PX)[0]
    coarse = torch.complex(real, imaginary) / light.clamp_min(_SMALLEST)
    amplitude = absorbed = delayed = coarse.real.new_zeros(())
    for after, before, weight in _neighbours(coarse, light):
        logarithm = _difference(after, before)
        amplitude = amplitude + (weight * logarithm.real.square()).sum()
        delayed = delayed + (weight * logarithm.imag.square()).sum()
        absorbed = absorbed + (weight * logarithm.real * logarithm.imag).sum()
    a, d, both = float(amplitude), float(delayed), float(absorbed)
    angle = math.atan2(2 * both, a - d) / 2
    turn = 1 if math.sin(angle) >= 0 else -1
    return turn * complex(math.cos(angle), math.sin(angle)), both / math.sqrt(a * d) if a * d > 0 else 0.0


def off_material(object_: Canvas, direction: complex) -> Canvas:
    """Derivative of R by the conjugate of the object, the factors min |O| held, (Y, X)."""
    modulus, phase = object_.abs(), object_.sgn()
    result = torch.zeros_like(object_)
    for axis in (0, 1):
        last = object_.shape[axis] - 1
        after, before = object_.narrow(axis, 1, last), object_.narrow(axis, 0, last)
        across = 1j * direction * (_difference(after, before) * direction.conjugate()).imag
        lesser = torch.minimum(modulus.narrow(axis, 1, last), modulus.narrow(axis, 0, last))
        for side, sign in ((1, 1), (0, -1)):
            part = lesser.square() / modulus.narrow(axis, side, last).clamp_min(_SMALLEST)
            result.narrow(axis, side, last).add_(across * phase.narrow(axis, side, last) * part, alpha=sign)
    return result


def _difference(after: Tensor, before: Tensor) -> Tensor:
    ratio = after.abs().clamp_min(_SMALLEST) / before.abs().clamp_min(_SMALLEST)
    return torch.complex(ratio.log(), (after * before.conj()).angle())


def _neighbours(image: Tensor, light: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Pairs of neighbours along both axes, with the lesser light of the two."""
    for axis in (0, 1):
        last = image.shape[axis] - 1
        weight = torch.minimum(light.narrow(axis, 1, last), light.narrow(axis, 0, last))
        yield image.narrow(axis, 1, last), image.narrow(axis, 0, last), weight
