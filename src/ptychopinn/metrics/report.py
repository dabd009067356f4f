"""The honest report: one reconstruction against a known object, with all that a number needs beside it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.alignment import Alignment, align
from ptychopinn.metrics.checks import checked_mask, checked_pair
from ptychopinn.metrics.frc import Threshold, fourier_ring_correlation
from ptychopinn.metrics.image import mae, ms_ssim, ms_ssim_betas, mse, psnr, ssim
from ptychopinn.metrics.phase import phase_difference
from ptychopinn.metrics.region import Region, checked_region, covered_region

AMPLITUDE_PEAK = 1.0
PHASE_PEAK = 2 * math.pi
CONSTANT = 1e-6
"""A reference that varies less than this has neither structure nor contrast to compare with."""
FRC_THRESHOLDS: dict[str, Threshold] = {"0.5": 0.5, "1/7": 1 / 7, "half_bit": "half_bit"}


def compare(
    reconstruction: NDArray[Any],
    reference: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    region: Region | None = None,
    pixel_size_m: float | None = None,
) -> dict[str, Any]:
    """Align a reconstruction on the scored region, score it there, and say how.

    Translation, phase ramp and complex scale are removed by least squares. Every pixel of the region counts,
    also one that is not covered, with its value 1; `region_covered` is the covered part. Phases are compared
    by their wrapped difference: PSNR_phase = 20 log10(2 pi / rms(angle(rec conj(ref)))). SSIM takes the
    reference's largest minus smallest value on the region as its range. `contrast_*` is the recovered over
    the true standard deviation, of the phase after its mean slope is taken off: near 0 where an image has
    collapsed to a constant. FRC is that of the complex
    objects.

    Args:
        reconstruction: complex (Y, X).
        reference: complex (Y, X), in the same frame.
        mask: boolean (Y, X), True where the reconstruction is covered; everywhere by default.
        region: (y0, y1, x0, x1), ends excluded; by default a covered rectangle, eroded
            (see `covered_region`).
        pixel_size_m: adds `frc_*_full_period_nm`, the period at each crossing.

    Returns:
        Flat, of plain JSON values; None where a number is infinite or has no meaning, such as the PSNR of
        equal images or the SSIM of a constant reference.

    Raises:
        ValueError: arrays that do not fit or are not finite, an unusable mask or region, or a pixel size
            that is not positive.
    """
    moving, target = checked_pair(reconstruction, reference, names=("reconstruction", "reference"))
    covered = checked_mask(mask, moving.shape)
    box = covered_region(covered) if region is None else checked_region(region, covered)
    inside = np.s_[box[0] : box[1], box[2] : box[3]]
    scored = np.zeros_like(covered)
    scored[inside] = covered[inside]
    alignment = align(moving, target, mask=scored, support=None if mask is None else covered)
    rec, ref = alignment.object_[inside], target[inside]
    amplitudes, phases = (np.abs(rec), np.abs(ref)), _phases(rec, ref)
    report = {
        **_image_scores("amplitude", *amplitudes, AMPLITUDE_PEAK),
        **_image_scores("phase", *phases, PHASE_PEAK),
        "contrast_amplitude": _contrast(*amplitudes),
        "contrast_phase": _contrast(*(_without_plane(phase) for phase in phases)),
        **_frc_scores(rec, ref, pixel_size_m),
        **_alignment_entries(alignment),
        "ms_ssim_scales": len(ms_ssim_betas(ref.shape)),
        "region": list(box),
        "region_covered": float(covered[inside].mean()),
        "pixel_size_m": pixel_size_m,
    }
    return {key: _plain(value) for key, value in report.items()}


def _phases(
    rec: NDArray[np.complex128], ref: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both phases: the reference's about its mean direction, the other's as that plus the difference."""
    true_phase = phase_difference(ref, np.full_like(ref, ref.mean()))
    return true_phase + phase_difference(rec, ref), true_phase


def _image_scores(name: str, image: NDArray[np.float64], reference: NDArray[np.float64], peak: float) -> dict[str, Any]:
    spread = float(np.ptp(reference))
    scores: dict[str, Any] = {
        f"psnr_{name}": psnr(image, reference, peak=peak),
        f"psnr_{name}_peak": peak,
        f"mae_{name}": mae(image, reference),
        f"mse_{name}": mse(image, reference),
    }
    if spread < CONSTANT:
        constant = (f"ssim_{name}", f"ms_ssim_{name}", f"ssim_{name}_data_range")
        return scores | dict.fromkeys(constant)
    return scores | {
        f"ssim_{name}": ssim(image, reference, data_range=spread),
        f"ms_ssim_{name}": ms_ssim(image, reference, data_range=spread),
        f"ssim_{name}_data_range": spread,
    }


def _contrast(image: NDArray[np.float64], reference: NDArray[np.float64]) -> float | None:
    return float(image.std() / reference.std()) if np.ptp(reference) >= CONSTANT else None


def _without_plane(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take off the least-squares plane: a ramp that the alignment laid on a constant is no contrast."""
    y, x = (np.arange(size) - (size - 1) / 2 for size in phase.shape)
    centred = phase - phase.mean()
    slope_y = float(y @ centred.mean(1) / (y @ y))
    slope_x = float(x @ centred.mean(0) / (x @ x))
    return centred - slope_y * y[:, None] - slope_x * x[None, :]


def _frc_scores(rec: NDArray[np.complex128], ref: NDArray[np.complex128], pixel_size_m: float | None) -> dict[str, Any]:
    if pixel_size_m is not None and not (math.isfinite(pixel_size_m) and pixel_size_m > 0):
        raise ValueError(f"pixel_size_m is {pixel_size_m}; the rule is a positive length in metres, or None")
    curve = fourier_ring_correlation(rec, ref)
    scores: dict[str, Any] = {"frc_low_rings": [float(value) for value in curve.low_rings]}
    for name, threshold in FRC_THRESHOLDS.items():
        frequency = curve.crossing(threshold)
        scores[f"frc_{name}_nyquist"] = curve.crossing_nyquist(threshold)
        scores[f"frc_{name}_cycles_per_px"] = frequency
        if pixel_size_m is not None:
            scores[f"frc_{name}_full_period_nm"] = pixel_size_m / frequency * 1e9
    return scores


def _alignment_entries(alignment: Alignment) -> dict[str, Any]:
    return {
        "alignment": "translation, phase ramp and complex scale, by least squares on the scored region",
        "shift_px": list(alignment.shift_px),
        "ramp_rad_per_px": list(alignment.ramp_rad_per_px),
        "scale_abs": abs(alignment.scale),
        "scale_phase": float(np.angle(alignment.scale)),
        "residual": alignment.residual,
    }


def _plain(value: Any) -> Any:
    """JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
