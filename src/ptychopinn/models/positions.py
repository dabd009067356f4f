r"""Scan positions that are fitted together with a network.

\[ r_n \leftarrow r_n + \delta_n - \bar\delta, \qquad \delta_n = \ell \tanh u_n \]

with the limit \(\ell\) in px and the fitted numbers u, of which one unit is about \(\ell\). The mean is taken off: a
common shift moves the object alone.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.scan import Scan

_SAME = 1e-5
"""Distance of position (px) and of relative counts up to which two patterns are called the same."""


class PositionShifts(nn.Module):
    """How far the patterns of one scan lie from their recorded positions.

    The shifts belong to the patterns of that scan: patterns with other positions or counts are not shifted.

    Args:
        count: N, patterns of the scan.
        limit_px: farthest that a position moves along an axis before the mean is taken off.
    """

    identity: Tensor
    """(N, 3) float64: position and counts of each pattern, which identify it in another scan."""

    def __init__(self, count: int, limit_px: float) -> None:
        super().__init__()
        self.limit_px = limit_px
        self.raw = nn.Parameter(torch.zeros(count, 2))
        self.register_buffer("identity", torch.zeros(count, 3, dtype=torch.float64))

    def remember(self, scan: Scan) -> None:
        """Take the patterns of a scan for those that are fitted, in this order."""
        self.identity.copy_(torch.from_numpy(_identity(scan)))

    def forward(self, index: Tensor) -> Tensor:
        """Shifts (..., 2), px, (y, x), of patterns `index` of the scan that they are fitted to."""
        shifts = self.limit_px * torch.tanh(self.raw)
        return (shifts - shifts.mean(0))[index]

    @torch.no_grad()
    def of(self, scan: Scan) -> tuple[Tensor, int]:
        """Shifts (n, 2), px, of the patterns of any scan, 0 of those that were not fitted; how many were fitted."""
        rows = self._rows(scan)
        known = rows >= 0
        return torch.where(known.unsqueeze(-1), self(rows.clamp_min(0)), 0.0), int(known.sum())

    def _rows(self, scan: Scan) -> Tensor:
        """(n,), where the patterns of a scan stand among those that were fitted; -1 where they do not."""
        from scipy.spatial import cKDTree

        there, asked = self.identity.cpu().numpy(), _identity(scan)
        mean = max(float(there[:, 2].mean()), 1.0)
        distance, found = cKDTree(there / [1, 1, mean]).query(asked / [1, 1, mean])
        return torch.from_numpy(np.where(distance < _SAME, found, -1).astype(np.int64)).to(self.raw.device)


def _identity(scan: Scan) -> NDArray[np.float64]:
    counts = np.empty(len(scan))
    for run, frames in frame_chunks(scan.patterns, scan.bad_pixels):
        values = frames.astype(np.float32)
        amplitudes = (np.sqrt(values) if scan.domain == "counts" else values).astype(np.float64)
        counts[run] = np.square(amplitudes).sum((-2, -1))
    return np.column_stack((scan.positions_px, counts))
