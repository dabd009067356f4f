"""The groups of entries that a report is made of; infinite and meaningless numbers are None."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.alignment import Alignment
from ptychopinn.metrics.bands import low_frequency_limit, split_bands, without_plane
from ptychopinn.metrics.frc import FIRST_RING, FRCCurve, Threshold
from ptychopinn.metrics.image import (
    SSIM_SIGMA_PX,
    SSIM_WINDOW_PX,
    mae,
    ms_ssim,
    ms_ssim_betas,
    mse,
    psnr,
    psnr_255,
    ssim,
)

AMPLITUDE_PEAK = 1.0
PHASE_PEAK = 2 * math.pi
CONSTANT = 1e-6
"""A reference that varies less than this has neither structure nor contrast to compare with."""
FRC_THRESHOLDS: dict[str, Threshold] = {"0.5": 0.5, "1/7": 1 / 7, "half_bit": "half_bit"}

Entries = dict[str, Any]
Image = NDArray[np.float64]


def amplitude_entries(image: Image, reference: Image) -> Entries:
    """Scores of the amplitude; its PSNR has peak 1, and beside it that of the older papers."""
    return {
        **_image_entries("amplitude", image, reference, AMPLITUDE_PEAK),
        "psnr_255_amplitude": psnr_255(image, reference),
    }


def phase_entries(image: Image, reference: Image) -> Entries:
    """Scores of the phase; its PSNR has peak 2 pi, and beside it those with peak 1 and with peak 255.

    `psnr_phase_low_rings` and `psnr_phase_high_rings` are of the two parts of the difference (see `split_bands`), whose
    mean squares add up to that of the whole.
    """
    bands = zip(("low", "high"), split_bands(image - reference), strict=True)
    return {
        **_image_entries("phase", image, reference, PHASE_PEAK),
        "psnr_1_phase": psnr(image, reference, peak=1.0),
        "psnr_255_phase": psnr_255(image, reference),
        **{f"psnr_phase_{name}_rings": psnr(part, np.zeros_like(part), peak=PHASE_PEAK) for name, part in bands},
    }


def contrast_entries(amplitudes: tuple[Image, Image], phases: tuple[Image, Image]) -> Entries:
    """Recovered over true standard deviation: of everything, of the low rings, of all above them.

    Args:
        amplitudes: of the image and of the reference.
        phases: the same; a mean slope does not count.
    """
    image, reference = (without_plane(phase) for phase in phases)
    return {**_contrasts("amplitude", *amplitudes), **_contrasts("phase", image, reference)}


def frc_entries(
    curve: FRCCurve, pixel_size_m: float | None, thresholds: Mapping[str, Threshold] = FRC_THRESHOLDS
) -> Entries:
    """Where the curve falls below each threshold, and what it is on the low rings."""
    entries: Entries = {"frc_low_rings": [float(value) for value in curve.low_rings]}
    for name, threshold in thresholds.items():
        frequency = curve.crossing(threshold)
        entries[f"frc_{name}_outcome"] = curve.outcome(threshold)
        entries[f"frc_{name}_nyquist"] = curve.crossing_nyquist(threshold)
        entries[f"frc_{name}_cycles_per_px"] = frequency
        if pixel_size_m is not None:
            entries[f"frc_{name}_full_period_nm"] = pixel_size_m / frequency * 1e9
            entries[f"frc_{name}_half_period_nm"] = pixel_size_m / frequency * 5e8
    return entries


def scale_entries(image: NDArray[np.complex128], reference: NDArray[np.complex128], applied: complex) -> Entries:
    """The scale of an image before the fit of the scale: `object_scale` is Re <ref, rec> / <ref, ref>.

    Args:
        image: aligned, the scale included.
        reference: of the same shape.
        applied: the fitted scale. Only its modulus is undone here.
    """
    kept, power = image / max(abs(applied), 1e-30), float(np.vdot(reference, reference).real)
    return {
        "object_scale": float(np.vdot(reference, kept).real) / power if power > 0 else None,
        "psnr_amplitude_scale_kept": psnr(np.abs(kept), np.abs(reference), peak=AMPLITUDE_PEAK),
    }


def alignment_entries(alignment: Alignment) -> Entries:
    """What was removed."""
    return {
        "alignment": "translation, phase ramp and complex scale, by least squares on the scored region",
        "shift_px": list(alignment.shift_px),
        "ramp_rad_per_px": list(alignment.ramp_rad_per_px),
        "scale_abs": abs(alignment.scale),
        "scale_phase": float(np.angle(alignment.scale)),
        "residual": alignment.residual,
    }


def stated_entries(shape: tuple[int, ...]) -> Entries:
    """What the numbers of a report mean, for a scored region of `shape`."""
    return {
        "phase_comparison": "angle(reconstruction conj(reference)), not unwrapped",
        "contrast": "standard deviation over that of the reference; the phase less its mean slope; "
        "pixels that are not covered take the nearest covered value",
        "ssim_window": f"Gaussian, sigma {SSIM_SIGMA_PX} px, {SSIM_WINDOW_PX} px wide; "
        f"{SSIM_WINDOW_PX // 2} px at each edge do not count",
        "ms_ssim_scales": len(ms_ssim_betas(shape)),
        "frc_of": "complex objects on the scored region, mean taken off, Hann window",
        "frc_ring_width_cycles_per_px": 1 / min(shape),
        "frc_first_ring": FIRST_RING,
        "frc_half_bit_threshold": "(0.2071 + 1.9102 / sqrt(n)) / (1.2071 + 0.9102 / sqrt(n)), n pixels on the ring",
        "low_rings_up_to_cycles_per_px": low_frequency_limit(shape),
    }


def plain(entries: Entries) -> Entries:
    """JSON has no infinity."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in entries.items()
    }


def _image_entries(name: str, image: Image, reference: Image, peak: float) -> Entries:
    spread = float(np.ptp(reference))
    has_structure = spread >= CONSTANT
    return {
        f"psnr_{name}": psnr(image, reference, peak=peak),
        f"psnr_{name}_peak": peak,
        f"mae_{name}": mae(image, reference),
        f"mse_{name}": mse(image, reference),
        f"ssim_{name}": ssim(image, reference, data_range=spread) if has_structure else None,
        f"ms_ssim_{name}": ms_ssim(image, reference, data_range=spread) if has_structure else None,
        f"ssim_{name}_data_range": spread if has_structure else None,
    }


def _contrasts(name: str, image: Image, reference: Image) -> Entries:
    entries: Entries = {f"contrast_{name}": _contrast(image, reference)}
    bands = zip(("low", "high"), split_bands(image), split_bands(reference), strict=True)
    return entries | {f"contrast_{name}_{band}_rings": _contrast(part, true) for band, part, true in bands}


def _contrast(image: Image, reference: Image) -> float | None:
    return float(image.std() / reference.std()) if np.ptp(reference) >= CONSTANT else None
