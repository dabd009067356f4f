"""Scores of a reconstruction under the legacy name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eval_reconstruction(amplitude: NDArray[Any], phase: NDArray[Any], ground_truth: NDArray[Any]) -> dict[str, Any]:
    """Compare amplitude and phase (rad) with the known complex object by `ptychopinn.metrics.compare`.

    All three are (Y, X) or (Y, X, 1), in one frame.

    Args:
        amplitude: (Y, X).
        phase: (Y, X), rad.
        ground_truth: (Y, X) complex, in the same frame; both may have a last axis of 1.

    Returns:
        MAE, MSE, PSNR, SSIM, MS-SSIM and FRC of `ptychopinn.metrics.compare`, each with its peak or threshold named.

    Raises:
        ValueError: arrays that do not fit or are not finite.
    """
    from ptychopinn.metrics import compare

    parts = (np.asarray(values) for values in (amplitude, phase, ground_truth))
    modulus, angle, truth = (part[..., 0] if part.ndim == 3 and part.shape[-1] == 1 else part for part in parts)
    return compare(modulus * np.exp(1j * angle), truth)
