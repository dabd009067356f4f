r"""How the object follows when positions move: what makes stretch, shear and drift of a scan slow to find, and a cure.

An object that was reconstructed at wrong positions agrees with them. Where all positions of a region move alike, the
object must move along, and only what is left of the moves changes the patterns. To first order the object that fits
best moves by the mean of the moves, weighted by the illumination \(w_n\) of the patterns,

\[ u(r) = \frac{\sum_n w_n(r)\, v_n}{\sum_n w_n(r)}, \qquad O(r) \leftarrow O(r - u(r)) . \]

The loss changes along these joint moves by

\[ \tilde g_n = g_n - \int \frac{w_n}{\sum_m w_m}\, 2\,\mathrm{Re}\left[
   \frac{\partial L}{\partial O}\, \nabla O \right] dr , \]

which an object that lags behind does not falsify, and by the curvature

\[ H_{nm} = c \left( \delta_{nm} \int w_n S\, dr - \int \frac{w_n w_m}{\sum_l w_l}\, S\, dr \right), \qquad
   S = \mathrm{Re}\left[ \overline{\nabla O}\, \nabla O^T \right], \]

where one factor c makes the first term the curvature of single positions on the mean. H is small for smooth moves,
which the gradient of single positions alone would therefore correct in hundreds of iterations. The integrals are sums
over bins of a part of the pattern's width; the equations are solved by conjugate gradients.
"""

from collections.abc import Iterator
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from ptychopinn.solver.state import State
from ptychopinn.typing import Canvas

BINS = 16
"""Across a pattern. Half as many would blur a compact probe; twice as many take four times as long."""
DARK = 1e-3
"""Illumination, as a part of its maximum, below which the object does not follow."""
DAMPING = 0.1
"""Part of the mean curvature of single positions that is added to steps: it shortens those that the data hardly decide.
With 0.005 simulated scans end at the same place, but on the measured star, which the model does not explain completely,
positions went 0.9 px away and photons that were withheld were explained less well."""
LEAST_CURVATURE = 1e-3
"""The same where no step is taken but a deviation is stated."""
SOLUTION_STEPS = 15
"""Of conjugate gradients. Smooth moves of a scan of 230 patterns have converged to 1 % by then."""
SOLVED = 1e-4
"""Squared residual, relative, at which the solution ends sooner."""
PROBES_OF_TRACE = 6
"""Random vectors from which the mean variance of a position is estimated: to a fifth of it or better."""
PATTERNS_AT_ONCE = 1024
"""Whose bins are held together: 10 MB. With a quarter of it the calls of a large scan take noticeable time."""
_SMALLEST = 1e-12


@final
class Coupling:
    """The object's part in the moves of positions, at the present estimate.

    Args:
        state: object, probe and positions.
    """

    def __init__(self, state: State) -> None:
        object_, beam = state.estimate.object_, state.estimate.beam()
        height, width = beam.shape
        self._side = max(1, min(height, width) // BINS)
        self._grid = (-(-object_.shape[0] // self._side) + 1, -(-object_.shape[1] // self._side) + 1)
        sides = zip(self._grid, object_.shape, strict=True)
        self._between = [_interpolation(bins, self._side, count, object_.real) for bins, count in sides]
        first = state.estimate.positions_px.round().long() - torch.tensor([height // 2, width // 2]).to(object_.device)
        self._beams = self._binned_beams(beam)
        self._beam_of, self._corner = first % self._side @ first.new_tensor([self._side, 1]), first // self._side
        total = self._placed(torch.ones(len(first), 1).to(self._beams))[:, 0]
        self._total = (total + DARK * total.amax()).clamp_min(_SMALLEST).unsqueeze(-1)
        self._slopes = torch.gradient(object_, dim=(0, 1))
        pairs = [self._binned((a.conj() * b).real) for a in self._slopes for b in self._slopes]
        self._structure = torch.stack(pairs, -1).view(-1, 2, 2)

    def field(self, moves: Tensor) -> Tensor:
        """(Y, X, 2), px: where the object goes when positions move by (N, 2)."""
        coarse = self._followed(moves.to(self._beams)).view(*self._grid, 2).movedim(-1, 0)
        return (self._between[0] @ coarse @ self._between[1].mT).movedim(0, -1)

    def joint_gradient(self, by_position: Tensor, by_object: Canvas) -> Tensor:
        """(N, 2): of the loss by moves that the object follows.

        Args:
            by_position: (N, 2), with the object at rest.
            by_object: (Y, X), by the conjugate of the object.
        """
        by_shift = torch.stack([2 * (by_object.conj() * slope).real for slope in self._slopes])
        in_bins = (self._between[0].mT @ by_shift @ self._between[1]).flatten(1).mT
        return by_position - self._gathered(in_bins / self._total).to(by_position)

    def solution(self, gradient: Tensor, curvature: Tensor, prior: float, damping: float = DAMPING) -> Tensor:
        """Moves (N, 2) without a common shift: the inverse of H and of the prior, applied to a gradient (N, 2).

        Args:
            gradient: by joint moves.
            curvature: (N, 2, 2), by single positions with the object at rest.
            prior: the curvature of the prior.
            damping: part of the mean curvature that is added.
        """
        own = self._gathered(self._structure.flatten(1)).view(-1, 2, 2)
        mean = float(curvature.diagonal(dim1=-2, dim2=-1).mean())
        factor = mean / max(float(own.diagonal(dim1=-2, dim2=-1).mean()), _SMALLEST)
        single = factor * own + (damping * mean + prior) * torch.eye(2, dtype=own.dtype, device=own.device)
        inverse = torch.linalg.inv(single)
        residual = gradient.to(own)
        residual = residual - residual.mean(0)
        found = torch.zeros_like(residual)
        direction = turned = _each(inverse, residual)
        size = start = (residual * turned).sum()
        for _ in range(SOLUTION_STEPS):
            if float(size) <= SOLVED * float(start):
                break
            pushed = _each(self._structure, self._followed(direction))
            bent = _each(single, direction) - factor * self._gathered(pushed)
            length = size / (direction * bent).sum()
            found = found + length * direction
            residual = residual - length * bent
            turned = _each(inverse, residual)
            size, before = (residual * turned).sum(), size
            direction = turned + size / before * direction
        return (found - found.mean(0)).to(gradient)

    def deviation_px(self, curvature: Tensor, prior: float) -> float:
        r"""Standard deviation of a position along an axis, px, RMS over the scan, by counting noise.

        The mean diagonal of \((2 H)^{-1}\), with the prior, from random vectors.

        Args:
            curvature: (N, 2, 2), by single positions.
            prior: the curvature of the prior.
        """
        draw = torch.Generator().manual_seed(0)
        total = 0.0
        for _ in range(PROBES_OF_TRACE):
            signs = (torch.randint(0, 2, (len(curvature), 2), generator=draw) * 2 - 1).to(self._beams)
            total += float((signs * self.solution(signs, curvature, prior, LEAST_CURVATURE)).mean())
        return (max(total, 0.0) / PROBES_OF_TRACE / 2) ** 0.5

    def _binned_beams(self, power: Tensor) -> Tensor:
        """(S, h, w): photons of an illumination (H, W) in bins, for each place of its corner in a bin."""
        side, (height, width) = self._side, power.shape
        padded = F.pad(power, (side, side, side, side))
        return torch.stack(
            [
                _sums(padded[side - i : 2 * side - i + height, side - j : 2 * side - j + width], side)
                for i in range(side)
                for j in range(side)
            ]
        )

    def _windows(self) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some patterns at a time: their photons (n, bins) in the bins under them, and which these are."""
        rows, columns = (torch.arange(count, device=self._beams.device) for count in self._beams.shape[-2:])
        for start in range(0, len(self._corner), PATTERNS_AT_ONCE):
            part = slice(start, start + PATTERNS_AT_ONCE)
            y, x = self._corner[part, :, None, None].unbind(1)
            bins = (y + rows[:, None]) * self._grid[1] + x + columns
            yield part, self._beams[self._beam_of[part]].flatten(1), bins.flatten(1)

    def _followed(self, moves: Tensor) -> Tensor:
        """(R, 2): u in the bins."""
        return self._placed(moves) / self._total

    def _placed(self, values: Tensor) -> Tensor:
        """(R, K): values (N, K) times the illumination of each pattern, summed over the patterns."""
        out = values.new_zeros(self._grid[0] * self._grid[1], values.shape[-1])
        for part, weights, bins in self._windows():
            out.index_add_(0, bins.flatten(), (weights.unsqueeze(-1) * values[part].unsqueeze(1)).flatten(0, 1))
        return out

    def _gathered(self, values: Tensor) -> Tensor:
        """(N, K) from (R, K): sums weighted by the illumination of each pattern."""
        return torch.cat([torch.einsum("nr,nrk->nk", weights, values[bins]) for _, weights, bins in self._windows()])

    def _binned(self, image: Tensor) -> Tensor:
        """(R,) from (Y, X)."""
        rows, columns = (count * self._side for count in self._grid)
        return _sums(F.pad(image, (0, columns - image.shape[1], 0, rows - image.shape[0])), self._side).flatten()


def _interpolation(bins: int, side: int, count: int, like: Tensor) -> Tensor:
    """(count, bins): linear interpolation between the centres of bins of `side` pixels."""
    one = torch.eye(bins, dtype=like.dtype, device=like.device).unsqueeze(1)
    return F.interpolate(one, size=bins * side, mode="linear").squeeze(1).mT[:count]


def _each(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Products (N, 2) of matrices (N, 2, 2) and vectors (N, 2)."""
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


def _sums(image: Tensor, side: int) -> Tensor:
    """Over squares of `side` pixels; the last ones are filled with zeros."""
    height, width = image.shape
    full = F.pad(image, (0, -width % side, 0, -height % side))
    return full.unflatten(1, (-1, side)).unflatten(0, (-1, side)).sum((1, 3))
