r"""A smooth distortion of the whole scan: scale, shear, rotation, drift, fitted together with the object.

An object that was reconstructed at smoothly wrong positions is distorted too, and agrees with them, so that steps of
single positions would find such an error only after hundreds of iterations. The distortion u has a step of its own,
which moves the object along,

\[ y_n \leftarrow y_n + u(y_n), \qquad O(r) \leftarrow O(r - u(r)), \qquad
   u_a(r) = \sum_k c_{ka} \phi_k(r), \]

so that only the strain \(\partial_b u_a\) of each patch changes its pattern: gradient and curvature of c follow from
those of the strains, and from the prior of the positions. The functions \(\phi_k\) are products of Legendre polynomials
over the scan, less their means, of as high a degree as the number of positions allows.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.polynomial import legendre
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.solver.state import State
from ptychopinn.typing import Canvas

DISTORTION_STEP = 0.5
"""Part of the way to the distortion that fits best, in one step."""
HIGHEST_DEGREE = 6
"""Of the polynomials."""
POSITIONS_PER_FUNCTION = 7
"""With fewer positions for each function a distortion cannot be separated from their random errors: the degree is
lowered, down to none."""
USUAL_LIMIT = 16.0
"""Default limit of a correction, in units of the prior: it clips neither errors nor drifts of several pixels. Doubled,
a canvas of 64 px patterns would be up to 32 px wider."""
_SMALLEST = 1e-12


@final
@dataclass(frozen=True)
class Field:
    """A smooth displacement, px: Legendre polynomials between two corners, constant beyond them."""

    first: NDArray[np.float64]
    """(2,), px, where the polynomials' argument is -1."""
    last: NDArray[np.float64]
    """(2,), px, where it is 1."""
    degree: int
    weights: Tensor
    """(K, 2): of every function for y and x."""
    shift: Tensor
    """(2,), px: added everywhere."""

    def on(self, shape: tuple[int, ...]) -> Tensor:
        """(Y, X, 2) on the pixels of a canvas."""
        weights = torch.zeros(self.degree + 1, self.degree + 1, 2, dtype=self.weights.dtype)
        for (i, j), weight in zip(orders(self.degree), self.weights.cpu(), strict=True):
            weights[i, j] = weight
        rows, columns = (
            torch.from_numpy(legendre.legvander(_argument(np.arange(side, dtype=np.float64), first, last), self.degree))
            for side, first, last in zip(shape, self.first, self.last, strict=True)
        )
        field = torch.einsum("yi,xj,ija->yxa", rows, columns, weights.double())
        return field.to(self.weights) + self.shift


@final
class DistortionStep:
    """Fits the distortion, once after each iteration.

    Args:
        start_px: (N, 2), the positions at the start.
        config: prior, longest step, limit, whether the object is refined, and whether a distortion is fitted.

    Attributes:
        reference_px: (N, 2), the start positions moved by the distortion found so far; corrections of single positions
            are counted from these.
    """

    def __init__(self, start_px: Tensor, config: RefineConfig) -> None:
        self._start = start_px
        self.reference_px = start_px
        self._config = config
        self._prior = prior_weight(config)
        known = start_px.detach().cpu().double().numpy()
        self._first, self._last = known.min(0), known.max(0)
        self.degree = self._fitting_degree(len(known))
        values, slopes = (start_px.new_tensor(x) for x in _functions(known, self._first, self._last, self.degree))
        self._means, self._slopes = values.mean(0), slopes
        self._values = values - self._means
        columns = torch.cat((torch.ones_like(start_px[:, :1]), self._values), 1)
        self._smooth = torch.linalg.qr(columns.cpu()).Q.to(start_px.device)

    @property
    def possible(self) -> bool:
        """Whether a distortion is fitted: asked for, with the object, and with enough positions."""
        return self._config.positions_distortion and self._config.object and self.degree > 0

    def apply(self, state: State) -> None:
        """Move positions, object and its velocity by the distortion of one step."""
        if not state.stage.distortion:
            return
        estimate, gathered = state.estimate, state.gathered
        estimate.positions_px, field = self.distorted(estimate.positions_px, gathered.strain, gathered.strain_curvature)
        images = torch.stack((estimate.object_, state.object_velocity))
        moved = displaced(images, field.on(estimate.object_.shape))
        estimate.object_, state.object_velocity = moved

    def distorted(self, positions_px: Tensor, gradient: Tensor, curvature: Tensor) -> tuple[Tensor, Field]:
        """Positions (N, 2) and the field that moved them, from gradient (N, 4) and curvature (N, 4, 4) by strain."""
        values, slopes, count = self._values, self._slopes, 2 * self._values.shape[1]
        by_weight = torch.einsum("nab,nkb->ka", gradient.unflatten(1, (2, 2)), slopes)
        by_weight = by_weight + self._prior * values.T @ (positions_px - self._start)
        strains = curvature.unflatten(1, (2, 2)).unflatten(3, (2, 2))
        twice = torch.einsum("nkb,nabcd,nld->kalc", slopes, strains, slopes).reshape(count, count)
        eye = torch.eye(2, dtype=values.dtype, device=values.device)
        twice = twice + self._prior * torch.kron(values.T @ values, eye)
        weights = -DISTORTION_STEP * torch.linalg.solve(twice, by_weight.flatten()).view(-1, 2)
        longest = (values @ weights).norm(dim=-1).amax().clamp_min(_SMALLEST)
        weights = weights * (self._config.positions_step_px / longest).clamp_max(1)
        self.reference_px = self.reference_px + values @ weights
        field = Field(self._first, self._last, self.degree, weights, -self._means @ weights)
        return limited(positions_px + values @ weights, self._start, self._config), field

    def without_smooth_part(self, displacement: Tensor) -> Tensor:
        """A displacement (N, 2), px, less its common shift and its smooth part.

        The object can take these up itself. Without a distortion that is fitted, the smooth part is of the first
        degree: scale, shear and rotation. If the object is not refined it fixes the positions, and nothing is removed.
        """
        if not self._config.object:
            return displacement
        return displacement - self._smooth @ (self._smooth.T @ displacement)

    def _fitting_degree(self, count: int) -> int:
        highest = HIGHEST_DEGREE if self._config.positions_distortion else 1
        fits = [d for d in range(1, highest + 1) if POSITIONS_PER_FUNCTION * (len(orders(d)) + 1) <= count]
        narrow = bool((self._last - self._first < 1).any())
        return 0 if narrow or not fits else fits[-1]


def prior_weight(config: RefineConfig) -> float:
    r"""\(1 / 2 \sigma^2\), 1/px^2, of the prior that position errors have a deviation \(\sigma\) along an axis."""
    return 0.5 / config.positions_prior_px**2


def limit_px(config: RefineConfig) -> float:
    """Largest correction along an axis, px; see `with_limit`."""
    limit = config.positions_limit_px
    return USUAL_LIMIT * config.positions_prior_px if limit is None else limit


def with_limit(config: RefineConfig, width_px: int) -> RefineConfig:
    """The settings with a number where the limit of the positions is to be chosen.

    Args:
        config: null in `positions_limit_px` stands for a choice.
        width_px: of a pattern. A position that is wrong by more than a quarter of it is not found.

    >>> with_limit(RefineConfig(), 64).positions_limit_px, with_limit(RefineConfig(), 16).positions_limit_px
    (16.0, 4.0)
    """
    if config.positions_limit_px is not None:
        return config
    return config.changed(positions_limit_px=min(limit_px(config), width_px / 4))


def limited(positions_px: Tensor, start_px: Tensor, config: RefineConfig) -> Tensor:
    """Positions (N, 2) no farther than the recipe's limit from where they started, along each axis."""
    limit = limit_px(config)
    return start_px + (positions_px - start_px).clamp(-limit, limit)


def orders(degree: int) -> list[tuple[int, int]]:
    """Orders in y and x of the functions of a field, without the constant one.

    >>> orders(1)
    [(0, 1), (1, 0)]
    """
    return [(i, j) for i in range(degree + 1) for j in range(degree + 1) if 1 <= i + j <= degree]


def displaced(images: Canvas, field: Tensor) -> Canvas:
    r"""Complex images (K, Y, X) at \(r - u(r)\), by bicubic interpolation; edge values go on beyond the canvas.

    Args:
        images: of one shape.
        field: u, (Y, X, 2), px.
    """
    axes = (torch.arange(side, device=field.device, dtype=field.dtype) for side in images.shape[-2:])
    source = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - field
    first = source.floor()
    rest = (source - first).to(images.real.dtype)
    height, width = images.shape[-2:]
    rows, columns = (
        [(first[..., axis].long() + k).clamp(0, side - 1) for k in range(-1, 3)]
        for axis, side in enumerate((height, width))
    )
    down, across = _cubic(rest[..., 0]), _cubic(rest[..., 1])
    flat = images.flatten(1)
    moved = torch.zeros_like(images)
    for row, by_row in zip(rows, down, strict=True):
        for column, by_column in zip(columns, across, strict=True):
            moved += flat[:, row * width + column] * (by_row * by_column)
    return moved


def _cubic(rest: Tensor) -> list[Tensor]:
    """Weights of four neighbours from the part t of a pixel beyond the second one (Keys 1981, a = -1/2).

    They keep linear functions, so that a short way moves an image by its length. The weights of torch's `grid_sample`
    (a = -3/4) do not: they move it by 1.5 times a short way.
    """
    square, cube = rest.square(), rest**3
    return [
        -0.5 * cube + square - 0.5 * rest,
        1.5 * cube - 2.5 * square + 1,
        -1.5 * cube + 2 * square + 0.5 * rest,
        0.5 * cube - 0.5 * square,
    ]


def _argument(px: NDArray[np.float64], first: float, last: float) -> NDArray[np.float64]:
    return np.clip(2 * (px - first) / (last - first) - 1, -1, 1)


def _functions(
    px: NDArray[np.float64], first: NDArray[np.float64], last: NDArray[np.float64], degree: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values (N, K) and slopes (N, K, 2), per px, of the functions at positions (N, 2)."""
    if degree == 0:
        return np.zeros((len(px), 0)), np.zeros((len(px), 0, 2))
    plain, steep = [], []
    for axis in (0, 1):
        argument = _argument(px[:, axis], first[axis], last[axis])
        plain.append(legendre.legvander(argument, degree))
        slopes = legendre.legder(np.eye(degree + 1), axis=0)
        steep.append(legendre.legvander(argument, degree - 1) @ slopes * 2 / (last[axis] - first[axis]))
    chosen = tuple(np.array(orders(degree)).T)
    values = (plain[0][:, :, None] * plain[1][:, None, :])[:, *chosen]
    down = (steep[0][:, :, None] * plain[1][:, None, :])[:, *chosen]
    across = (plain[0][:, :, None] * steep[1][:, None, :])[:, *chosen]
    return values, np.stack((down, across), -1)
