"""Telling near-field patterns, which no Fourier transform of the window explains, from far-field ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import FieldKind, Geometry
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.rules import Propagation

PAIRS = 64
"""Neighbouring patterns that are compared."""
LARGEST_IMAGE_PX = 256
"""Larger patterns are binned before they are compared."""
MOVES_TOGETHER = 0.9
"""Correlation between the movement of the patterns and that of the beam, on both axes, that means a shadow image."""
TOO_WIDE = 2.0
"""Lit part of the sample over the far-field window, above which the far field cannot be sampled."""


@dataclass(frozen=True)
class Shadow:
    """Patterns as a magnified image of the sample, which moves over the detector when the sample moves."""

    correlation: float
    """Between both movements, the smaller one of the two axes."""
    magnification: float
    """Movement of the image over that of the sample."""
    lit_m: float
    """Diameter of what the beam lights on the sample: four times the rms width of the mean pattern, magnified back."""


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
        return given, "given explicitly", shadow_of(patterns, bad_pixels, parts) if given == "near_field" else None
    if stated.propagation is not None:
        return stated.propagation, stated.propagation_reason, None
    shadow = shadow_of(patterns, bad_pixels, parts)
    window = _window_m(parts)
    if shadow is None or window is None or shadow.correlation < MOVES_TOGETHER or shadow.lit_m < TOO_WIDE * window:
        return "far_field", "nothing speaks against it", shadow
    return (
        "near_field",
        f"the patterns move with the sample, magnified {shadow.magnification:.3g} times (correlation "
        f"{shadow.correlation:.2f}), and the lit part of the sample, {shadow.lit_m * 1e6:.3g} um, is "
        f"{shadow.lit_m / window:.1f} times the far-field window of {window * 1e6:.3g} um",
        shadow,
    )


def shadow_of(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, parts: Hdf5Parts) -> Shadow | None:
    """How the patterns move when the sample does; none without positions in metres and a detector pixel."""
    positions, pixel = parts.positions_m, parts.geometry.detector_pixel_m
    if positions is None or pixel is None or len(positions) != len(patterns) or len(patterns) < 4:
        return None
    some = np.unique(np.linspace(0, len(patterns) - 1, PAIRS).astype(np.int64))
    nearest = _nearest(positions, some)
    bins = -(-patterns.shape[-1] // LARGEST_IMAGE_PX)
    frames = _measured(patterns, bad_pixels, np.concatenate([some, nearest]), bins)
    mean = frames.mean(axis=0)
    if not np.isfinite(mean).all() or not mean.sum() > 0:
        return None
    frames -= mean
    image = _shifts_px(frames[: len(some)], frames[len(some) :]) * pixel * bins
    beam = positions[some] - positions[nearest]
    return _regression(image, beam, 4 * _rms_width_px(mean) * float(np.mean(pixel)) * bins)


def _window_m(parts: Hdf5Parts) -> float | None:
    """Side of the window that far-field patterns of this geometry sample."""
    known = parts.geometry
    if known.wavelength_m is None or known.distance_m is None or known.detector_pixel_m is None:
        return None
    return known.wavelength_m * known.distance_m / max(known.detector_pixel_m)


def _measured(
    patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, rows: NDArray[np.int64], bins: int
) -> NDArray[np.float64]:
    """Some of the patterns, zero at bad pixels where the mask fits, sums of `bins` x `bins` pixels."""
    usable = bad_pixels is not None and bad_pixels.shape in (patterns.shape, patterns.shape[1:])
    height, width = (length // bins for length in patterns.shape[1:])
    frames = np.empty((len(rows), height, width))
    for frame, row in zip(frames, rows, strict=True):
        counts = patterns[row].astype(np.float64)
        if usable and bad_pixels is not None:
            counts[bad_pixels[row] if bad_pixels.ndim == 3 else bad_pixels] = 0
        blocks = counts[: height * bins, : width * bins].reshape(height, bins, width, bins)
        frame[:] = blocks.sum(axis=(1, 3))
    return frames


def _nearest(positions: NDArray[np.float64], some: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of `some`, the nearest position that is not the same."""
    apart = np.square(positions[some, None] - positions[None]).sum(axis=-1)
    return np.where(apart > 0, apart, np.inf).argmin(axis=1)


def _shifts_px(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P, 2), (y, x): by how much each of `a` has to be moved back to lie on its partner in `b`."""
    height, width = a.shape[-2:]
    product = np.fft.rfft2(a) * np.conj(np.fft.rfft2(b))
    correlation = np.fft.irfft2(product, s=(height, width)).reshape(len(a), -1)
    peak = np.stack(np.unravel_index(correlation.argmax(axis=1), (height, width)), axis=1)
    half = np.array([height // 2, width // 2])
    return ((peak + half) % [height, width] - half).astype(np.float64)


def _rms_width_px(mean: NDArray[np.float64]) -> float:
    """Mean over both axes of the rms width of a pattern."""
    widths = []
    for axis in (0, 1):
        profile = mean.sum(axis=1 - axis)
        place = np.arange(len(profile))
        centre = (profile * place).sum() / profile.sum()
        widths.append(np.sqrt((profile * (place - centre) ** 2).sum() / profile.sum()))
    return float(np.mean(widths))


def _regression(image: NDArray[np.float64], beam: NDArray[np.float64], lit_on_detector_m: float) -> Shadow | None:
    """Movement of the image as a multiple of that of the beam, on both axes."""
    common, powers = (image * beam).sum(axis=0), np.square(beam).sum(axis=0)
    moved = np.square(image).sum(axis=0)
    if not (powers > 0).all() or not (moved > 0).all() or not common.all():
        return None
    magnification = float(np.abs(common / powers).mean())
    correlation = float((np.abs(common) / np.sqrt(powers * moved)).min())
    return Shadow(correlation, magnification, lit_on_detector_m / magnification)
