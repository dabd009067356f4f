"""The honest report: one reconstruction against a known object, with all that a number needs beside it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.alignment import Alignment, align
from ptychopinn.metrics.checks import checked_mask, checked_pair
from ptychopinn.metrics.entries import (
    alignment_entries,
    amplitude_entries,
    contrast_entries,
    frc_entries,
    phase_entries,
    plain,
    scale_entries,
    stated_entries,
)
from ptychopinn.metrics.frc import FRCCurve, fourier_ring_correlation
from ptychopinn.metrics.phase import phase_difference
from ptychopinn.metrics.pose import moved_mask
from ptychopinn.metrics.region import Region, checked_region, covered_region
from ptychopinn.metrics.translation import fill_outside


@dataclass(frozen=True, eq=False)
class Scored:
    """A report with what figures of it need."""

    report: dict[str, Any]
    """What `compare` returns."""
    alignment: Alignment
    """The reconstruction, moved onto the reference, in the whole frame."""
    frc: FRCCurve
    """Of the scored region."""
    region: Region
    """(y0, y1, x0, x1) in the frame of the arrays."""

    @property
    def scored_part(self) -> tuple[slice, slice]:
        """Index of the scored region in either array."""
        return _inside(self.region)


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
    also one that is not covered, with its value 1; `region_covered` is the covered part after the translation. Phases
    are compared by their wrapped difference: PSNR_phase = 20 log10(2 pi / rms(angle(rec conj(ref)))). SSIM takes the
    reference's largest minus smallest value on the region as its range. `contrast_*` is the recovered over
    the true standard deviation, of the phase after its mean slope is taken off: near 0 where an image has
    collapsed to a constant, also where parts of the region are not covered. `*_low_rings` and `*_high_rings` are of
    the frequencies up to ring 5 and above it. FRC is that of the complex objects. `object_scale` is
    Re <reference, reconstruction> / <reference, reference> before the scale is fitted: 1 for a right transmission.
    `psnr_amplitude_scale_kept` is the PSNR of the amplitude with this scale.

    Args:
        reconstruction: complex (Y, X).
        reference: complex (Y, X), in the same frame.
        mask: boolean (Y, X), True where the reconstruction is covered; everywhere by default.
        region: (y0, y1, x0, x1), ends excluded; by default a covered rectangle, eroded
            (see `covered_region`), which the translated reconstruction covers too.
        pixel_size_m: adds `frc_*_full_period_nm` and `frc_*_half_period_nm`, the period at each crossing and its half.

    Returns:
        Flat, of plain JSON values; None where a number is infinite or has no meaning, such as the PSNR of
        equal images or the SSIM of a constant reference.

    Raises:
        ValueError: arrays that do not fit or are not finite, an unusable mask or region, or a pixel size
            that is not positive.
    """
    return score(reconstruction, reference, mask=mask, region=region, pixel_size_m=pixel_size_m).report


def score(
    reconstruction: NDArray[Any],
    reference: NDArray[Any],
    *,
    mask: NDArray[np.bool_] | None = None,
    region: Region | None = None,
    pixel_size_m: float | None = None,
) -> Scored:
    """As `compare`, with the aligned reconstruction and the ring correlation beside the report."""
    if pixel_size_m is not None and not (math.isfinite(pixel_size_m) and pixel_size_m > 0):
        raise ValueError(f"pixel_size_m is {pixel_size_m}; must be a positive length in metres, or None")
    moving, target = checked_pair(reconstruction, reference, names=("reconstruction", "reference"))
    covered = checked_mask(mask, moving.shape)
    box = covered_region(covered) if region is None else checked_region(region, covered)
    fitted = np.zeros_like(covered)
    fitted[_inside(box)] = covered[_inside(box)]
    alignment = align(moving, target, mask=fitted, support=None if mask is None else covered)
    moved = moved_mask(covered, alignment.shift_px)
    if region is None and not moved[_inside(box)].all():
        box = covered_region(moved & covered)
    rec, ref = alignment.object_[_inside(box)], target[_inside(box)]
    known = moved[_inside(box)]
    continued = fill_outside(rec, known) if known.any() else rec
    curve = fourier_ring_correlation(rec, ref)
    report = {
        **amplitude_entries(np.abs(rec), np.abs(ref)),
        **phase_entries(*_phases(rec, ref)),
        **contrast_entries((np.abs(continued), np.abs(ref)), _phases(continued, ref)),
        **frc_entries(curve, pixel_size_m),
        **alignment_entries(alignment),
        **scale_entries(rec, ref, alignment.scale),
        **stated_entries(ref.shape),
        "region": list(box),
        "region_rule": "given" if region is not None else "covered rectangle, its edges taken off",
        "region_covered": float(known.mean()),
        "pixel_size_m": pixel_size_m,
    }
    return Scored(plain(report), alignment, curve, box)


def _inside(region: Region) -> tuple[slice, slice]:
    return slice(region[0], region[1]), slice(region[2], region[3])


def _phases(
    rec: NDArray[np.complex128], ref: NDArray[np.complex128]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both phases: the reference's about its mean direction, the other's as that plus the difference."""
    true_phase = phase_difference(ref, np.full_like(ref, ref.mean()))
    return true_phase + phase_difference(rec, ref), true_phase
