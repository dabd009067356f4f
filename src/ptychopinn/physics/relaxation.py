r"""Orthogonal probe relaxation: a probe that varies from pattern to pattern by a few modes.

\[ P_{nm} = P_m + \sum_k a_{nk} V_{km} \]

with K modes \(V_k\), each of them a change of all M incoherent modes together, and real weights \(a_{nk}\)
(M. Odstrcil et al., Opt. Express 24, 8360 (2016)).
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@final
@dataclass(frozen=True)
class ProbeRelaxation:
    """Modes by which the probe varies, and their weights.

    >>> modes = torch.zeros(1, 1, 2, 2, dtype=torch.complex64)
    >>> modes[0, 0, 1, 0] = 2j
    >>> ProbeRelaxation(modes, torch.tensor([[0.5], [-1.0]])).of(torch.tensor([1]))[0, 0].tolist()
    [[0j, 0j], [-2j, 0j]]
    """

    modes: Complex[Tensor, "K M H W"]
    """sqrt(photons)."""
    weights: Float[Tensor, "N K"]
    """Of each mode in each pattern."""

    def of(self, index: Tensor | slice) -> Complex[Tensor, "B M H W"]:
        """What is added to the probe in some patterns."""
        return self.combined(self.modes, index)

    def combined(self, modes: Tensor, index: Tensor | slice) -> Tensor:
        """(B, M, H, W): the same with modes (K, M, H, W) in another form, such as their spectra."""
        weights = self.weights[index].to(modes)
        return (weights @ modes.flatten(1)).view(len(weights), *modes.shape[1:])

    def gathered(self, waves: Tensor, index: Tensor) -> Tensor:
        """(K, M, H, W): the adjoint of `combined`, from waves (B, M, H, W)."""
        weights = self.weights[index].to(waves)
        return (weights.mT @ waves.flatten(1)).view(-1, *waves.shape[1:])

    def scaled(self, factor: Tensor | float) -> "ProbeRelaxation":
        """The modes times a factor, one number or (H, W)."""
        return ProbeRelaxation(self.modes * factor, self.weights)

    def to(self, device: torch.device) -> "ProbeRelaxation":
        """The same on a device."""
        return ProbeRelaxation(self.modes.to(device), self.weights.to(device))

    @property
    def photons(self) -> Tensor:
        """(K,): of each mode."""
        return self.modes.abs().square().sum((-3, -2, -1))
