"""What a scan holds, counted and measured."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.scan_info import ScanInfo
from ptychopinn.data import Scan
from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.leave_out import outlying_frames
from ptychopinn.data.pixel_faults import (
    CEILING_COUNTS,
    CEILING_TIMES,
    dead_pixels,
    empty_beam,
    hot_pixels_of,
    places_of,
)
from ptychopinn.data.scan import PROBE_ESTIMATED
from ptychopinn.data.start_probe import median_step_px, rms_diameter_px
from ptychopinn.data.steady import CornerCounts, beam_variation, repeats
from ptychopinn.physics.calibration import photon_ratio


def facts_of(data: Scan) -> ScanInfo:
    """Describe a scan, without its problems."""
    return ScanInfo(
        source=data.source,
        patterns=len(data),
        pattern_size_px=data.pattern_size,
        dtype=str(data.patterns.dtype),
        domain=data.domain,
        domain_reason=data.domain_reason,
        bad_pixel_fraction=0.0 if data.bad_pixels is None else float(data.bad_pixels.mean()),
        objects=1 if data.scan_index is None else len(np.unique(data.scan_index)),
        labels=data.truth_patches is not None,
        pixel_size_m=data.pixel_size_m,
        geometry=data.geometry,
        metadata=dict(data.metadata),
        **_counts(data),
        **_positions(data),
        **_repeated(data),
        **_probe(data.probe),
        **_object_guess(data),
    )


def _counts(scan: Scan) -> dict[str, Any]:
    """Photons, in one pass over the patterns."""
    photons, values, edge = np.empty(len(scan)), np.empty(len(scan)), 0.0
    largest, at_largest = 0.0, 0
    frame, total = _border(scan.pattern_size), np.zeros(scan.patterns.shape[1:])
    bad = None if scan.bad_pixels is None else np.logical_or.reduce(scan.bad_pixels.reshape(-1, *total.shape))
    corners = CornerCounts(scan.pattern_size, bad)
    for run, frames in frame_chunks(scan.patterns, scan.bad_pixels):
        frames = frames.astype(np.float64)
        counts = frames if scan.domain == "counts" else np.square(frames)
        photons[run] = counts.sum(axis=(1, 2))
        values[run] = (np.square(frames) if scan.domain == "counts" else frames).sum(axis=(1, 2))
        edge += float(counts[:, frame].sum())
        total += counts.sum(axis=0)
        corners.add(counts)
        top = float(frames.max())
        if top > largest:
            largest, at_largest = top, 0
        at_largest += int(np.count_nonzero(frames == largest))
    brightest = largest if scan.domain == "counts" else largest**2
    dead = dead_pixels(total, scan.always_bad, empty_beam(scan, float(total.sum())))
    hot = hot_pixels_of(scan, total, scan.always_bad)
    alike = slice(None) if scan.scan_index is None else scan.scan_index == scan.scan_index[0]
    return {
        "mean_photons_per_pattern": float(photons.mean()),
        "weakest_pattern_photons": float(photons.min()),
        "brightest_pixel_photons": brightest,
        "saturated_pixels": at_largest if _is_ceiling(brightest, at_largest) else 0,
        "dead_pixels": int(dead.sum()),
        "dead_places": places_of(dead),
        "hot_pixels": int(hot.sum()),
        "hot_places": places_of(hot),
        "background_photons": 0.0 if scan.geometry.is_near_field else corners.background_photons,
        "beam_variation": 0.0
        if scan.metadata.get(PROBE_ESTIMATED) is True
        else beam_variation(photons[alike], scan.positions_px[alike], scan.probe),
        "edge_photon_fraction": edge / float(photons.sum()),
        "photon_ratio": photon_ratio(float(photons.mean()), scan.probe),
        "other_photon_ratio": photon_ratio(float(values.mean()), scan.probe),
    }


def _is_ceiling(brightest: float, times: int) -> bool:
    """Chance repeats a largest count of 100 or more a few times, a saturated detector often."""
    return brightest >= CEILING_COUNTS and times >= CEILING_TIMES


def _positions(scan: Scan) -> dict[str, Any]:
    positions = scan.positions_px
    if scan.scan_index is not None:  # different objects lie in different planes
        positions = np.column_stack([positions, 1e6 * scan.scan_index])
    places = np.unique(positions, axis=0)
    low, high = scan.positions_px.min(axis=0), scan.positions_px.max(axis=0)
    return {
        "positions_low_px": (float(low[0]), float(low[1])),
        "positions_high_px": (float(high[0]), float(high[1])),
        "duplicate_positions": len(positions) - len(places),
        "step_px": median_step_px(positions),
        "outlying_positions": tuple(int(i) for i in np.flatnonzero(outlying_frames(scan))),
    }


def _repeated(scan: Scan) -> dict[str, Any]:
    found = repeats(scan)
    return {"repeated_scatter": found.scatter if found.differ else 0.0, "repeated_pairs": found.pairs}


def _probe(probe: NDArray[np.complex64]) -> dict[str, Any]:
    powers = np.square(np.abs(probe.astype(np.complex128)))
    total = float(powers.sum())
    return {
        "probe_modes": len(probe),
        "mode_powers": tuple(float(power) for power in powers.sum(axis=(1, 2)) / total),
        "probe_diameter_px": rms_diameter_px(powers.sum(axis=0)),
        "probe_edge_fraction": float(powers.sum(axis=0)[_border(probe.shape[-1])].sum()) / total,
    }


def _object_guess(scan: Scan) -> dict[str, Any]:
    guess = scan.object_guess
    if guess is None:
        return {"object_guess": "none", "object_guess_too_small": 0}
    shape = f"{guess.shape[0]} x {guess.shape[1]} px"
    if float(np.std(guess)) < 1e-6:
        return {"object_guess": f"{shape}, flat: no reference", "object_guess_too_small": 0}
    start = np.rint(scan.positions_px) - scan.pattern_size // 2
    outside = (start < 0) | (start + scan.pattern_size > np.array(guess.shape))
    return {"object_guess": shape, "object_guess_too_small": int(outside.any(axis=1).sum())}


def _border(size: int) -> NDArray[np.bool_]:
    """(size, size): the outermost thirty-second of the window on every side, at least one pixel."""
    width = max(1, size // 32)
    border = np.ones((size, size), dtype=bool)
    border[width:-width, width:-width] = False
    return border
