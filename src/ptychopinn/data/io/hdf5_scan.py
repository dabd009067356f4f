"""From the parts of HDF5 files to a scan in our conventions."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import finished_scan
from ptychopinn.data.geometry import Geometry, PixelSize, is_square, plain_pixel, same_pixel, source_distance_m
from ptychopinn.data.io.dark import without_dark
from ptychopinn.data.io.entries import geometry_entries, split_entries
from ptychopinn.data.io.formats import Reading
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.limits import with_given
from ptychopinn.data.io.near_field import decide_propagation
from ptychopinn.data.io.partner import joined, paired, partner_beside
from ptychopinn.data.io.reshape import FRAME_KEYS, far_field_only, geometry_with_shape, reshaped
from ptychopinn.data.io.rules import position_offset_px, zero_frequency_centred
from ptychopinn.data.io.shadow import Shadow
from ptychopinn.data.io.shaped_parts import with_shape
from ptychopinn.data.scan import Domain, Scan
from ptychopinn.data.start_probe import mean_counts
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

PartsAt: TypeAlias = Callable[[Path, ExitStack, DataConfig], Hdf5Parts]
"""Takes a file apart, which stays open as long as the stack."""


def read_hdf5_scan(path: str | Path, reading: Reading, parts_at: PartsAt) -> Scan:
    """Read a scan from a file that is taken apart by `parts_at`.

    Args:
        path: of the file; of a ptychodus product or diffraction file the partner beside it is found.
        reading: the axis order of these formats is fixed; a stated propagation overrides what
            `ptychopinn.data.io.near_field` decides.
        parts_at: called for the file, and for its partner.

    Raises:
        ScanError: damaged, a layout that is not known, a part missing, or arrays that are no scan.
    """
    if reading.data.axis_order == "hwn":
        raise ScanError(f"{path}: patterns in HDF5 files are (N, H, W); drop the axis order 'hwn'")
    with ExitStack() as files:

        def opened(name: str | Path) -> Hdf5Parts:
            return parts_at(Path(name), files, reading.data)

        parts = _with_partner(opened(path), reading.diffraction, opened)
        if reading.probe is not None:
            parts = replace(parts, probe=reading.probe)
        parts, rows = paired(parts)
        if parts.frames is None:
            raise parts.missing("patterns")
        patterns = parts.frames.read(rows)
    return _scan_of(parts, patterns, reading)


def _with_partner(parts: Hdf5Parts, diffraction: Path | None, opened: Callable[[str | Path], Hdf5Parts]) -> Hdf5Parts:
    """Two files as one, where one alone is not enough."""
    if diffraction is not None:
        return joined(parts, opened(diffraction))
    complete = parts.frames is not None and (parts.positions_m is not None or parts.positions_px is not None)
    beside = None if complete else partner_beside(parts)
    if beside is None:
        return parts
    logger.info("%s: the rest of the scan is read from %s", parts.source, beside)
    other = opened(beside)
    return joined(parts, other) if parts.frames is None else joined(other, parts)


def _scan_of(parts: Hdf5Parts, patterns: NDArray[Any], reading: Reading) -> Scan:
    options = reading.data
    parts = replace(parts, geometry=with_given(parts.geometry, options))
    domain, why = _domain(parts, options)
    bad = parts.bad_pixels if parts.bad_pixels is not None and parts.bad_pixels.any() else None
    if parts.dark is not None and domain == "counts":
        patterns = without_dark(patterns, bad, parts.dark)
    geometry, metadata = _known(parts)
    geometry = with_given(geometry, options)
    if options.source_distance_m is not None:
        geometry = replace(geometry, source_distance_m=options.source_distance_m)
    if options.fftshift:
        patterns, bad, metadata = zero_frequency_centred(patterns, bad, metadata)
    shape = reshaped(
        patterns, bad, parts.probe, parts.geometry.detector_pixel_m, options, domain == "counts", parts.source
    )
    patterns, bad = shape.patterns, shape.bad_pixels
    if shape.is_rescaled or shape.detector_factor != (1.0, 1.0):
        parts, geometry = with_shape(parts, shape), geometry_with_shape(geometry, shape)
        metadata = {key: value for key, value in metadata.items() if key not in FRAME_KEYS}
    parts = replace(parts, probe=shape.probe, size=patterns.shape[-1])
    field, reason, shadow = decide_propagation(patterns, bad, parts, geometry, reading.propagation)
    if reading.propagation != "auto" or field == "near_field":
        geometry = replace(geometry, propagation=field, propagation_reason=reason)
    pixel = parts.pixel_m()
    if field == "near_field":
        far_field_only(options, parts.source)
        geometry, pixel = _near_field(parts, geometry, shadow, given=options.source_distance_m is not None)
    parts = _without_foreign_object(parts, pixel)
    own = parts.own
    centres, positions = _positions(parts, pixel, patterns.shape[-1], options)
    known = None if own is not None and "pixel_size_m" in own.nominal else pixel
    scan = Scan(
        patterns=patterns,
        domain=domain,
        domain_reason=why,
        positions_px=positions,
        probe=_probe(parts, field, patterns, bad),
        object_guess=None if own is not None and own.empty_object else parts.object_,
        bad_pixels=bad,
        pixel_size_m=None if known is None or not is_square(known) else float(known[0]),
        geometry=geometry,
        metadata=_frame_metadata(parts, centres, known) | metadata,
        source=parts.source,
        notes=parts.notes,
        **_extras(parts),
    )
    scan = finished_scan(scan, options, None if parts.beam_m is None or pixel is None else parts.beam_m / pixel[0])
    logger.info("%s: %d patterns of a %s, read as %s (%s)", scan.source, len(scan), parts.layout, domain, why)
    if field == "near_field":
        logger.warning("%s: near field: %s", scan.source, reason)
    return scan


_TEXTS = ("title", "comment", "experiment_description")
"""Our own files repeat in them what our own metadata say."""


def _domain(parts: Hdf5Parts, options: DataConfig) -> tuple[Domain, str]:
    if options.domain == "auto":
        return parts.domain, f"its format holds {parts.domain}"
    return options.domain, "given explicitly"


def _known(parts: Hdf5Parts) -> tuple[Geometry, dict[str, Any]]:
    """Geometry and what else the file says; of our own files what the scan said, without nominal numbers."""
    own = parts.own
    if own is None:
        return parts.geometry, dict(parts.metadata)
    told = parts.metadata | geometry_entries(parts.geometry)
    dropped = {*own.nominal, *_TEXTS} | ({"wavelength_m"} if "energy_eV" in own.nominal else set())
    kept = {key: value for key, value in told.items() if key not in dropped}
    return split_entries(kept | own.metadata, parts.source)


def _frame_metadata(parts: Hdf5Parts, centres: NDArray[np.float64], pixel: PixelSize | None) -> dict[str, Any]:
    """Where pixel (0, 0) of the frame lies in metres, and pixels that are not square."""
    if pixel is None:
        return {}
    told: dict[str, Any] = {} if is_square(pixel) else {"object_pixel_m": plain_pixel(pixel)}
    if parts.positions_m is not None:
        told["frame_origin_m"] = (parts.positions_m[0] - centres[0] * pixel).tolist()
    return told


def _positions(
    parts: Hdf5Parts, pixel: PixelSize | None, size: int, options: DataConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) twice: geometric centres in the frame of the scan, and what `Scan.positions_px` holds.

    Positions that belong to no object get a frame in which the first patches begin at element 0, so that the
    smallest position on each axis is a whole number.
    """
    centres = parts.centres_px(pixel)
    offset = position_offset_px(size, options.position_origin, {}, True, parts.source)
    own = parts.own
    if own is not None and (own.empty_object or parts.object_ is None):
        centres = centres + own.origin_px
    elif not parts.is_framed():
        centres = centres - _lowest(centres) + size // 2 - offset
    return centres, centres + offset


def _lowest(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,): smallest position on each axis; values that are no numbers are refused later, by their pattern."""
    return np.where(np.isfinite(centres), centres, np.inf).min(axis=0, initial=np.inf)


def _near_field(
    parts: Hdf5Parts, geometry: Geometry, shadow: Shadow | None, given: bool
) -> tuple[Geometry, PixelSize | None]:
    """Geometry with the distance of the source, and the object pixel, which is the effective one.

    Both follow from each other. A distance of the source that the user gave is used first, then an object pixel that
    the file states, a distance that it states, the magnification of the shadow image, and else a parallel beam.

    Raises:
        ScanError: a distance was given, and the file states no distance or pixel of the detector.
    """
    if given:
        if geometry.effective_pixel_m is None:
            raise ScanError(
                f"{parts.source}: the distance of the source was given, but distance or pixel of the detector is not "
                f"known (looked for {parts.wanted['geometry']}); add what is missing"
            )
        return geometry, geometry.effective_pixel_m
    pixel, detector = parts.object_pixel_m, geometry.detector_pixel_m or parts.geometry.detector_pixel_m
    nominal = () if parts.own is None else parts.own.nominal
    if pixel is None and detector is not None:
        if geometry.source_distance_m is not None and geometry.effective_pixel_m is not None:
            return geometry, geometry.effective_pixel_m
        magnification = 1.0 if shadow is None else shadow.magnification
        pixel = detector[0] / magnification, detector[1] / magnification
    distance, known = geometry.distance_m, pixel is not None and "pixel_size_m" not in nominal
    if geometry.source_distance_m is None and geometry.detector_pixel_m and pixel and distance and known:
        geometry = replace(
            geometry, source_distance_m=source_distance_m(distance, geometry.detector_pixel_m[0] / pixel[0])
        )
    return geometry, pixel


def _without_foreign_object(parts: Hdf5Parts, pixel: PixelSize | None) -> Hdf5Parts:
    """Drop an object whose pixels are not those of the patterns."""
    stated = parts.object_pixel_m
    if parts.object_ is None or pixel is None or stated is None or same_pixel(stated, pixel):
        return parts
    logger.warning(
        "%s: the object has pixels of %g m, but the patterns give %g m; it is not used",
        parts.source,
        stated[0],
        pixel[0],
    )
    return replace(parts, object_=None, object_centre_m=None)


def _probe(parts: Hdf5Parts, field: str, patterns: NDArray[Any], bad: NDArray[Any] | None) -> Any:
    """The probe of the file; for near-field patterns without one, their mean as it falls on the detector; else none."""
    if parts.probe is not None or field != "near_field":
        return parts.probe
    logger.warning("%s: holds no probe; the root of the mean pattern stands in, without phase", parts.source)
    usable = bad if bad is not None and bad.shape in (patterns.shape, patterns.shape[1:]) else None
    return np.sqrt(mean_counts(patterns, usable, counts=True)).astype(np.complex64)


def _extras(parts: Hdf5Parts) -> dict[str, Any]:
    """Fields of a scan that only our own files hold."""
    arrays = {} if parts.own is None else parts.own.arrays
    return {name: arrays.get(name) for name in ("nominal_positions_px", "scan_index", "truth_patches")}
