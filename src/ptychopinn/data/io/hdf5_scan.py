"""From the parts of HDF5 files to a scan in our conventions."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.io.contents import Contents
from ptychopinn.data.io.hdf5 import open_hdf5
from ptychopinn.data.io.instrument import PixelSize, is_square, plain_pixel, same_pixel
from ptychopinn.data.io.layouts import read_contents
from ptychopinn.data.io.near_field import Shadow, decide_propagation
from ptychopinn.data.io.partner import joined, paired, partner_beside
from ptychopinn.data.io.rules import Propagation, position_offset_px, zero_frequency_centred
from ptychopinn.data.scan import Domain, Scan, checked_scan
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")


def read_hdf5_scan(
    path: str | Path,
    options: DataConfig,
    *,
    diffraction: str | Path | None = None,
    probe: NDArray[Any] | None = None,
    propagation: Propagation = "auto",
) -> Scan:
    """Read a scan from CXI, NeXus or ptychodus files.

    Args:
        path: of the file; of a ptychodus product or diffraction file the partner beside it is found.
        options: domain, position origin and `fftshift`; the axis order of these formats is fixed.
        diffraction: file with the patterns, instead of those of `path` or beside it.
        probe: (H, W) or (M, H, W), instead of that of the file.
        propagation: overrides what `ptychopinn.data.io.near_field` decides.

    Raises:
        ScanError: damaged, a layout that is not known, a part missing, or arrays that are no scan.
    """
    if options.axis_order == "hwn":
        raise ScanError(f"{path}: patterns in HDF5 files are (N, H, W); drop the axis order 'hwn'")
    with ExitStack() as files:
        contents = read_contents(files.enter_context(open_hdf5(path)))
        contents = _with_partner(contents, diffraction, files)
        if probe is not None:
            contents = replace(contents, probe=probe)
        contents, rows = paired(contents)
        if contents.frames is None:
            raise contents.missing("patterns")
        patterns = contents.frames.read(rows)
    return _scan_of(contents, patterns, options, propagation)


def _with_partner(contents: Contents, diffraction: str | Path | None, files: ExitStack) -> Contents:
    """Two files as one, where one alone is not enough."""
    if diffraction is not None:
        return joined(contents, read_contents(files.enter_context(open_hdf5(diffraction))))
    complete = contents.frames is not None and (contents.positions_m is not None or contents.positions_px is not None)
    beside = None if complete else partner_beside(contents)
    if beside is None:
        return contents
    logger.info("%s: the rest of the scan is read from %s", contents.source, beside)
    other = read_contents(files.enter_context(open_hdf5(beside)))
    return joined(contents, other) if contents.frames is None else joined(other, contents)


def _scan_of(contents: Contents, patterns: NDArray[Any], options: DataConfig, propagation: Propagation) -> Scan:
    own, metadata = contents.own, _metadata(contents)
    bad = contents.bad_pixels if contents.bad_pixels is not None and contents.bad_pixels.any() else None
    if options.fftshift:
        patterns, bad, metadata = zero_frequency_centred(patterns, bad, metadata)
    field, reason, shadow = decide_propagation(patterns, bad, contents, propagation)
    if propagation != "auto" or field == "near_field":
        metadata |= {"propagation": field, "propagation_reason": reason}
    pixel = _near_field_pixel(contents, shadow) if field == "near_field" else contents.pixel_m()
    contents = _without_foreign_object(contents, pixel)
    centres, positions = _positions(contents, pixel, patterns.shape[-1], options)
    known = None if own is not None and "pixel_size_m" in own.nominal else pixel
    domain, why = _domain(options)
    scan = Scan(
        patterns=patterns,
        domain=domain,
        domain_reason=why,
        positions_px=positions,
        probe=_probe(contents, field, patterns, bad),
        object_guess=None if own is not None and own.empty_object else contents.object_,
        bad_pixels=bad,
        pixel_size_m=None if known is None or not is_square(known) else float(known[0]),
        metadata=_frame_metadata(contents, centres, known) | metadata,
        source=contents.source,
        **_extras(contents),
    )
    scan = checked_scan(scan)
    logger.info("%s: %d patterns of a %s, read as %s (%s)", scan.source, len(scan), contents.layout, domain, why)
    if field == "near_field":
        logger.warning("%s: near field: %s", scan.source, reason)
    return scan


_TEXTS = ("title", "comment", "experiment_description")
"""Our own files repeat in them what our own metadata say."""


def _domain(options: DataConfig) -> tuple[Domain, str]:
    if options.domain == "auto":
        return "counts", "its format holds counts"
    return options.domain, "given explicitly"


def _metadata(contents: Contents) -> dict[str, Any]:
    """What the file says beside the arrays; of our own files what the scan said, without nominal numbers."""
    told = {**contents.metadata, **contents.instrument.metadata()}
    own = contents.own
    if own is None:
        return told
    dropped = {*own.nominal, *_TEXTS} | ({"wavelength_m"} if "energy_eV" in own.nominal else set())
    return {key: value for key, value in told.items() if key not in dropped} | own.metadata


def _frame_metadata(contents: Contents, centres: NDArray[np.float64], pixel: PixelSize | None) -> dict[str, Any]:
    """Where pixel (0, 0) of the frame lies in metres, and pixels that are not square."""
    if pixel is None:
        return {}
    told: dict[str, Any] = {} if is_square(pixel) else {"object_pixel_m": plain_pixel(pixel)}
    if contents.positions_m is not None:
        told["frame_origin_m"] = (contents.positions_m[0] - centres[0] * pixel).tolist()
    return told


def _positions(
    contents: Contents, pixel: PixelSize | None, size: int, options: DataConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) twice: geometric centres in the frame of the scan, and what `Scan.positions_px` holds.

    Positions that belong to no object get a frame in which the first patches begin at element 0, so that the
    smallest position on each axis is a whole number.
    """
    centres = contents.centres_px(pixel)
    offset = position_offset_px(size, options.position_origin, {}, True, contents.source)
    own = contents.own
    if own is not None and (own.empty_object or contents.object_ is None):
        centres = centres + own.origin_px
    elif not contents.is_framed():
        centres = centres - centres.min(axis=0) + size // 2 - offset
    return centres, centres + offset


def _near_field_pixel(contents: Contents, shadow: Shadow | None) -> PixelSize | None:
    """The detector pixel, magnified back; without a shadow image what the file states, or else no magnification."""
    pixel = contents.instrument.detector_pixel_m
    if contents.object_pixel_m is not None or pixel is None:
        return contents.object_pixel_m
    magnification = 1.0 if shadow is None else shadow.magnification
    return pixel[0] / magnification, pixel[1] / magnification


def _without_foreign_object(contents: Contents, pixel: PixelSize | None) -> Contents:
    """Drop an object whose pixels are not those of the patterns."""
    stated = contents.object_pixel_m
    if contents.object_ is None or pixel is None or stated is None or same_pixel(stated, pixel):
        return contents
    logger.warning(
        "%s: the object has pixels of %g m, but the patterns give %g m; it is not used",
        contents.source,
        stated[0],
        pixel[0],
    )
    return replace(contents, object_=None, object_centre_m=None)


def _probe(contents: Contents, field: str, patterns: NDArray[Any], bad: NDArray[Any] | None) -> NDArray[Any]:
    """The probe of the file; for near-field patterns without one, their mean as it falls on the detector."""
    if contents.probe is not None:
        return contents.probe
    if field != "near_field":
        raise contents.missing("probe")
    logger.warning("%s: holds no probe; the root of the mean pattern stands in, without phase", contents.source)
    usable = bad if bad is not None and bad.shape in (patterns.shape, patterns.shape[1:]) else None
    total = sum(frames.sum(axis=0, dtype=np.float64) for _, frames in frame_chunks(patterns, usable))
    return np.sqrt(np.clip(total, 0, None) / len(patterns)).astype(np.complex64)


def _extras(contents: Contents) -> dict[str, Any]:
    """Fields of a scan that only our own files hold."""
    arrays = {} if contents.own is None else contents.own.arrays
    return {name: arrays.get(name) for name in ("nominal_positions_px", "scan_index", "truth_patches")}
