"""Scores of a reconstruction under the legacy name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eval_reconstruction(amplitude: NDArray[Any], phase: NDArray[Any], ground_truth: NDArray[Any]) -> dict[str, Any]:
    """Compare a reconstruction with the known object, after registration and removal of global phase and ramp.

    Args:
        amplitude: (Y, X), or (Y, X, 1), as the others.
        phase: rad.
        ground_truth: complex, in the same frame.

    Returns:
        MAE, MSE, PSNR, SSIM, MS-SSIM and FRC of `ptychopinn.metrics.compare`, each with its peak or threshold named.
    """
    from ptychopinn.metrics import compare

    parts = (np.asarray(values) for values in (amplitude, phase, ground_truth))
    modulus, angle, truth = (part[..., 0] if part.ndim == 3 and part.shape[-1] == 1 else part for part in parts)
    return compare(modulus * np.exp(1j * angle), truth)
