"""Scores of a reconstruction under the legacy name."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn.ptycho")


def eval_reconstruction(
    stitched_obj: NDArray[Any] | None = None,
    ground_truth_obj: NDArray[Any] | None = None,
    lowpass_n: Any = 1,
    label: str = "",
    phase_align_method: str = "plane",
    frc_sigma: float = 0,
    debug_save_images: bool = False,
    ms_ssim_sigma: float = 1.0,
    *,
    amplitude: NDArray[Any] | None = None,
    phase: NDArray[Any] | None = None,
    ground_truth: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Compare an image with the known object by `ptychopinn.metrics.compare`, which removes shift, scale and ramp.

    Both spellings work: `eval_reconstruction(stitched_obj, ground_truth_obj)`, and
    `eval_reconstruction(amplitude, phase, ground_truth)`. All arrays are (Y, X), or with further axes of 1.

    Args:
        stitched_obj: complex, or the amplitude.
        ground_truth_obj: complex, or the phase in rad.
        lowpass_n: 1, or the ground truth; images are compared as they are.
        label: names the image in the log.
        phase_align_method: `plane`, the only one.
        frc_sigma: not used; the correlation is not smoothed.
        debug_save_images: not used; `ptycho.workflows.components.save_outputs` writes figures.
        ms_ssim_sigma: not used; windows are those of the usual definition.
        amplitude: in place of `stitched_obj`.
        phase: in place of `ground_truth_obj`.
        ground_truth: in place of `lowpass_n`.

    Returns:
        MAE, MSE, PSNR, SSIM, MS-SSIM and FRC of `ptychopinn.metrics.compare`, each with its peak or threshold named.

    Raises:
        ConfigError: another way to align the phase.
        ValueError: arrays that do not fit or are not finite, or one of them is missing.
    """
    from ptychopinn.metrics import compare

    if phase_align_method != "plane":
        raise ConfigError(f"phase_align_method is {phase_align_method!r}; only 'plane' is known, leave it out")
    if (frc_sigma, ms_ssim_sigma, debug_save_images) != (0, 1.0, False):
        logger.warning("frc_sigma, ms_ssim_sigma and debug_save_images have no effect: images are compared as they are")
    if ground_truth is None and np.ndim(lowpass_n):
        ground_truth = lowpass_n
    first = stitched_obj if amplitude is None else amplitude
    second = ground_truth_obj if phase is None else phase
    if first is None or second is None:
        raise ValueError("an image and the known object are needed; give eval_reconstruction(image, ground_truth)")
    image, truth = np.asarray(first), np.asarray(second)
    if ground_truth is not None:
        image, truth = np.abs(image) * np.exp(1j * truth.reshape(image.shape)), np.asarray(ground_truth)
    if label:
        logger.info("scores of %s", label)
    return compare(_plane(image), _plane(truth))


def _plane(image: NDArray[Any]) -> NDArray[Any]:
    """(Y, X) of an image with further axes of length 1."""
    return image.reshape([length for length in image.shape if length != 1]) if image.ndim > 2 else image
