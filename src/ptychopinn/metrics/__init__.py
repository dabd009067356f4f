"""How good a reconstruction is: alignment, image scores, ring correlation, misfit of the data, one report."""

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
