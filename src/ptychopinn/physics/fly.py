r"""Fly scans: the sample moves during an exposure, and a pattern is the mean of those along the path.

\[ \lambda_n = \frac{1}{S} \sum_{s=1}^{S} \lambda(y_n + d_s), \qquad
   d_s = \Big( \frac{s - 1/2}{S} - \frac12 \Big)\, d \]

for the path d of an exposure whose middle is the position \(y_n\). In the far field a shift of sample and beam together
changes no intensity, so that the beam may move instead: each probe mode becomes S incoherent modes,
\(P_m(r - d_s) / \sqrt{S}\), and all else of the forward model stays. The sign of d has no effect. (J. N. Clark et al.,
Phys. Rev. Lett. 112, 113901 (2014).)
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ptychopinn.physics.shift import shift_phase


@final
@dataclass(frozen=True)
class ExposurePath:
    """The path of every exposure, and how finely it is summed.

    >>> ExposurePath((2.0, -4.0), 2).offsets_px().tolist()
    [[-0.5, 1.0], [0.5, -1.0]]
    """

    path_px: tuple[float, float]
    """(y, x), px."""
    steps: int
    """S."""

    def offsets_px(self) -> Tensor:
        """(S, 2), float64: d_s."""
        middle = (torch.arange(self.steps, dtype=torch.float64) + 0.5) / self.steps - 0.5
        return middle[:, None] * torch.tensor(self.path_px, dtype=torch.float64)

    def phases(self, like: Tensor) -> Tensor:
        r"""(S, 1, H, W): what the spectrum of a probe mode is multiplied by, with \(1 / \sqrt{S}\).

        Zero frequency lies at (0, 0).

        Args:
            like: complex (..., H, W), of the size, precision and device.
        """
        offsets = self.offsets_px().to(like.device, like.real.dtype)
        phases = shift_phase(offsets, (like.shape[-2], like.shape[-1]), centred=False)
        return phases.unsqueeze(1) / self.steps**0.5
