"""What a file's patterns and positions mean: domain, scan axis, position origin.

Every reader decides by these functions. An explicit argument wins, then the metadata of the file, then the
evidence.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.corner import centred
from ptychopinn.data.scan import Domain
from ptychopinn.errors import ScanError

AxisOrder = Literal["nhw", "hwn"]
PositionOrigin = Literal["element", "centre"]
Propagation = Literal["auto", "far_field", "near_field"]
"""What the user says about the way from the sample to the detector."""

_EARLIER_DOMAINS: dict[str, Domain] = {"normalized_amplitude": "amplitude", "count_intensity": "counts"}
"""Words of legacy PtychoPINN for the two domains."""
LARGEST_AMBIGUOUS_COUNT = 10
"""Whole numbers no larger than this may as well be amplitudes of a weak pattern."""


def decide_domain(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    given: Literal["auto", "amplitude", "counts"],
    metadata: Mapping[str, Any],
    source: str,
    client_export: bool = False,
) -> tuple[Domain, str]:
    """Amplitude or counts, and why.

    The evidence: an export of ptychodus holds counts, also where it averaged patterns. An integer type, or floats
    that are all whole numbers with a maximum above 10, are counts; everything else is amplitude. Bad pixels are
    no evidence.

    Args:
        patterns: (N, H, W).
        bad_pixels: (H, W) or (N, H, W), True where nothing was measured.
        given: what the user said; `auto` asks the metadata, then the evidence.
        metadata: of the file; the key is `measurement_domain`.
        source: name of the file, for messages.
        client_export: the file carries the signature of an export of ptychodus.

    Raises:
        ScanError: the metadata name a domain that does not exist.
    """
    if given != "auto":
        return given, "given explicitly"
    stated = metadata.get("measurement_domain")
    if isinstance(stated, str) and stated in _EARLIER_DOMAINS:
        return _EARLIER_DOMAINS[stated], f"{stated} in the metadata"
    if stated is not None:
        if stated not in ("amplitude", "counts"):
            raise ScanError(
                f"{source}: the metadata say measurement_domain = {stated!r}; must be 'amplitude' or "
                "'counts', correct the file or give the domain explicitly"
            )
        return stated, "stated in the metadata"
    if client_export:
        return "counts", "an export of ptychodus, which holds counts"
    if patterns.dtype.kind in "ui":
        return "counts", f"integer type {patterns.dtype}"
    if patterns.dtype.kind == "f" and _all_whole(patterns, bad_pixels):
        return "counts", f"floats that are all whole numbers with a maximum above {LARGEST_AMBIGUOUS_COUNT}"
    return "amplitude", f"{patterns.dtype} values, not all whole or none above {LARGEST_AMBIGUOUS_COUNT}"


def decide_axis_order(
    shape: tuple[int, ...],
    n_positions: int,
    given: Literal["auto", "nhw", "hwn"],
    metadata: Mapping[str, Any],
    source: str,
) -> AxisOrder:
    """Which axis of the patterns runs over the scan: the one as long as the list of positions.

    Raises:
        ScanError: both ends fit, or neither does, and nobody said which.
    """
    if given != "auto":
        return given
    stated = metadata.get("axis_order")
    if stated is not None:
        if stated not in ("nhw", "hwn"):
            raise ScanError(f"{source}: the metadata say axis_order = {stated!r}; must be 'nhw' or 'hwn'")
        return stated
    first, last = shape[0] == n_positions, shape[-1] == n_positions
    if first and last:
        raise ScanError(
            f"{source}: patterns of shape {shape} with {n_positions} positions may be (N, H, W) or (H, W, "
            "N); say which with axis_order 'nhw' or 'hwn'"
        )
    if not first and not last:
        raise ScanError(
            f"{source}: patterns of shape {shape} do not fit {n_positions} positions; there must be "
            "one position for each pattern, along the first axis (or the last one, in old files)"
        )
    return "nhw" if first else "hwn"


def position_offset_px(
    pattern_size: int,
    given: Literal["auto", "element", "centre"],
    metadata: Mapping[str, Any],
    client_export: bool,
    source: str,
) -> float:
    """What is added to recorded positions so that they point at patch element (H//2, W//2).

    `centre` means the geometric centre (H-1)/2, that is half a pixel less for even H and the same element
    for odd H.

    Args:
        pattern_size: rows (and columns) of a pattern.
        given: what the user said; `auto` asks the metadata (`position_origin`), then the evidence.
        metadata: of the file.
        client_export: the file carries the signature of a client that means the geometric centre.
        source: name of the file, for messages.

    Raises:
        ScanError: the metadata name an origin that does not exist.

    >>> position_offset_px(64, "centre", {}, False, "memory")
    0.5
    """
    origin: Any = given if given != "auto" else metadata.get("position_origin")
    if origin is None:
        origin = "centre" if client_export else "element"
    if origin not in ("element", "centre"):
        raise ScanError(f"{source}: the metadata say position_origin = {origin!r}; must be 'element' or 'centre'")
    return pattern_size // 2 - (pattern_size - 1) / 2 if origin == "centre" else 0.0


def zero_frequency_centred(
    patterns: NDArray[Any], bad_pixels: NDArray[Any] | None, metadata: Mapping[str, Any]
) -> tuple[NDArray[Any], NDArray[Any] | None, dict[str, Any]]:
    """Patterns and mask with the zero frequency moved from the corner to (H//2, W//2), and what then holds."""
    history = metadata.get("history", [])
    history = history if isinstance(history, list) else [history]
    kept = {key: value for key, value in metadata.items() if key not in ("dc_index", "layout")}
    kept["history"] = [*history, "zero frequency moved from the corner to the centre (fftshift)"]
    return *centred(patterns, bad_pixels), kept


def _all_whole(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None) -> bool:
    """Whether all measured values are whole numbers and the largest one is above the ambiguous range."""
    largest = 0.0
    for _, frames in frame_chunks(patterns, bad_pixels):
        if not np.array_equal(frames, np.rint(frames)):
            return False
        largest = max(largest, float(frames.max(initial=0)))
    return largest > LARGEST_AMBIGUOUS_COUNT
