"""The model of a reconstruction in another pose: a ramp, a translation and a complex scale."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.phase import Pair, ramp_factor
from ptychopinn.metrics.translation import translate

MARGIN_PX = 24
"""Pixels around the mask that take part in the interpolation, where the frame has them."""
EDGE_PX = 2
"""Pixels next to unknown ones that do not count in the fit."""


@dataclass(frozen=True)
class Pose:
    """Parameters of the model."""

    shift: Pair = (0.0, 0.0)
    ramp: Pair = (0.0, 0.0)
    scale: complex = 1.0 + 0.0j


@dataclass(frozen=True, eq=False)
class Problem:
    """The part of the frame around the mask, and what may be fitted."""

    moving: NDArray[np.complex128]
    """(Y, X), the reconstruction."""
    target: NDArray[np.complex128]
    """(Y, X), the reference."""
    counts: NDArray[np.bool_]
    """(Y, X), where the agreement counts."""
    known: NDArray[np.bool_]
    """(Y, X), where the reconstruction is trusted."""
    origin: Pair
    """Element (of the box) where the ramp is zero."""
    shift: bool
    ramp: bool
    scale: bool
    last: dict[str, tuple[Any, NDArray[Any]]] = field(default_factory=dict)
    """The moved image and the valid pixels of the last pose: a search asks for each of them several times."""

    def model(self, pose: Pose) -> NDArray[np.complex128]:
        """s T_t[moving exp(i r.(x - x0))]."""
        key = pose.shift, pose.ramp
        if "moved" not in self.last or self.last["moved"][0] != key:
            self.last["moved"] = key, translate(self.flattened(pose.ramp), pose.shift)
        return pose.scale * self.last["moved"][1]

    def valid(self, shift: Pair) -> NDArray[np.bool_]:
        """Where the mask counts and the moved image is known; the mask alone where that leaves too little."""
        if "valid" not in self.last or self.last["valid"][0] != shift:
            self.last["valid"] = shift, self._valid(shift)
        return self.last["valid"][1]

    def _valid(self, shift: Pair) -> NDArray[np.bool_]:
        from scipy import ndimage

        near = ndimage.binary_erosion(moved_mask(self.known, shift), iterations=EDGE_PX)
        valid = self.counts & near
        return valid if 4 * valid.sum() > self.counts.sum() else self.counts

    def flattened(self, ramp: Pair) -> NDArray[np.complex128]:
        """moving exp(i r.(x - x0))."""
        return self.moving * ramp_factor(self.moving.shape, ramp, self.origin)

    def fitted_scale(self, model: NDArray[np.complex128], valid: NDArray[np.bool_]) -> complex:
        """Least-squares s of |ref - s model|, or its phase alone where the modulus is not to be fitted."""
        cross = complex(np.vdot(model[valid], self.target[valid]))
        if not self.scale:
            return complex(np.exp(1j * np.angle(cross)))
        power = float(np.sum(np.abs(model[valid]) ** 2))
        return cross / power if power > 0 and cross != 0 else 1.0 + 0.0j

    def contrast(self) -> float:
        """rms |ref - mean| over rms |ref|, on the mask."""
        values = self.target[self.counts]
        power = float(np.mean(np.abs(values) ** 2))
        return float(values.std() / np.sqrt(power)) if power > 0 else 0.0

    def residual(self, model: NDArray[np.complex128], valid: NDArray[np.bool_]) -> float:
        """rms |ref - model| over rms |ref|; not divided where the reference is zero."""
        power = float(np.sum(np.abs(self.target[valid]) ** 2))
        error = float(np.sum(np.abs((self.target - model)[valid]) ** 2))
        return float(np.sqrt(error / power)) if power > 0 else float(np.sqrt(error))


def problem_around(
    moving: NDArray[np.complex128],
    target: NDArray[np.complex128],
    counts: NDArray[np.bool_],
    support: NDArray[np.bool_] | None,
    free: tuple[bool, bool, bool],
) -> Problem:
    """Cut out the bounding box of the mask with a margin; without a support, the closed mask is trusted."""
    from scipy import ndimage

    rows, columns = np.flatnonzero(counts.any(1)), np.flatnonzero(counts.any(0))
    y0, x0 = max(rows[0] - MARGIN_PX, 0), max(columns[0] - MARGIN_PX, 0)
    box = np.s_[y0 : rows[-1] + 1 + MARGIN_PX, x0 : columns[-1] + 1 + MARGIN_PX]
    known = ndimage.binary_closing(np.pad(counts, 4), iterations=3)[4:-4, 4:-4] | counts
    if support is not None:
        known = support
    origin = (float(counts.shape[0] // 2 - y0), float(counts.shape[1] // 2 - x0))
    return Problem(moving[box], target[box], counts[box], known[box], origin, *free)


def scored(problem: Problem, pose: Pose, valid: NDArray[np.bool_]) -> tuple[Pose, float]:
    """The pose with its best scale, and the residual that is left."""
    model = problem.model(replace(pose, scale=1.0))
    scale = problem.fitted_scale(model, valid)
    return replace(pose, scale=scale), problem.residual(scale * model, valid)


def cost(problem: Problem, found: tuple[Pose, float]) -> float:
    """Squared error of a pose and its residual on all pixels that count, to compare poses that know different ones.

    A pixel that a pose leaves unknown has the error of a constant image, so that nothing is gained by moving what does
    not match out of the frame.
    """
    pose, residual = found
    valid = problem.valid(pose.shift)
    lost = problem.target[problem.counts & ~valid] - problem.target[problem.counts].mean()
    return float(residual**2 * np.sum(np.abs(problem.target[valid]) ** 2) + np.sum(np.abs(lost) ** 2))


def moved_mask(mask: NDArray[np.bool_], shift: Pair) -> NDArray[np.bool_]:
    """Pixels whose value after a translation comes from inside the mask; outside the frame nothing is."""
    from scipy import ndimage

    return ndimage.shift(mask.astype(np.float32), shift, order=1, mode="grid-constant", cval=0.0) > 0.99


def same_basin(a: Pose, b: Pose, shape: tuple[int, ...]) -> bool:
    """Whether two poses lie so near that a fine fit takes both to one place."""
    shift = max(abs(p - q) for p, q in zip(a.shift, b.shift, strict=True))
    turn = max(abs(p - q) * size for p, q, size in zip(a.ramp, b.ramp, shape, strict=True))
    return shift < 0.3 and turn < 0.5
