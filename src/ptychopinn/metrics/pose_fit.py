"""Fine fit of a pose: damped Newton iteration on shift, ramp and complex scale together."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.pose import Pose, Problem, scored
from ptychopinn.metrics.translation import translate_with_gradient


def fine_fit(problem: Problem, start: Pose, steps: int = 15) -> tuple[Pose, float]:
    """Damped Newton iteration on all free parameters; the set of pixels is fixed by the start."""
    valid = problem.valid(start.shift)
    slopes = tuple(by[valid] for by in translate_with_gradient(problem.target, (0.0, 0.0))[1:])
    pose, best = scored(problem, start, valid)
    damping = 1e-6
    linear = _linearised(problem, pose, valid, slopes)
    for _ in range(steps):
        step = _damped_step(*linear, damping)
        trial, residual = scored(problem, _stepped(pose, step), valid)
        if residual < best:
            gain, pose, best, damping = best - residual, trial, residual, damping / 10
            if _is_small(step, valid.shape) or gain < 1e-6 * best:
                break
            linear = _linearised(problem, pose, valid, slopes)
        elif damping > 1 or _is_small(step, valid.shape):
            break
        else:
            damping *= 100
    return pose, best


def _is_small(step: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether a step moves no pixel by 1e-5 px and turns none by 1e-5 rad."""
    return bool(np.max(np.abs(step[:2])) < 1e-5 and np.max(np.abs(step[2:4]) * shape) < 1e-5)


def _linearised(
    problem: Problem, pose: Pose, valid: NDArray[np.bool_], slopes: tuple[NDArray[np.complex128], ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curvature and right-hand side for steps in (shift y, x; ramp y, x; log modulus; phase of the scale).

    The curvature of -2 Re <ref, m> is Re <d ref, d m>: noise of the reconstruction, which has no counterpart
    in the reference, does not enter. Where that is not positive definite, Re <d m, d m> takes its place.
    """
    moved, *gradient = translate_with_gradient(problem.flattened(pose.ramp), pose.shift)
    y, x = np.nonzero(valid)
    arms = np.stack([y, x]) - np.array(problem.origin)[:, None] - np.array(pose.shift)[:, None]
    free = np.array([problem.shift] * 2 + [problem.ramp] * 2 + [problem.scale, True])
    target, model = problem.target[valid], pose.scale * moved[valid]
    of_model = _derivatives(model, tuple(pose.scale * by[valid] for by in gradient), arms, free)
    curvature = (of_model.conj() @ _derivatives(target, slopes, arms, free).T).real
    curvature = (curvature + curvature.T) / 2
    if np.linalg.eigvalsh(curvature[np.ix_(free, free)])[0] <= 0:
        curvature = (of_model.conj() @ of_model.T).real
    return curvature, (of_model.conj() @ (target - model)).real


def _derivatives(
    values: NDArray[np.complex128],
    slopes: tuple[NDArray[np.complex128], ...],
    arms: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.complex128]:
    """(6, pixels): derivatives of an image by the six parameters, zero for those that are not free."""
    columns = [*slopes, 1j * arms[0] * values, 1j * arms[1] * values, values, 1j * values]
    return np.stack(columns) * free[:, None]


def _damped_step(matrix: NDArray[np.float64], side: NDArray[np.float64], damping: float) -> NDArray[np.float64]:
    """Solve in units of each parameter's own curvature; parameters that change nothing stay."""
    unit = np.sqrt(np.diag(matrix))
    unit = np.where(unit > 1e-12 * unit.max(initial=0.0), unit, np.inf)
    scaled = matrix / unit[:, None] / unit[None, :] + damping * np.eye(len(unit))
    step = np.linalg.lstsq(scaled, side / unit, rcond=1e-12)[0] / unit
    largest = float(np.max(np.abs(step[:2])))
    return step / largest if largest > 1 else step  # the model is linear within a pixel


def _stepped(pose: Pose, step: NDArray[np.float64]) -> Pose:
    shift_y, shift_x, ramp_y, ramp_x = (float(value) for value in step[:4])
    return replace(
        pose,
        shift=(pose.shift[0] + shift_y, pose.shift[1] + shift_x),
        ramp=(pose.ramp[0] + ramp_y, pose.ramp[1] + ramp_x),
    )
