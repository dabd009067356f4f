r"""Patterns of another size, and of square detector pixels.

With the wavelength \(\lambda\), the distance \(z\) and \(n\) detector pixels of side \(p\) along an axis, the object
pixel is \(\lambda z / (n p)\) and the window \(\lambda z / p\). Cropping or padding patterns changes the object pixel
and keeps the window: the probe is cropped or padded in Fourier space. Summing detector pixels keeps the object pixel
and narrows the window: the probe is cropped in real space.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.chunks import changed_frames, changed_masks, frame_chunks
from ptychopinn.data.geometry import Geometry, PixelSize, is_positive_number, is_square
from ptychopinn.data.io.memory import free_bytes, has_room, size_text
from ptychopinn.data.large_arrays import new_array
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

FRAME_KEYS = ("object_pixel_m", "frame_origin_m")
"""Metadata that state the object pixel and the frame of the positions."""
_WAVES_BYTES = 64
"""Bytes for each pixel of a mode while it is transformed: four complex arrays."""
_COVERED = 0.999
"""Part of a summed pixel that must have been recorded; less is a missing column at the edge."""


@final
@dataclass(frozen=True, eq=False)
class Reshaped:
    """Patterns with all that depends on their pixels."""

    patterns: NDArray[Any]
    """(N, H, W)."""
    bad_pixels: NDArray[np.bool_] | None
    """(H, W) or (N, H, W)."""
    probe: NDArray[Any] | None
    """(H, W) or (M, H, W), if it had the size of the patterns; else as it was."""
    scale: tuple[float, float] = (1.0, 1.0)
    """(y, x): object pixel before over object pixel now, by which positions in pixels are multiplied."""
    detector_factor: tuple[float, float] = (1.0, 1.0)
    """(y, x): detector pixel now over detector pixel before."""

    @property
    def is_rescaled(self) -> bool:
        """Whether the object pixel is another one."""
        return max(abs(self.scale[0] - 1), abs(self.scale[1] - 1)) > 1e-9


def reshaped(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    probe: NDArray[Any] | None,
    detector_pixel_m: PixelSize | None,
    options: DataConfig,
    counts: bool,
    source: str,
) -> Reshaped:
    """The patterns resampled to square pixels, then cropped or padded, as `options` ask for.

    Args:
        patterns: (N, H, W), zero frequency at (H//2, W//2).
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        probe: of the size of the patterns, or of the size that they will have.
        detector_pixel_m: (y, x), where known.
        options: `resample`, `crop` and `pad` are used.
        counts: whether the patterns are counts; amplitudes are summed as their squares.
        source: for messages.

    Raises:
        ScanError: a crop that is larger, a padding that is smaller than the patterns, or unknown pixels to resample.
    """
    found = Reshaped(patterns, bad_pixels, probe)
    if patterns.ndim != 3:
        return found
    if options.resample:
        if detector_pixel_m is None:
            raise ScanError(
                f"{source}: the detector pixel must be known to resample, got none; give --detector-pixel, or drop "
                "--resample"
            )
        found = _resampled(found, detector_pixel_m, counts)
    height, width = found.patterns.shape[1:]
    if options.crop is not None and options.crop > min(height, width):
        raise _unfit("crop", "at most", min(height, width), (height, width), options.crop, source)
    least = max(height, width) if options.crop is None else options.crop
    if options.pad is not None and options.pad < least:
        raise _unfit("pad", "at least", least, (height, width), options.pad, source)
    for size in (options.crop, options.pad):
        if size is not None and found.patterns.shape[1:] != (size, size):
            _check_memory(found, size, source)
            found = _resized(found, size)
            logger.info("%s: patterns of %d x %d pixels are now %d x %d", source, height, width, size, size)
    return found


def _check_memory(given: Reshaped, size: int, source: str) -> None:
    """Refuse a padding that does not fit: patterns, mask, and the waves of each mode of the probe."""
    patterns = len(given.patterns) * given.patterns.dtype.itemsize * size**2
    modes = 1 if given.probe is None else int(np.prod(given.probe.shape[:-2]))
    others, free = size**2 * (2 + _WAVES_BYTES * modes), free_bytes()
    if others > free or not has_room(patterns):
        raise ScanError(
            f"{source}: {len(given.patterns)} patterns of {size} x {size} pixels need {size_text(patterns + others)}, "
            f"but {size_text(free)} are free; give a smaller --pad (data.pad)"
        )


def _unfit(name: str, bound: str, limit: int, old: tuple[int, int], size: int, source: str) -> ScanError:
    return ScanError(
        f"{source}: --{name} (data.{name}) must be {bound} {limit} for patterns of {old[0]} x {old[1]} pixels, "
        f"got {size}"
    )


def pixel_after(
    pixel_size_m: float | None, metadata: Mapping[str, Any], shape: Reshaped
) -> tuple[float | None, dict[str, Any]]:
    """Object pixel of patterns that were reshaped, and the metadata, which hold both sides where they differ."""
    sides = (pixel_size_m, pixel_size_m) if pixel_size_m is not None else metadata.get("object_pixel_m")
    others = {key: value for key, value in metadata.items() if key not in FRAME_KEYS}
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(is_positive_number(side) for side in sides):
        return None, others
    pixel = sides[0] / shape.scale[0], sides[1] / shape.scale[1]
    return (pixel[0], others) if is_square(pixel) else (None, others | {"object_pixel_m": list(pixel)})


def geometry_with_shape(geometry: Geometry, shape: Reshaped) -> Geometry:
    """The geometry with the detector pixel of patterns that were resampled."""
    pixel, factor = geometry.detector_pixel_m, shape.detector_factor
    return (
        geometry if pixel is None else replace(geometry, detector_pixel_m=(pixel[0] * factor[0], pixel[1] * factor[1]))
    )


def far_field_only(options: DataConfig, source: str) -> None:
    """Refuse options that change far-field patterns for near-field ones."""
    if options.resample or options.crop is not None or options.pad is not None:
        raise ScanError(
            f"{source}: --crop, --pad and --resample are for far-field patterns, got near-field ones; drop them, or "
            "write it again with `ptychopinn convert --propagation far_field`"
        )


def _resized(given: Reshaped, size: int) -> Reshaped:
    """Cropped or padded to (size, size) about the zero frequency."""
    old = given.patterns.shape[1:]
    bad = given.bad_pixels
    if size > min(old):
        measured = np.zeros((size, size), bool)
        inside = _window(np.ones(old, bool), size)
        measured |= inside
        bad = ~measured if bad is None else changed_masks(bad, lambda masks: _window(masks, size) | ~measured)
    elif bad is not None:
        bad = changed_masks(bad, lambda masks: _window(masks, size))
    probe = given.probe
    if probe is not None and probe.shape[-2:] == old:
        wave = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe, axes=(-2, -1)), norm="ortho"), axes=(-2, -1))
        back = np.fft.ifft2(np.fft.ifftshift(_window(wave, size), axes=(-2, -1)), norm="ortho")
        probe = np.fft.fftshift(back, axes=(-2, -1))
    scale = given.scale[0] * size / old[0], given.scale[1] * size / old[1]
    patterns = changed_frames(given.patterns, lambda frames: _window(frames, size))
    return Reshaped(patterns, bad, probe, scale, given.detector_factor)


def _window(values: NDArray[Any], size: int) -> NDArray[Any]:
    """(..., size, size) about element (H//2, W//2), zero outside."""
    window = np.zeros((*values.shape[:-2], size, size), values.dtype)
    old: list[slice] = []
    new: list[slice] = []
    for length in values.shape[-2:]:
        first = size // 2 - length // 2
        new.append(slice(max(first, 0), min(first + length, size)))
        old.append(slice(max(-first, 0), max(-first, 0) + new[-1].stop - new[-1].start))
    window[..., new[0], new[1]] = values[..., old[0], old[1]]
    return window


def _resampled(given: Reshaped, pixel: PixelSize, counts: bool) -> Reshaped:
    """Along the axis of the shorter side, pixels are summed to the longer side."""
    if is_square(pixel):
        return given
    axis = 0 if pixel[0] < pixel[1] else 1
    ratio, length = max(pixel) / min(pixel), given.patterns.shape[1 + axis]
    weights = _weights(length, ratio)
    fewer = len(weights)
    bad = given.bad_pixels
    shape = list(given.patterns.shape)
    shape[1 + axis] = fewer
    summed = new_array(tuple(shape), np.float32)
    for run, frames in frame_chunks(given.patterns, bad):
        intensity = frames if counts else np.square(frames, dtype=np.float64)
        total = _along(weights, intensity.astype(np.float64), axis)
        summed[run] = total if counts else np.sqrt(total)
    missing = weights.sum(axis=1) < _COVERED * ratio
    frame = missing_frame = np.ones(shape[1:], bool) & (missing[:, None] if axis == 0 else missing[None, :])
    if bad is not None:
        frame = changed_masks(bad, lambda masks: missing_frame | (_along(weights, masks.astype(np.float64), axis) > 0))
    step = fewer * ratio / length
    scale, factor = list(given.scale), list(given.detector_factor)
    scale[axis] *= step
    factor[axis] *= ratio
    return Reshaped(
        summed,
        frame if frame.any() else None,
        _narrowed(given.probe, given.patterns.shape[1:], axis, fewer, step),
        (scale[0], scale[1]),
        (factor[0], factor[1]),
    )


def _weights(length: int, ratio: float) -> NDArray[np.float64]:
    """(fewer, length): part of each pixel that falls into each wider one; the zero frequency stays in the centre."""
    fewer = max(1, int(length / ratio + 1e-9))
    left = (np.arange(length) - length // 2 - 0.5)[None, :]
    wide = ((np.arange(fewer) - fewer // 2 - 0.5) * ratio)[:, None]
    overlap = np.minimum(left + 1, wide + ratio) - np.maximum(left, wide)
    return np.clip(overlap, 0, None)


def _along(weights: NDArray[np.float64], values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Matrix product along rows (0) or columns (1) of the last two axes."""
    return weights @ values if axis == 0 else values @ weights.T


def _narrowed(
    probe: NDArray[Any] | None, size: tuple[int, ...], axis: int, fewer: int, step: float
) -> NDArray[Any] | None:
    """The probe in a window of fewer pixels along an axis; interpolated where the object pixel changes by a little."""
    from scipy.ndimage import map_coordinates

    if probe is None or probe.shape[-2:] != tuple(size):
        return probe
    target = [*size]
    target[axis] = fewer
    index = np.indices(target).astype(np.float64)
    index[axis] = (index[axis] - fewer // 2) / step + size[axis] // 2
    flat = probe.reshape(-1, *size).astype(np.complex128)
    order = 1 if abs(step - 1) < 1e-9 else 3
    modes = [
        map_coordinates(mode.real, index, order=order) + 1j * map_coordinates(mode.imag, index, order=order)
        for mode in flat
    ]
    return (np.stack(modes) / np.sqrt(step)).reshape(*probe.shape[:-2], *target)
