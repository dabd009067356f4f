"""Scores of a reconstruction under the legacy name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def eval_reconstruction(amplitude: NDArray[Any], phase: NDArray[Any], ground_truth: NDArray[Any]) -> dict[str, Any]:
    """Compare amplitude and phase (rad) with the known complex object by `ptychopinn.metrics.compare`.

    All three are (Y, X) or (Y, X, 1), in one frame.
    """
    from ptychopinn.metrics import compare

    parts = (np.asarray(values) for values in (amplitude, phase, ground_truth))
    modulus, angle, truth = (part[..., 0] if part.ndim == 3 and part.shape[-1] == 1 else part for part in parts)
    return compare(modulus * np.exp(1j * angle), truth)
