r"""Scan positions that are fitted together with a network.

\[ r_n \leftarrow r_n + \delta_n - \bar\delta, \qquad \delta_n = \ell \tanh u_n \]

with the limit \(\ell\) in px and the fitted numbers u, of which one unit is about \(\ell\). The mean is taken off: a
common shift moves the object alone.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn

from ptychopinn.data.scan import Scan

_SAME = 1e-5
"""Distance of position (px) and of relative counts up to which two patterns are called the same."""


class PositionShifts(nn.Module):
    """How far the patterns of one scan lie from where they were said to be.

    The positions belong to the scan: of another scan, whose positions or counts differ, nothing is shifted.

    Args:
        count: N, patterns of the scan.
        limit_px: farthest that a position moves along an axis before the mean is taken off.
    """

    identity: Tensor
    """(N, 3) float64: position and counts of each pattern, by which it is known again."""

    def __init__(self, count: int, limit_px: float) -> None:
        super().__init__()
        self.limit_px = limit_px
        self.raw = nn.Parameter(torch.zeros(count, 2))
        self.register_buffer("identity", torch.zeros(count, 3, dtype=torch.float64))
        self.register_buffer("_rows", torch.arange(count), persistent=False)

    def remember(self, scan: Scan) -> None:
        """Take the patterns of a scan for those that are fitted, in this order."""
        self.identity.copy_(torch.from_numpy(_identity(scan)))

    def use(self, scan: Scan) -> int:
        """Look up the patterns of a scan among those that were fitted; how many of them are known."""
        there, asked = self.identity.cpu().numpy(), _identity(scan)
        mean = max(float(there[:, 2].mean()), 1.0)
        distance, found = cKDTree(there / [1, 1, mean]).query(asked / [1, 1, mean])
        rows = np.where(distance < _SAME, found, -1)
        self._rows = torch.from_numpy(rows.astype(np.int64)).to(self.raw.device)
        return int((rows >= 0).sum())

    def forward(self, index: Tensor) -> Tensor:
        """Shifts (..., 2), px, (y, x), of patterns `index` of the scan in use; 0 of those that were not fitted."""
        shifts = self.limit_px * torch.tanh(self.raw)
        rows = self._rows[index]
        return torch.where(rows.unsqueeze(-1) >= 0, (shifts - shifts.mean(0))[rows.clamp_min(0)], 0.0)

    def all(self) -> NDArray[np.float64]:
        """(N, 2), px, of the scan in use."""
        with torch.no_grad():
            return self(torch.arange(len(self._rows), device=self.raw.device)).cpu().double().numpy()


def _identity(scan: Scan) -> NDArray[np.float64]:
    counts = scan.amplitudes().astype(np.float64)
    measured = 1.0 if scan.bad_pixels is None else ~scan.bad_pixels
    return np.column_stack((scan.positions_px, np.square(counts * measured).sum((-2, -1))))
