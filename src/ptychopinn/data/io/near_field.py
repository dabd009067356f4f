"""Telling near-field patterns, which no Fourier transform of the window explains, from far-field ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import FieldKind, Geometry
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.rules import Propagation
from ptychopinn.data.io.shadow import Shadow, refined, shadow_of

MOVES_TOGETHER = 0.9
"""Correlation between the movement of the patterns and that of the beam, on both axes, that means a shadow image."""
TOO_WIDE = 2.0
"""Illuminated part of the sample over the far-field window, above which the far field cannot be sampled."""


def decide_propagation(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    parts: Hdf5Parts,
    stated: Geometry,
    given: Propagation,
) -> tuple[FieldKind, str, Shadow | None]:
    """Near or far field, why, and the shadow image where one was looked for.

    An explicit argument wins, then what the file says, then the patterns: they are near field if they move
    with the sample (correlation above `MOVES_TOGETHER`) and the lit part of the sample, by that magnification,
    is more than `TOO_WIDE` times the window wavelength * distance / detector pixel, so that the detector is too
    coarse for the far field.

    Args:
        patterns: (N, H, W), counts.
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        parts: of the file, with positions in metres and the geometry, or without: then nothing is looked for.
        stated: geometry by the file and by our own metadata in it, which may state the propagation.
        given: what the user said.
    """
    if given != "auto":
        shadow = _best_shadow(patterns, bad_pixels, parts) if given == "near_field" else None
        return given, "given explicitly", shadow
    if stated.propagation is not None:
        return stated.propagation, stated.propagation_reason, None
    shadow = shadow_of(patterns, bad_pixels, parts)
    window = _window_m(parts)
    if shadow is None or window is None or shadow.correlation < MOVES_TOGETHER or shadow.lit_m < TOO_WIDE * window:
        return "far_field", "nothing speaks against it", shadow
    shadow = refined(shadow, patterns, bad_pixels, parts)
    return (
        "near_field",
        f"the patterns move with the sample, magnified {shadow.magnification:.3g} times (correlation "
        f"{shadow.correlation:.2f}), and the lit part of the sample, {shadow.lit_m * 1e6:.3g} um, is "
        f"{shadow.lit_m / window:.1f} times the far-field window of {window * 1e6:.3g} um",
        shadow,
    )


def _window_m(parts: Hdf5Parts) -> float | None:
    """Side of the window that far-field patterns of this geometry sample."""
    known = parts.geometry
    if known.wavelength_m is None or known.distance_m is None or known.detector_pixel_m is None:
        return None
    return known.wavelength_m * known.distance_m / max(known.detector_pixel_m)


def _best_shadow(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, parts: Hdf5Parts) -> Shadow | None:
    """The shadow image, refined where the patterns move with the sample."""
    shadow = shadow_of(patterns, bad_pixels, parts)
    if shadow is None or shadow.correlation < MOVES_TOGETHER:
        return shadow
    return refined(shadow, patterns, bad_pixels, parts)
