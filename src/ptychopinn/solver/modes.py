r"""Orthogonal probe modes: the unique form of incoherent modes, sorted by power.

Modes \(P_m\) and their unitary mixtures \(P'_j = \sum_m U_{jm} P_m\) give the same intensities,
\(\sum_j |\mathcal{F} P'_j O|^2 = \sum_m |\mathcal{F} P_m O|^2\), so that refined modes come out in any mixture. With
the singular value decomposition \(P = A S V^\dagger\) of the modes as rows of a matrix, \(U = A^\dagger\) makes them
orthogonal, with the squares of the singular values as their powers.
"""

from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from ptychopinn.solver.state import State
from ptychopinn.typing import Probe


@final
class OrthogonalModes:
    """Makes the modes orthogonal, the strongest first; the velocity of the probe is mixed by the same matrix.

    One mode stays as it is, and several probes are treated one by one. The steps of the solver treat all modes alike,
    so that mixing them changes neither the object nor the deviance, apart from rounding.
    """

    def apply(self, state: State) -> None:
        """Mix the modes, in iterations in which the probe is refined."""
        probe, several = state.estimate.probe, state.estimate.several
        probes = (probe,) if several is None else several.split(probe).unbind()
        if len(probes[0]) == 1 or not state.stage.probe:
            return
        mixtures = [orthogonal_mixture(one) for one in probes]
        velocities = state.probe_velocity.split(len(probes[0]))
        state.estimate.probe = torch.cat([mixed(*pair) for pair in zip(probes, mixtures, strict=True)])
        state.probe_velocity = torch.cat([mixed(*pair) for pair in zip(velocities, mixtures, strict=True)])
        known = state.estimate.relaxation
        if known is not None:
            state.estimate.relaxation = replace(known, modes=_each_mixed(known.modes, mixtures[0]))
            state.relaxation_velocity = _each_mixed(state.relaxation_velocity, mixtures[0])


def orthogonal_mixture(probe: Probe) -> Tensor:
    """U, (M, M) unitary, complex128 on the CPU, for which `mixed(probe, U)` is orthogonal and sorted by power.

    The mode that each new one has most of keeps its phase.
    """
    modes = probe.flatten(1).cpu().to(torch.complex128)
    mixture = torch.linalg.svd(modes, full_matrices=False).U.mH
    largest = mixture.gather(1, mixture.abs().argmax(1, keepdim=True))
    return mixture * largest.sgn().conj()


def mixed(modes: Tensor, mixture: Tensor) -> Tensor:
    """Linear combinations of modes (M, H, W) by the rows of a matrix (M, M)."""
    return (mixture.to(modes) @ modes.flatten(1)).view_as(modes)


def _each_mixed(modes: Tensor, mixture: Tensor) -> Tensor:
    """The same of each change of the probe, (K, M, H, W)."""
    return torch.stack([mixed(one, mixture) for one in modes])
