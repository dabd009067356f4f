"""Simulated amplitudes under the legacy names; layout (B, H, W, C)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptycho import params
from ptycho.probe import as_modes
from ptycho.tf_helper import channels_last, groups_first
from ptychopinn.physics import DiffractionModel, amplitude, count_photons, exit_wave
from ptychopinn.physics.scaling import rms_scale


def scale_nphotons(X: NDArray[Any]) -> float:
    """Factor that gives amplitudes (B, H, W, C) `params.cfg["nphotons"]` photons per pattern in the mean."""
    return rms_scale(groups_first(X), float(params.get("nphotons")))


def illuminate_and_diffract(
    Y_I: NDArray[Any], Y_phi: NDArray[Any], probe: NDArray[Any], intensity_scale: float | None = None, *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], float]:
    """Noisy amplitudes of an object: X = sqrt(Poisson((s A)^2)) / s, with A = |F[O P]|.

    Args:
        Y_I: (B, H, W, C), amplitude of the object; `Y_phi` is its phase, rad.
        probe: (H, W), (H, W, 1) or (modes, H, W) complex; modes add as intensities.
        intensity_scale: s; by default that of `scale_nphotons`. `seed` fixes the counts.

    Returns `(X, |O P|, Y_phi, s)`.

    Returns:
        `(X, |O P|, Y_phi, s)`.
    """
    modulus, phase = (groups_first(np.asarray(part, np.float32)) for part in (Y_I, Y_phi))
    object_, modes = torch.polar(modulus, phase), torch.from_numpy(as_modes(np.asarray(probe)))
    illuminated = channels_last(amplitude(exit_wave(modes, object_)))
    scale = scale_nphotons(illuminated) if intensity_scale is None else float(intensity_scale)
    counts = count_photons(DiffractionModel().photons(object_, scale * modes), torch.Generator().manual_seed(seed))
    return channels_last(counts.sqrt() / scale), illuminated, np.asarray(Y_phi), scale
