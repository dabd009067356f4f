"""Patterns whose zero frequency sits at the corner of the array: recognising and centring them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import changed_frames, changed_masks

LOWEST_CENTRED_MOMENT = -0.35
"""First moment on both axes that no centred far field has; a ring that just fits the detector has -0.30."""
_LIKENESS = 0.5
"""Correlation with the shifted far field of the probe that tells, if it exceeds that with the centred one."""
_MARGIN = 0.3
_SIGMAS = 5.0


def zero_frequency_at_corner(mean_intensity: NDArray[np.float64], total: float, probe: NDArray[np.complex64]) -> bool:
    r"""Whether the mean pattern is centred on the corner (0, 0) and not on (H//2, W//2).

    Arrays are periodic under the Fourier shift, so the centre of mass is taken on the circle: on each axis
    the first moment $m = \langle\cos(2\pi (k - H//2) / H)\rangle$ is 1 for a spot at the centre, 0 for an
    even pattern and -1 for a spot at the corner. A centred ring of radius R has $m = J_0(2\pi R / H)$, which
    is negative beyond 0.38 H; so only $m < -0.35$ decides alone. Otherwise the pattern must look like the
    far field of the probe when that is shifted to the corner, and not like the centred one. Too few photons
    to tell (5 standard deviations of m) decide nothing.

    Args:
        mean_intensity: (H, W), mean over the scan.
        total: counts in all patterns together, which limit what the moment can tell.
        probe: (M, H, W).

    Returns:
        True when the patterns need `fftshift`.
    """
    if total <= 0 or _SIGMAS * (0.5 / total) ** 0.5 > -LOWEST_CENTRED_MOMENT:
        return False
    moment = max(_first_moment(mean_intensity.sum(axis=axis)) for axis in (0, 1))
    return moment < LOWEST_CENTRED_MOMENT or _looks_shifted(mean_intensity, probe)


def centred(patterns: NDArray[Any], bad_pixels: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Patterns (N, H, W) and their mask with the zero frequency moved from (0, 0) to (H//2, W//2)."""

    def moved(frames: NDArray[Any]) -> NDArray[Any]:
        return np.fft.fftshift(frames, (-2, -1))

    return changed_frames(patterns, moved), None if bad_pixels is None else changed_masks(bad_pixels, moved)


def _first_moment(profile: NDArray[np.float64]) -> float:
    size = len(profile)
    angle = 2 * np.pi * (np.arange(size) - size // 2) / size
    return float((profile * np.cos(angle)).sum() / max(float(profile.sum()), np.finfo(np.float64).tiny))


def _looks_shifted(mean_intensity: NDArray[np.float64], probe: NDArray[np.complex64]) -> bool:
    far_field = np.square(np.abs(np.fft.fft2(probe))).sum(axis=0)
    shifted = _correlation(mean_intensity, far_field)
    centred = _correlation(mean_intensity, np.fft.fftshift(far_field))
    return shifted > max(_LIKENESS, centred + _MARGIN)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else 0.0
