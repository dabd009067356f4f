"""Scores of a reconstruction under the earlier name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eval_reconstruction(amplitude: NDArray[Any], phase: NDArray[Any], ground_truth: NDArray[Any]) -> dict[str, Any]:
    """Compare a reconstruction with the known object, after registration and removal of global phase and ramp.

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

    amplitude, phase, truth = (_image(values) for values in (amplitude, phase, ground_truth))
    return compare(amplitude * np.exp(1j * phase), truth)


def _image(values: NDArray[Any]) -> NDArray[Any]:
    image = np.asarray(values)
    return image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
