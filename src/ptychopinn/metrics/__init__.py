"""How good a reconstruction is: alignment, image scores, ring correlation, misfit of the data, one report."""

from typing import TYPE_CHECKING

from ptychopinn.lazy import loads

if TYPE_CHECKING:
    from ptychopinn.metrics.alignment import Alignment, align
    from ptychopinn.metrics.bands import low_frequency_limit, split_bands
    from ptychopinn.metrics.frc import FRCCurve, fourier_ring_correlation
    from ptychopinn.metrics.image import mae, ms_ssim, ms_ssim_betas, mse, psnr, psnr_255, ssim
    from ptychopinn.metrics.misfit import (
        Misfit,
        amplitude_misfit,
        expected_poisson_deviance,
        poisson_deviance_per_pixel,
    )
    from ptychopinn.metrics.phase import phase_difference, remove_global_phase, remove_phase_ramp
    from ptychopinn.metrics.region import covered_region
    from ptychopinn.metrics.report import Scored, compare, score

__all__ = [
    "Alignment",
    "FRCCurve",
    "Misfit",
    "Scored",
    "align",
    "amplitude_misfit",
    "compare",
    "covered_region",
    "expected_poisson_deviance",
    "fourier_ring_correlation",
    "low_frequency_limit",
    "mae",
    "ms_ssim",
    "ms_ssim_betas",
    "mse",
    "phase_difference",
    "poisson_deviance_per_pixel",
    "psnr",
    "psnr_255",
    "remove_global_phase",
    "remove_phase_ramp",
    "score",
    "split_bands",
    "ssim",
]

__getattr__ = loads(
    globals(),
    {
        "Alignment": "ptychopinn.metrics.alignment",
        "align": "ptychopinn.metrics.alignment",
        "low_frequency_limit": "ptychopinn.metrics.bands",
        "split_bands": "ptychopinn.metrics.bands",
        "FRCCurve": "ptychopinn.metrics.frc",
        "fourier_ring_correlation": "ptychopinn.metrics.frc",
        "mae": "ptychopinn.metrics.image",
        "ms_ssim": "ptychopinn.metrics.image",
        "ms_ssim_betas": "ptychopinn.metrics.image",
        "mse": "ptychopinn.metrics.image",
        "psnr": "ptychopinn.metrics.image",
        "psnr_255": "ptychopinn.metrics.image",
        "ssim": "ptychopinn.metrics.image",
        "Misfit": "ptychopinn.metrics.misfit",
        "amplitude_misfit": "ptychopinn.metrics.misfit",
        "expected_poisson_deviance": "ptychopinn.metrics.misfit",
        "poisson_deviance_per_pixel": "ptychopinn.metrics.misfit",
        "phase_difference": "ptychopinn.metrics.phase",
        "remove_global_phase": "ptychopinn.metrics.phase",
        "remove_phase_ramp": "ptychopinn.metrics.phase",
        "covered_region": "ptychopinn.metrics.region",
        "Scored": "ptychopinn.metrics.report",
        "compare": "ptychopinn.metrics.report",
        "score": "ptychopinn.metrics.report",
    },
)
