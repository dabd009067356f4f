"""Cheap examples: samples with noise on the canvas, without patterns, smoothed by the penalty of the solver."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.losses import Smoothness
from ptychopinn.physics.steps import damping_floor
from ptychopinn.prior.canvas import STEP_DAMPING
from ptychopinn.simulation.fields import random_field
from ptychopinn.solver.penalties import EDGE, smoothness_by_dose
from ptychopinn.studies.prior.scans import draw_sample
from ptychopinn.studies.prior.solved import AS_CHOSEN, WEAKEST, Solved

SIDE_PX = 128
PHOTONS = (4.0, 3000.0)
"""On a pixel, as of scans of 5e2 to 4e5 photons in a pattern."""
CURVATURE = (0.4, 0.8)
"""Of the loss over that of photons whose phase was known: counts say nothing of the phases on the detector."""
SWEEPS = 40


def noised_seed(seed: int) -> Solved:
    """A sample under uneven light, noise in sigma, and the optimum of noise and penalty."""
    rng = np.random.default_rng([seed, 2])
    shape = (SIDE_PX, SIDE_PX)
    truth, relation = draw_sample(shape, rng)
    dose = float(np.exp(rng.uniform(*np.log(PHOTONS))))
    power = dose * _light(shape, rng)
    noisy = truth + _noise(shape, rng) * 0.5 / np.sqrt(power)
    curvature = float(rng.uniform(*CURVATURE))
    factor = 1.0 if rng.uniform() < AS_CHOSEN else float(np.exp(rng.uniform(np.log(WEAKEST), 0)))
    measured = torch.from_numpy(noisy.astype(np.complex64)), torch.from_numpy(power.astype(np.float32))
    object_ = _penalised(*measured, curvature, factor * smoothness_by_dose(dose))
    floor = damping_floor(measured[1], STEP_DAMPING)
    step = curvature * measured[1] * (measured[0] - object_) / (measured[1] + floor)
    facts: dict[str, Any] = {"seed": seed, "noised": True, "relation": relation, "photons_per_px": dose}
    ones = np.ones(shape, np.float32)
    return Solved(object_.numpy(), step.numpy(), power.astype(np.float32), ones, truth, facts)


def _light(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Relative intensity: slow changes, the grain of overlapping beams, and perhaps an edge of the scan."""
    slow, fine = random_field(shape, 4.0, rng), random_field(shape, 2.5, rng)
    light = np.exp(0.2 * slow + rng.uniform(0, 0.4) * fine)
    if rng.uniform() < 0.5:
        ramp = np.linspace(-rng.uniform(5, 40), 120, shape[0])
        light = light / (1 + np.exp(-ramp / 8))[:, None]
    return np.maximum(light, 1e-3)


def _noise(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.complex128]:
    """Complex noise of about one in real and imaginary part, with more or less power at low frequencies."""
    white = rng.standard_normal((2, *shape))
    k = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None])
    shaped = np.sqrt(1 + rng.uniform(-0.5, 4) * np.exp(-np.square(k / rng.uniform(0.03, 0.3))))
    return rng.uniform(0.8, 1.3) * np.fft.ifft2(np.fft.fft2(white[0] + 1j * white[1]) * shaped)


def _penalised(noisy: Tensor, power: Tensor, curvature: float, weight: float) -> Tensor:
    """The minimum of c W |O - z|^2 and the penalty of the solver, by accelerated steps."""
    penalty = Smoothness(EDGE)
    object_ = ahead = noisy
    scale = curvature * power + 2 * penalty.curvature * weight
    for sweep in range(SWEEPS):
        gradient = curvature * power * (ahead - noisy) + weight * penalty.gradient(ahead)
        stepped = ahead - gradient / scale
        ahead = stepped + sweep / (sweep + 3) * (stepped - object_)
        object_ = stepped
    return object_
