r"""A search for positions that are wrong by several pixels, between the first iterations.

Steps along the gradient end where a wrong position has a neighbourhood of its own in the object. Each pattern is
therefore compared with what the present object predicts where the position is now and on a grid about its nominal one,
and goes to the least of

\[ \frac{1}{p \sum k} \sum \frac{(\lambda - k)^2}{\lambda + k + q \bar k} + \frac{|y - y^0|^2}{4 \sigma^2} , \]

for counts k, predictions \(\lambda\) and the prior \(\sigma\). Only where the prior says that errors are that large.
"""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.solver.distortion import limited

LEAST_PRIOR_PX = 2.0
"""Prior from which positions are searched: errors of 1 px are found by steps alone."""
REACH = 3.0
"""Radius of the grid, in units of the prior."""
SPACING_PX = 2.0
"""Of the grid; steps do the rest. With 1 px it takes four times as long."""
SEARCHED_AT = (0.1, 0.17, 0.24, 0.31, 0.5)
"""Parts of the iterations with positions before which positions are searched; the last one finds single ones that an
object without the others' blur shows."""
UNEXPLAINED = 1e-3
"""p: part of the photons, unexplained, that counts as much as a deviation of the prior."""
DIM = 0.2
"""q: of the mean counts, added where photons are compared, so that dim pixels do not decide."""
PATTERNS_AT_ONCE = 64


@final
class PositionSearch:
    """Moves positions to the best ones of a grid.

    Args:
        start_px: (N, 2), the positions at the start.
        config: prior, limit, and iterations.
        predict: photons (B, H, W) of patterns (B,) at positions (B, 2), by the present object, probe and intensities.
        counted: counts (B, H, W) of patterns (B,), and where they were measured.
        ranks: each searches its own patterns.
    """

    def __init__(
        self,
        start_px: Tensor,
        config: RefineConfig,
        predict: Callable[[Tensor, Tensor], Tensor],
        counted: Callable[[Tensor], tuple[Tensor, Tensor | None]],
        ranks: Ranks = ALONE,
    ) -> None:
        self._start = start_px
        self._config = config
        self._predict = predict
        self._counted = counted
        self._ranks = ranks
        last = config.iterations - config.positions_start
        self._when = {config.positions_start + max(1, round(part * last)) for part in SEARCHED_AT}

    def is_due(self, iteration: int) -> bool:
        """Whether positions are searched before an iteration."""
        config = self._config
        asked = config.positions and config.object and not config.positions_distortion
        return asked and config.positions_prior_px >= LEAST_PRIOR_PX and iteration in self._when

    def found(self, positions_px: Tensor) -> Tensor:
        """Positions (N, 2), with the common shift of the start."""
        moved = torch.zeros_like(positions_px)
        for index in self._own().split(PATTERNS_AT_ONCE):
            if len(index):
                moved[index] = self._best(index, positions_px[index])
        self._ranks.add(moved)
        return limited(moved - (moved - self._start).mean(0), self._start, self._config)

    def _own(self) -> Tensor:
        return torch.arange(len(self._start), device=self._start.device)[self._ranks.own(len(self._start))]

    def _best(self, index: Tensor, positions_px: Tensor) -> Tensor:
        counts, measured = self._counted(index)
        start = self._start[index]
        best, least = positions_px, torch.full_like(positions_px[:, 0], torch.inf)
        for there in [positions_px, *(limited(start + offset, start, self._config) for offset in self._grid(start))]:
            cost = self._cost(self._predict(index, there), counts, measured)
            cost = cost + (there - start).square().sum(-1) / (4 * self._config.positions_prior_px**2)
            better = cost < least
            best, least = torch.where(better.unsqueeze(-1), there, best), torch.where(better, cost, least)
        return best

    def _cost(self, photons: Tensor, counts: Tensor, measured: Tensor | None) -> Tensor:
        mean = counts.mean((-2, -1), keepdim=True)
        misfit = (photons - counts).square() / (photons + counts + DIM * mean).clamp_min(1e-12)
        if measured is not None:
            misfit = misfit * measured
        total = counts.sum((-2, -1)).clamp_min(1e-12)
        return (misfit.sum((-2, -1)) / total / UNEXPLAINED).to(self._start)

    def _grid(self, like: Tensor) -> list[Tensor]:
        reach = REACH * self._config.positions_prior_px
        count = int(reach // SPACING_PX)
        steps = [SPACING_PX * k for k in range(-count, count + 1)]
        return [like.new_tensor([y, x]) for y in steps for x in steps if y * y + x * x <= reach**2]
