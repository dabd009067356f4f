r"""Orthogonal probe relaxation: modes by which the probe varies, and their weights in each pattern.

The modes take the same steps as the probe after each batch, with their own gradients. After each iteration the weights
\(a_n\) of every pattern take the step of Gauss and Newton, with the expected second derivative H and the prior that
their mean square is 1,

\[ a_n \leftarrow a_n - \Big( H_n + \tfrac12 \Big)^{-1} \Big( \frac{\partial L}{\partial a_n} + \tfrac12 a_n \Big) , \]

so that a mode that explains little fades. What probe and modes can exchange is then fixed by rule, and no pattern
changes but by what is named here:

1. The mean weights are 0; the probe takes up the mean.
2. The modes are orthogonal to the probe. A part of it times a weight would be the intensity of the pattern, which
   `intensities` fits, and a phase of the pattern, which nothing determines: both are removed.
3. The weights of two modes are not correlated, each has a mean square of 1, and the modes are orthogonal (real part of
   the scalar product) and sorted by power: the singular value decomposition of the N varying parts of the probe.

Every pattern begins with random weights of modes that are 0. The first steps of the modes are then random sums of the
gradients of single patterns, which span what varies most (N. Halko et al., SIAM Rev. 53, 217 (2011)).
"""

from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.solver.state import State

START = 4
"""Iterations before the modes begin: without an object the probe would vary in its place. After 8, object and probe had
taken up what varies: on drawn scans a run diverged, and another lost 8 dB."""
PRIOR = 0.5
"""Curvature of the prior of a weight of mean square 1, in units of the loss, half of minus the log-likelihood."""
LARGEST_STEP = 0.5
"""Change of a weight in one iteration, in units of its root mean square: modes and weights move together, and with
whole steps their product swings and can diverge."""
LARGEST = 4.0
"""Weight."""
_SMALLEST = 1e-12


def with_relaxation(estimate: Estimate, config: RefineConfig) -> Estimate:
    """The estimate with the modes that a recipe asks for, 0 where it has none yet."""
    if not config.probe_relaxation or estimate.relaxation is not None:
        return estimate
    draw = torch.Generator().manual_seed(config.seed)
    count = len(estimate.positions_px)
    weights = torch.randn(count, config.probe_relaxation, generator=draw, dtype=torch.float64)
    weights = (weights - weights.mean(0)) / weights.std(0, unbiased=False).clamp_min(_SMALLEST)
    modes = estimate.probe.new_zeros(config.probe_relaxation, *estimate.probe.shape)
    return replace(estimate, relaxation=ProbeRelaxation(modes, weights.to(estimate.positions_px)))


def first_iteration(config: RefineConfig) -> int:
    """In which the modes begin."""
    return max(config.probe_start, START)


@final
class RelaxedProbe:
    """The constraint that moves the weights after each iteration, and keeps the rules above.

    Args:
        first: iteration in which the modes begin; the weights follow in the next one.
    """

    def __init__(self, first: int) -> None:
        self._first = first

    def apply(self, state: State) -> None:
        """Take a step."""
        known = state.estimate.relaxation
        if not state.stage.relaxation or known is None:
            return
        weights = known.weights
        if state.stage.iteration > self._first:
            change = _step(weights, state.gathered.relaxation, state.gathered.relaxation_curvature)
            weights = (weights - change.clamp(-LARGEST_STEP, LARGEST_STEP)).clamp(-LARGEST, LARGEST)
        estimate, mean = state.estimate, weights.mean(0)
        estimate.probe = estimate.probe + _sum(known.modes, mean)
        state.probe_velocity = state.probe_velocity + _sum(state.relaxation_velocity, mean)
        modes, velocity = (_without(one, estimate.probe) for one in (known.modes, state.relaxation_velocity))
        weights = weights - mean
        of_modes, of_weights = decorrelating(modes, weights)
        estimate.relaxation = ProbeRelaxation(_mixed(modes, of_modes), weights @ of_weights.to(weights))
        state.relaxation_velocity = _mixed(velocity, of_modes)


def decorrelating(modes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    r"""Matrices (K, K) that change modes and weights so that all varying parts \(\sum_k a_{nk} V_k\) stay as they are.

    With \(A^T A = N C C^T\) of the weights and the eigenvectors U of \(C^T G C\), where G holds the real scalar
    products of the modes: \(V \to U^T C^T V\), \(A \to A C^{-T} U\).

    Args:
        modes: (K, M, H, W).
        weights: (N, K).

    Returns:
        That of the modes, applied from the left, and that of the weights, applied from the right; float64 on the CPU.
    """
    exact = weights.double().cpu()
    flat = torch.view_as_real(modes.resolve_conj()).flatten(1).double().cpu()
    covariance = exact.mT @ exact / len(exact)
    covariance = covariance + _SMALLEST * torch.eye(len(flat), dtype=torch.float64)
    root = torch.linalg.cholesky(covariance)
    powers, axes = torch.linalg.eigh(root.mT @ (flat @ flat.mT) @ root)
    axes = axes[:, powers.argsort(descending=True)]
    return axes.mT @ root.mT, torch.linalg.solve_triangular(root.mT, axes, upper=True)


def _step(weights: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """(N, K)."""
    identity = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    return torch.linalg.solve(curvature + PRIOR * identity, slope + PRIOR * weights)


def _sum(modes: Tensor, factors: Tensor) -> Tensor:
    """(M, H, W), from (K, M, H, W) and (K,)."""
    return torch.tensordot(factors.to(modes), modes, dims=1)


def _mixed(modes: Tensor, mixture: Tensor) -> Tensor:
    """Linear combinations of modes (K, M, H, W) by the rows of a matrix (K, K)."""
    return (mixture.to(modes) @ modes.flatten(1)).view_as(modes)


def _without(modes: Tensor, probe: Tensor) -> Tensor:
    """Modes (K, M, H, W) without their part along the probe."""
    along = probe.flatten()
    part = modes.flatten(1) @ along.conj() / along.abs().square().sum().clamp_min(_SMALLEST)
    return modes - part[:, None, None, None] * probe
