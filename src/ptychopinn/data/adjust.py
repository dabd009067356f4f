"""What the settings of `data` change in a scan as it was recorded, before it is checked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data import checks
from ptychopinn.data.chunks import changed_frames, changed_masks
from ptychopinn.data.leave_out import without_unusable
from ptychopinn.data.optics import optics_probe
from ptychopinn.data.pixel_faults import with_masked_pixels
from ptychopinn.data.scan import PROBE_ESTIMATED, Scan, checked_scan
from ptychopinn.data.start_probe import start_probe
from ptychopinn.errors import ScanError

LENGTHS_M = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
"""Units of positions in metres."""


def finished_scan(scan: Scan, options: DataConfig, diameter_px: float | None = None) -> Scan:
    """The checked scan with all that the settings ask for: axes, signs, scale, region, binning, frames left out.

    Args:
        scan: as a file holds it, unchecked, with the zero frequency at (H//2, W//2). Where its probe is None, an
            estimate from the mean pattern stands in; see `start_probe`.
        options: `drop_frames`, `probe_model` and the settings about mask, patterns, positions, probe and detector
            region.
        diameter_px: of the beam on the sample, where the file states it, for the estimate.

    Raises:
        ScanError: the settings do not fit the scan, or it cannot be used.
    """
    scan = without_unusable(adjusted(scan, options), options.drop_frames)
    if np.ndim(scan.patterns) == 3:
        scan = with_masked_pixels(scan, options.mask_pixels)
    if scan.probe is None or options.probe_model is not None:
        scan = _with_start(scan, options, diameter_px)
    return checked_scan(scan)


def _with_start(scan: Scan, options: DataConfig, diameter_px: float | None) -> Scan:
    """The scan with the probe of the optics, or an estimate; what it is made from is checked first."""
    patterns = checks.checked_patterns(scan.patterns, scan.source)
    positions = checks.checked_positions(scan.positions_px, len(patterns), "positions", scan.source)
    bad = checks.checked_bad_pixels(scan.bad_pixels, patterns.shape, scan.source)
    counts = scan.domain == "counts"
    checks.checked_values(patterns, bad, counts, scan.source)
    if options.probe_model is not None:
        probe, note = optics_probe(replace(scan, bad_pixels=bad), options)
    else:
        probe, note = start_probe(patterns, bad, counts, positions, diameter_px)
    metadata = {**scan.metadata, PROBE_ESTIMATED: True}
    return replace(scan, probe=probe, metadata=metadata, notes=(*scan.notes, note))


def adjusted(scan: Scan, options: DataConfig) -> Scan:
    """The scan with axes, signs, scale, region and binning as the settings say; see `finished_scan`."""
    if np.ndim(scan.patterns) != 3:
        return scan
    scan = _patterns(scan, options)
    scan = _positions(scan, options)
    if options.shift_positions != 0:
        scan = _shifted(scan, options.shift_positions)
    if options.conjugate_probe:
        scan = replace(scan, **{name: _map(getattr(scan, name), np.conj) for name in _COMPLEX})
    cut = options.detector_region is not None or options.detector_binning > 1
    if cut and scan.probe is not None:
        scan = replace(scan, probe=checks.checked_probe(scan.probe, scan.pattern_size, scan.source))
    if options.detector_region is not None:
        scan = _cut(scan, options.detector_region)
    if options.detector_binning > 1:
        scan = _binned(scan, options.detector_binning)
    return scan


def positions_in_px(values: NDArray[np.float64], options: DataConfig, pixel_m: float | None, source: str) -> Any:
    """Positions of a file that states no unit, in object pixels; a file says px unless the settings name a unit.

    Args:
        values: (N, 2).
        options: `position_unit`.
        pixel_m: object pixel, where known.
        source: name of the file, for messages.

    Raises:
        ScanError: a length, and the object pixel is not known.
    """
    if options.position_unit in ("auto", "px"):
        return values
    if pixel_m is None:
        raise ScanError(
            f"{source}: the positions are given in {options.position_unit} (data.position_unit), but the object pixel "
            "is not known; add pixel_size_m, or energy_eV, distance_m and detector_pixel_m, to the metadata"
        )
    return values * (LENGTHS_M[options.position_unit] / pixel_m)


_COMPLEX = ("probe", "object_guess", "truth_patches")


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    return None if value is None else change(value)


def _patterns(scan: Scan, options: DataConfig) -> Scan:
    """Mask and axes of patterns."""
    bad, patterns = scan.bad_pixels, scan.patterns
    if options.invert_mask and bad is not None:
        bad = changed_masks(bad, lambda mask: ~np.asarray(mask, dtype=np.bool_))
    if options.transpose_patterns:
        patterns, bad = np.swapaxes(patterns, -1, -2), _map(bad, lambda mask: np.swapaxes(mask, -1, -2))
    for axis, wanted in ((-2, ("rows", "both")), (-1, ("columns", "both"))):
        if options.flip_patterns in wanted:
            patterns = mirrored(patterns, axis)
            bad = None if bad is None else mirrored(bad, axis)
    return replace(scan, patterns=patterns, bad_pixels=bad)


def mirrored(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Reversed on an axis about element size // 2, where the zero frequency stays; even sizes wrap one line."""
    shift = 1 - values.shape[axis] % 2
    return changed_masks(values, lambda frames: np.roll(np.flip(frames, axis), shift, axis))


def _positions(scan: Scan, options: DataConfig) -> Scan:
    def changed(positions: Any) -> Any:
        positions = np.asarray(positions, dtype=np.float64) * options.position_scale
        if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) == 0:
            return positions
        positions = positions[:, ::-1] if options.swap_positions else positions
        for column, name in ((0, "y"), (1, "x")):
            if options.flip_positions in (name, "both"):
                positions[:, column] = positions[:, column].min() + positions[:, column].max() - positions[:, column]
        return positions[::-1] if options.reverse_positions else positions

    moved = options.swap_positions or options.flip_positions != "none" or options.position_scale != 1
    if not moved and not options.reverse_positions:
        return scan
    scan = replace(
        scan,
        positions_px=changed(scan.positions_px),
        nominal_positions_px=_map(scan.nominal_positions_px, changed),
    )
    if scan.object_guess is None or not moved:
        return scan
    note = "The object guess is not used, as the settings move the positions relative to it."
    return replace(scan, object_guess=None, notes=(*scan.notes, note))


def _shifted(scan: Scan, shift: int) -> Scan:
    """Pattern n with position n + shift, without the patterns that have no position then."""
    count = len(scan.patterns)
    if np.shape(scan.positions_px) != (count, 2):
        raise ScanError(
            f"{scan.source}: shift_positions needs one position for each pattern, got {count} patterns and positions "
            f"of shape {np.shape(scan.positions_px)}; give --drop-frames unpaired (data.drop_frames=unpaired) as well"
        )
    if abs(shift) >= count:
        raise ScanError(
            f"{scan.source}: shift_positions must be smaller than the number of patterns, {count}, got {shift}; give "
            "--shift-positions (data.shift_positions) another number"
        )
    keep = np.arange(max(0, -shift), count - max(0, shift))
    kept = scan.select(keep)
    note = (
        f"Patterns are paired with positions {shift:+d} places later; {abs(shift)} patterns have none and are left out."
    )
    return replace(
        kept,
        positions_px=scan.positions_px[keep + shift],
        nominal_positions_px=_map(scan.nominal_positions_px, lambda values: values[keep + shift]),
        notes=(*kept.notes, note),
    )


def _cut(scan: Scan, region: tuple[int, int, int, int]) -> Scan:
    """A region of the detector has fewer frequencies: the object pixel becomes larger by the ratio of the sizes."""
    y0, y1, x0, x1 = region
    height, width = scan.patterns.shape[1:]
    if height != width or y1 > height or x1 > width:
        raise ScanError(
            f"{scan.source}: detector_region must lie within square patterns, got rows {y0} to {y1} and columns {x0} "
            f"to {x1} of {height} x {width} px; give --detector-region (data.detector_region) another one"
        )
    size, ratio = y1 - y0, (y1 - y0) / height
    note = f"Only the detector region of rows {y0} to {y1 - 1} and columns {x0} to {x1 - 1} is used."
    if scan.object_guess is not None or scan.truth_patches is not None:
        note += " Object guess and labels have other pixels and are not used."
    return replace(
        scan,
        patterns=scan.patterns[:, y0:y1, x0:x1],
        bad_pixels=_map(scan.bad_pixels, lambda mask: mask[..., y0:y1, x0:x1]),
        probe=_map(scan.probe, lambda probe: _low_frequencies(probe, size)),
        positions_px=scan.positions_px * ratio,
        nominal_positions_px=_map(scan.nominal_positions_px, lambda values: values * ratio),
        object_guess=None,
        truth_patches=None,
        pixel_size_m=_map(scan.pixel_size_m, lambda pixel: pixel / ratio),
        notes=(*scan.notes, note),
    )


def _low_frequencies(probe: NDArray[Any], size: int) -> NDArray[Any]:
    """The probe (..., N, N) on (..., n, n) pixels of the same window: its n x n lowest frequencies."""
    axes = (-2, -1)
    start = probe.shape[-1] // 2 - size // 2
    wave = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe, axes), norm="ortho"), axes)
    wave = wave[..., start : start + size, start : start + size]
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wave, axes), norm="ortho"), axes).astype(np.complex64)


def _binned(scan: Scan, step: int) -> Scan:
    """Blocks of detector pixels summed: coarser frequencies, so that the probe window becomes smaller."""
    height, width = scan.patterns.shape[1:]
    if height % step or width % step:
        raise ScanError(
            f"{scan.source}: detector_binning must divide the size of the patterns, got {step} for {height} x {width} "
            "px; give --detector-binning (data.detector_binning) another number, or --detector-region first"
        )

    def summed(frames: NDArray[Any]) -> NDArray[Any]:
        values = frames.reshape(len(frames), height // step, step, width // step, step)
        if scan.domain == "amplitude":
            return np.sqrt(np.square(values, dtype=np.float64).sum(axis=(2, 4))).astype(np.float32)
        return np.asarray(values.sum(axis=(2, 4), dtype=np.float32 if values.dtype.kind == "f" else None))

    geometry = scan.geometry
    if geometry.detector_pixel_m is not None:
        y, x = geometry.detector_pixel_m
        geometry = replace(geometry, detector_pixel_m=(y * step, x * step))
    return replace(
        scan,
        patterns=changed_frames(scan.patterns, summed),
        bad_pixels=_map(scan.bad_pixels, lambda mask: changed_masks(mask, lambda one: _any_in_blocks(one, step))),
        probe=_map(scan.probe, lambda probe: _central(_tilted(probe, (step - 1) / 2), step)),
        truth_patches=_map(scan.truth_patches, lambda values: _central(values, step)),
        geometry=geometry,
        notes=(*scan.notes, f"Blocks of {step} x {step} detector pixels are summed."),
    )


def _any_in_blocks(mask: NDArray[Any], step: int) -> NDArray[np.bool_]:
    *frames, height, width = mask.shape
    blocks = mask.astype(np.bool_).reshape(*frames, height // step, step, width // step, step)
    return np.asarray(blocks.any(axis=(-3, -1)))


def _tilted(probe: NDArray[Any], shift_px: float) -> NDArray[Any]:
    """The probe times the phase ramp that moves its far field by -shift on both axes: the centre of a block lies
    (step - 1) / 2 pixels behind its first pixel."""
    size = probe.shape[-1]
    x = np.arange(size) - size // 2
    ramp = np.exp(-2j * np.pi * shift_px * x / size)
    return probe * ramp[:, None] * ramp


def _central(values: NDArray[Any], step: int) -> NDArray[Any]:
    """The central part of the last two axes, with element (H//2, W//2) at its own."""
    height, width = values.shape[-2:]
    y, x = height // 2 - height // step // 2, width // 2 - width // step // 2
    return values[..., y : y + height // step, x : x + width // step]
