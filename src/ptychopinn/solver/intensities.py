r"""The intensity of the beam in each pattern, fitted together with the object, once after each iteration.

A pattern fixes the object under it up to a factor, and its overlap with the others fixes the factors: the intensity
\(c_n\) of a pattern and the mean modulus of the object under it change the pattern alike. Steps of one and then of the
other take many iterations to agree over the whole scan, as all local steps do. So this step moves both, the logarithms
of the intensities and a slowly varying map m of the logarithm of the modulus, on bins of a part of the illuminated
width. With the share \(w_{nk}\) of bin k in the photons of pattern n, and its curvature \(h_n\) by \(\ln c_n\), half of
its photons, the loss is close to

\[ \sum_n \frac{h_n}{2} \sum_k w_{nk} (\ln c_n + 2 m_k)^2 , \]

and the intensities are eliminated exactly,

\[ \Big( \sum_n 4 h_n \big[ \mathrm{diag}(w_n) - q_n\, w_n w_n^T \big] + R \Big)\, m
   = -g + \sum_n 2 q_n\, w_n\, g_n , \qquad q_n = \frac{h_n}{h_n + 1 / 2 \sigma^2} , \]

with the gradients g by m and \(g_n\) by \(\ln c_n\), the curvature R of the penalties, and the spread \(\sigma\) of the
logarithms of the intensities, which is estimated from them: what the patterns do not determine stays at the mean.
The mean intensity is 1; the object takes up the rest. Where the probe is refined, a slope a of the logarithms of all
three moduli changes no pattern,

\[ P \to P\, e^{a \cdot r}, \qquad O \to O\, e^{-a \cdot R}, \qquad c_n \to c_n\, e^{2 a \cdot y_n} , \]

and is fixed by what is known beforehand, each with its weight: the modulus of the start probe, whose change has a part
t along \(r |P|\) beside those of a shift and a factor, with a variance v from what they leave of the change; and a beam
that varies at random, whose slope b has the variance w of a slope of independent numbers. The slope taken off is
\((t / v + 2 b / w) / (1 / v + 4 / w)\). So a probe that was poor at the start does not tilt the object.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from ptychopinn.config import RefineConfig
from ptychopinn.data.large_arrays import new_array
from ptychopinn.physics import extract_patches, place_patches, split_position
from ptychopinn.solver.bins import bin_side, binned, on_pixels
from ptychopinn.solver.low_frequencies import SQUARED_DIFFERENCE
from ptychopinn.solver.penalties import ObjectPenalty, gradient_by_object
from ptychopinn.solver.state import State

logger = logging.getLogger("ptychopinn.reconstruction")

START = 3
"""Iterations before: a start object of 1 would leave the absorption of the sample to the beam."""
CHECKS = ((0.3, 12, 0.06), (0.5, 18, 0.005))
"""When it is decided whether the intensities are needed: after a part of the iterations, and at least so many, with the
spread that is needed then. At 1e7 photons, where counting noise hides nothing of an image that is not finished, steady
beams seemed to vary by 0.4 to 4.7 % after 12 iterations and by 0.1 to 0.4 % after 20 (nine drawn scans)."""
LEAST_EXCESS = 20.0
"""Chosen on drawn scans: up to 7 with a steady beam (1e3 to 1e7 photons, good and poor probes) after half of the
iterations; 78 or more with 10 % rms from 1e4 photons on, 36 or more with 2 % from 1e5 on."""
FEWEST_AFTER = 8
"""Iterations that must follow."""
LENGTH = 0.7
"""Part of the step that is taken, since the gradients are those of the iteration as a whole."""
LARGEST_CHANGE = 0.2
"""Largest change of a logarithm in one step."""
SHIFT_COST = 1e-3
"""Ridge of the fit of a slope and a shift of the probe, which are the same where it is a Gaussian."""
ALIKE = 20.0
"""Pixels of the probe whose errors are alike."""
PATTERNS_AT_ONCE = 1024
"""Whose bins are held together: a few MB."""
_SMALLEST = 1e-12
LEAST_SPREAD = 1e-3
"""Of the logarithms of the intensities."""
ROUNDS = 30
"""Of the conjugate gradients, at most."""


@dataclass(frozen=True)
class Check:
    """When it is decided whether intensities are needed."""

    iteration: int
    least_spread: float
    """Of the logarithms of the intensities."""


@dataclass(frozen=True)
class Evidence:
    """That the beam varies."""

    spread: float
    """Standard deviation of the logarithms of the intensities that fit each pattern best."""
    excess: float
    """Mean square of these in units of their counting noise; about 1 for a steady beam. Where the model does not
    explain the patterns, in units of the misfit."""


def evidence(state: State) -> Evidence:
    r"""From the gradients of an iteration: \(-g_n / h_n\) fits best, with a variance of \(1 / 2 h_n\)."""
    own, twice = state.gathered.intensities, state.gathered.intensities_curvature.clamp_min(1e-12)
    excess = (2 * own.square() / twice).mean() / max(state.deviance, 1.0)
    return Evidence(float((own / twice).std()), float(excess))


def intensities_of(
    config: RefineConfig, penalties: Sequence[ObjectPenalty], beam: Tensor
) -> "PatternIntensities | None":
    """The constraint that a recipe asks for."""
    if config.intensities == "given" or not config.object:
        return None
    if config.intensities == "fitted":
        return PatternIntensities(penalties, beam)
    times = ((max(int(part * config.iterations), least), spread) for part, least, spread in CHECKS)
    checks = [Check(at, spread) for at, spread in times if at + FEWEST_AFTER < config.iterations]
    return PatternIntensities(penalties, beam, checks) if checks else None


@final
class PatternIntensities:
    """The constraint that moves intensities and the slow part of the modulus after each iteration."""

    def __init__(self, penalties: Sequence[ObjectPenalty], beam: Tensor, checks: Sequence[Check] = ()) -> None:
        self._penalties = penalties
        self._start = beam.sqrt()
        self._checks = {check.iteration: check for check in checks}

    def acts(self, state: State, iteration: int) -> bool:
        """Whether an iteration needs the gradients: a step follows, or a check whether it is needed."""
        if state.estimate.intensities is not None or not self._checks:
            return iteration >= START
        return iteration in self._checks

    def apply(self, state: State) -> None:
        """Take a step of both, and keep the mean intensity at 1."""
        estimate, gathered = state.estimate, state.gathered
        if not state.stage.intensities or not self._is_needed(state):
            return
        logarithm = _present(state).log()
        spread = max(float(logarithm.std()), LEAST_SPREAD) if len(logarithm) > 1 else LEAST_SPREAD
        if estimate.intensities is None:
            spread = 1.0
        prior = 0.5 / spread**2
        own, twice = gathered.intensities + prior * logarithm, gathered.intensities_curvature
        beam = _BinnedBeam(state)
        part = twice / (twice + prior)
        share = beam.shares(estimate.object_)
        diagonal = beam.placed(lambda some: 4 * twice[some, None, None] * share[some])
        diagonal = diagonal + 1e-3 * diagonal.amax()
        stiffness = self._stiffness(state)

        def curved(m: Tensor) -> Tensor:
            def windows(some: slice) -> Tensor:
                values = beam.cut(m, some)
                mean = (share[some] * values).sum((-2, -1), keepdim=True)
                return 4 * twice[some, None, None] * share[some] * (values - part[some, None, None] * mean)

            return beam.placed(windows) + stiffness * _laplacian(m) + 1e-3 * diagonal * m

        right = beam.placed(lambda some: share[some] * (2 * part * own)[some, None, None])
        m = _solved(curved, right - beam.on_bins(self._gradient(state)), diagonal + 4 * stiffness)
        under = torch.cat([(share[some] * beam.cut(m, some)).sum((-2, -1)) for some in beam.parts])
        change = -own / (twice + prior) - 2 * part * under
        length = LENGTH * min(1.0, LARGEST_CHANGE / max(float(change.abs().amax()), 2 * float(m.abs().amax()), 1e-12))
        logarithm = logarithm + length * change
        factor = (length * beam.on_pixels(m)).exp()
        mean = logarithm.exp().mean()
        estimate.intensities = logarithm.exp() / mean
        factor = (factor * mean.sqrt()).to(estimate.object_.real.dtype)
        estimate.object_ = estimate.object_ * factor
        state.object_velocity = state.object_velocity * factor
        if state.stage.probe:
            self._keep_slope(state)

    def _is_needed(self, state: State) -> bool:
        if state.estimate.intensities is not None or not self._checks:
            return True
        found, check = evidence(state), self._checks[state.stage.iteration]
        is_needed = found.excess > LEAST_EXCESS and found.spread > check.least_spread
        if is_needed:
            logger.info(
                "the photons of the patterns differ from the model by %.2g %% rms, %.3g times the variance of counting "
                "noise: the beam seems to vary from pattern to pattern, and its intensity in each is fitted "
                "(reconstruction.refine.intensities=given leaves it out)",
                100 * found.spread,
                found.excess,
            )
        return is_needed

    def _keep_slope(self, state: State) -> None:
        """Take off the slope that probe, object and intensities can share."""
        estimate = state.estimate
        assert estimate.intensities is not None
        rows, columns = (torch.arange(n, device=self._start.device) - n // 2 for n in self._start.shape)
        of_probe, doubt = _slope(self._start, estimate.beam().sqrt(), rows[:, None], columns)
        of_beam, doubt_of_beam = _slope_of_beam(estimate.intensities.log(), estimate.positions_px)
        weight, weight_of_beam = 1 / doubt, 1 / doubt_of_beam
        both = weight * of_probe + 2 * weight_of_beam * of_beam
        slope = (both / (weight + 4 * weight_of_beam)).to(self._start)
        beam = (-(slope[0] * rows[:, None] + slope[1] * columns)).exp()
        middle = estimate.positions_px.mean(0)
        along = [
            torch.arange(n, device=rows.device) - float(m) for n, m in zip(estimate.object_.shape, middle, strict=True)
        ]
        canvas = (slope[0] * along[0][:, None] + slope[1] * along[1]).exp()
        estimate.scale_beam(beam)
        state.probe_velocity, state.relaxation_velocity = (
            one * beam for one in (state.probe_velocity, state.relaxation_velocity)
        )
        estimate.object_, state.object_velocity = estimate.object_ * canvas, state.object_velocity * canvas
        places = (estimate.positions_px - middle) @ slope.to(middle)
        factors = estimate.intensities * (-2 * places).exp().to(estimate.intensities)
        mean = factors.mean()
        estimate.intensities = factors / mean
        estimate.object_, state.object_velocity = (
            one * float(mean.sqrt()) for one in (estimate.object_, state.object_velocity)
        )

    def _gradient(self, state: State) -> Tensor:
        """(Y, X): of data and penalties by the logarithm of the modulus."""
        by_object = gradient_by_object(state, self._penalties)
        return 2 * (state.estimate.object_.conj() * by_object).real

    def _stiffness(self, state: State) -> float:
        """R, of the differences between neighbouring bins."""
        weight = state.power / state.power.sum()
        mean_square = float((state.estimate.object_.abs().square() * weight).sum())
        return mean_square * sum(
            2 * p.curvature / SQUARED_DIFFERENCE if p.of_differences else 0.0 for p in self._penalties
        )


class _BinnedBeam:
    """Windows of the illumination on bins of the canvas."""

    def __init__(self, state: State) -> None:
        estimate = state.estimate
        self._exact = estimate.positions_px.dtype
        power = estimate.beam().to(self._exact)
        self._shape = (int(estimate.object_.shape[-2]), int(estimate.object_.shape[-1]))
        self.side = bin_side(power)
        side, (height, width) = self.side, power.shape
        sizes = [math.ceil((n + side - 1) / side) for n in (height, width)]
        whole, _ = split_position(estimate.positions_px)
        corner = whole - torch.tensor([height // 2, width // 2], device=whole.device)
        offset = corner % side
        self._beams = torch.stack([_moved(power, oy, ox, side, sizes) for oy in range(side) for ox in range(side)])
        self._beam_of = offset[:, 0] * side + offset[:, 1]
        self.parts = [slice(at, at + PATTERNS_AT_ONCE) for at in range(0, len(whole), PATTERNS_AT_ONCE)]
        self._where = corner.div(side, rounding_mode="floor") + torch.tensor(
            [n // 2 for n in sizes], device=whole.device
        )
        self._size = (sizes[0], sizes[1])
        rows, columns = (math.ceil(n / side) + more for n, more in zip(self._shape, sizes, strict=True))
        self._bins = (rows, columns)

    def on_bins(self, image: Tensor) -> Tensor:
        """Sums of an image (Y, X) over the bins."""
        found = binned(image, self.side) * self.side**2
        rows, columns = (total - n for total, n in zip(self._bins, found.shape, strict=True))
        return functional.pad(found, (0, columns, 0, rows)).to(self._exact)

    def on_pixels(self, bins: Tensor) -> Tensor:
        """(Y, X), interpolated."""
        return on_pixels(bins, self.side, self._shape)

    def shares(self, object_: Tensor) -> Tensor:
        """(N, h, w): of the bins in the photons of each pattern."""
        photons, found = self.on_bins(object_.abs().square()), _kept((len(self._where), *self._size), self._beams)
        for some in self.parts:
            windows = self._beams[self._beam_of[some]] * self.cut(photons, some)
            found[some] = windows / windows.sum((-2, -1), keepdim=True).clamp_min(1e-30)
        return found

    def cut(self, bins: Tensor, some: slice) -> Tensor:
        """(n, h, w): the bins under some patterns."""
        return extract_patches(bins, self._where[some], self._size)

    def placed(self, windows: Callable[[slice], Tensor]) -> Tensor:
        """Windows (n, h, w) of some patterns at a time, summed over all patterns, on the bins."""
        first, *others = self.parts
        total = place_patches(windows(first), self._where[first], self._bins)
        for some in others:
            total += place_patches(windows(some), self._where[some], self._bins)
        return total


def _kept(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Room for a tensor of a type and device, on the host in a scratch file where it is large."""
    if like.device.type != "cpu":
        return like.new_empty(shape)
    return torch.from_numpy(new_array(shape, str(like.dtype).removeprefix("torch.")))


def _present(state: State) -> Tensor:
    """(N,): 1 before the first step."""
    known = state.estimate.intensities
    return torch.ones_like(state.gathered.intensities) if known is None else known


def _slope_of_beam(logarithm: Tensor, positions_px: Tensor) -> tuple[Tensor, Tensor]:
    """(2,), 1/px: slope of logarithms (N,) over the scan, and its variance where they are independent."""
    places = positions_px - positions_px.mean(0)
    square = places.T @ places
    eye = torch.eye(2, dtype=square.dtype, device=square.device)
    inverse = torch.linalg.inv(square + _SMALLEST * (1 + square.trace()) * eye)
    slope = inverse @ (places.T @ logarithm.to(places))
    rest = (logarithm - places @ slope).var(unbiased=False).clamp_min(LEAST_SPREAD**2)
    return slope, rest * inverse.diagonal()


def _slope(start: Tensor, now: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """(2,), 1/px: slope of the logarithm of a modulus (H, W) against the start, and its variance.

    A factor and a shift are told from it as far as they differ; what all leave of the change makes the variance.
    """
    exact = torch.float32 if start.device.type == "mps" else torch.float64
    shifts = torch.gradient(start, dim=(-2, -1))
    parts = [rows * start, columns * start, start, *shifts]
    basis = torch.stack([part.flatten() for part in parts], 1).to(exact)
    square = basis.T @ basis
    inverse = torch.linalg.inv(square + SHIFT_COST * torch.diag(square.diagonal()))
    change = (now - start).flatten().to(basis)
    found = inverse @ (basis.T @ change)
    rest = (change - basis @ found).square().mean().clamp_min(_SMALLEST * float(start.square().mean()))
    return found[:2], ALIKE * rest * inverse.diagonal()[:2]


def _moved(power: Tensor, oy: int, ox: int, side: int, sizes: list[int]) -> Tensor:
    """Sums of intensities (H, W) over bins, after a shift by less than one."""
    height, width = power.shape
    full = functional.pad(power, (ox, sizes[1] * side - width - ox, oy, sizes[0] * side - height - oy))
    return full.view(sizes[0], side, sizes[1], side).sum((1, 3))


def _laplacian(m: Tensor) -> Tensor:
    """Minus the sum of differences to the four neighbours."""
    found = torch.zeros_like(m)
    down, across = m.diff(dim=0), m.diff(dim=1)
    found[1:] += down
    found[:-1] -= down
    found[:, 1:] += across
    found[:, :-1] -= across
    return found


def _solved(matrix: Callable[[Tensor], Tensor], right: Tensor, diagonal: Tensor) -> Tensor:
    """Conjugate gradients with the diagonal as preconditioner."""
    x = torch.zeros_like(right)
    rest = right.clone()
    step = rest / diagonal
    direction, old = step, (rest * step).sum()
    for _ in range(ROUNDS):
        image = matrix(direction)
        length = old / (direction * image).sum().clamp_min(1e-30)
        x = x + length * direction
        rest = rest - length * image
        step = rest / diagonal
        new = (rest * step).sum()
        direction, old = step + (new / old.clamp_min(1e-30)) * direction, new
    return x
