"""Scans in NPZ files. Reading never unpickles."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.adjust import finished_scan, positions_in_px
from ptychopinn.data.geometry import Geometry, is_square
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.dark import DARK_NAMES, WHITE_NAMES, Dark, mean_dark, without_dark
from ptychopinn.data.io.door import NpzArrays, ObjectArray, open_npz
from ptychopinn.data.io.entries import geometry_entries, plain_json, split_entries, unread_entries
from ptychopinn.data.io.limits import checked_geometry, with_given
from ptychopinn.data.io.masks import bad_pixels_of
from ptychopinn.data.io.reshape import Reshaped, geometry_with_shape, pixel_after, reshaped
from ptychopinn.data.io.rules import (
    decide_axis_order,
    decide_domain,
    position_offset_px,
    zero_frequency_centred,
)
from ptychopinn.data.probe_planes import complex_probe
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError, shown

logger = logging.getLogger("ptychopinn.data")

_NEEDED = ("xcoords", "ycoords")
_OPTIONAL = (
    "probeGuess",
    "objectGuess",
    "xcoords_start",
    "ycoords_start",
    "scan_index",
    "Y",
    "bad_pixels",
    "_metadata",
)
_NO_NOMINAL = "without_nominal_positions"
"""Metadata entry of files whose `xcoords_start` and `ycoords_start` repeat the positions, for the legacy reader."""
_CONSUMED = ("measurement_domain", "axis_order", "position_origin", "pixel_size_m", _NO_NOMINAL)
"""Metadata that have a field in `Scan`; written from there, so that the two cannot disagree."""

_OTHER_MASKS = ("mask", "masks", "pixel_mask", "bad_pixel_mask", "badpixels", "good_pixels", "valid_pixels")
"""Names of masks in files of other programs. Whether True means good or bad is not known, so they are only named."""

Arrays = dict[str, NDArray[Any]]


def _left_out(key: str) -> str:
    """What is said of an optional member that holds Python objects."""
    what = {"_metadata": "text", "objectGuess": "a complex array"}.get(key, "a plain array")
    return (
        f"{key} is a pickled Python object, which is never opened: it is left out; save it as {what} where it was "
        "made, or drop the key."
    )


def read_npz(path: str | Path, options: DataConfig | None = None, probe: NDArray[Any] | None = None) -> Scan:
    """Read a scan: `diffraction` or `diff3d`, `xcoords`, `ycoords`, and what is there of the rest.

    Other keys are ignored, and optional ones that hold Python objects are left out with a warning. Without
    `probeGuess` an estimate from the mean pattern stands in. What the patterns and positions mean is decided by
    `ptychopinn.data.io.rules`; the domain is logged with its reason and stored in the scan.

    Args:
        path: of the file.
        options: how it is read.
        probe: used in place of that of the file.

    Raises:
        ScanError: no such file, not an NPZ, damaged, a key missing, object arrays, or arrays that are no
        scan.
    """
    options = options or DataConfig()
    source = str(path)
    arrays, notes = _load(Path(path), needed_probe=probe is None)
    metadata = _metadata(arrays, source)
    xy = _columns(arrays, "xcoords", "ycoords", source)
    patterns = _scan_axis_first(arrays, len(xy), options, metadata, source)
    bad = arrays.get("bad_pixels")
    bad = None if bad is None else bad_pixels_of(bad, f"{source}: bad_pixels", patterns.shape)
    usable_bad = bad if bad is not None and bad.shape in (patterns.shape, patterns.shape[1:]) else None
    domain, reason = decide_domain(patterns, usable_bad, options.domain, metadata, source, _is_client_export(arrays))
    dark = _dark(arrays, patterns.shape, domain, options, source)
    patterns = patterns if dark is None else without_dark(patterns, usable_bad, dark)
    if options.fftshift:
        patterns, bad, metadata = zero_frequency_centred(patterns, bad, metadata)
    offset = position_offset_px(
        patterns.shape[-1], options.position_origin, metadata, _is_client_export(arrays), source
    )
    geometry, others = split_entries(metadata, source)
    geometry = checked_geometry(with_given(geometry, options), source)
    notes += unread_entries(metadata) + _other_pixel(metadata, geometry, patterns.shape[-1], options, source)
    beam: Any = arrays.get("probeGuess") if probe is None else probe
    beam = None if beam is None else complex_probe(beam, source)
    beam = beam[..., 0] if beam is not None and beam.ndim == 3 and beam.shape[-1] == 1 else beam
    pixel = _pixel_size(metadata, source) or _square_pixel(geometry, patterns.shape[-1])

    def placed(columns: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(positions_in_px(columns, options, pixel, source) + offset)

    shape = reshaped(patterns, bad, beam, geometry.detector_pixel_m, options, domain == "counts", source)
    pixel_size, others = _pixel_size(metadata, source), {key: others[key] for key in others if key not in _CONSUMED}
    if shape.is_rescaled or shape.detector_factor != (1.0, 1.0):
        geometry = geometry_with_shape(geometry, shape)
        pixel_size, others = pixel_after(pixel_size, others, shape)
        arrays = _still_fitting(arrays, shape, source)
    positions = placed(xy) * shape.scale
    nominal = None if metadata.get(_NO_NOMINAL) is True else _nominal(arrays, placed, source)
    if options.source_distance_m is not None:
        logger.warning(
            "%s: the distance of the source is not used, as the positions of an NPZ scan are in pixels", source
        )
    scan = Scan(
        patterns=shape.patterns,
        domain=domain,
        domain_reason=reason,
        positions_px=positions,
        nominal_positions_px=None if nominal is None else nominal * shape.scale,
        probe=beam if shape.probe is None else shape.probe,
        object_guess=arrays.get("objectGuess"),
        truth_patches=arrays.get("Y"),
        bad_pixels=shape.bad_pixels,
        scan_index=arrays.get("scan_index"),
        pixel_size_m=pixel_size,
        geometry=geometry,
        metadata=others,
        source=source,
        notes=notes,
    )
    scan = finished_scan(scan, options)
    logger.info("%s: %d patterns, read as %s (%s)", source, len(scan), domain, reason)
    if offset:
        logger.info("%s: %g px added to the positions, which mean the geometric centre", source, offset)
    return scan


def write_npz(scan: Scan, path: str | Path) -> Path:
    """Write a scan so that `read_npz` gives it back exactly; an old file is replaced whole or not at all.

    Counts go under `diff3d`, amplitudes under `diffraction`; `_metadata` states the domain and the position
    origin.

    Raises:
        ScanError: metadata that are no plain JSON values.
        OutputError: the file cannot be written.
    """
    arrays = _arrays_of(scan)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return Path(path)


def _arrays_of(scan: Scan) -> Arrays:
    key = "diff3d" if scan.domain == "counts" else "diffraction"
    arrays: dict[str, NDArray[Any] | None] = {
        key: scan.patterns,
        "xcoords": scan.positions_px[:, 1],
        "ycoords": scan.positions_px[:, 0],
        "probeGuess": scan.probe[0] if len(scan.probe) == 1 else scan.probe,
        "objectGuess": scan.object_guess,
        "Y": scan.truth_patches,
        "bad_pixels": scan.bad_pixels,
        "scan_index": scan.scan_index,
        "_metadata": np.array(_metadata_text(scan)),
    }
    nominal = scan.positions_px if scan.nominal_positions_px is None else scan.nominal_positions_px
    arrays |= {"xcoords_start": nominal[:, 1], "ycoords_start": nominal[:, 0]}
    return {name: array for name, array in arrays.items() if array is not None}


def _metadata_text(scan: Scan) -> str:
    own: dict[str, Any] = {
        "measurement_domain": scan.domain,
        "axis_order": "nhw",
        "position_origin": "element",
    }
    if scan.nominal_positions_px is None:
        own[_NO_NOMINAL] = True
    if scan.pixel_size_m is not None:
        own["pixel_size_m"] = scan.pixel_size_m
    try:
        return json.dumps({**scan.metadata, **geometry_entries(scan.geometry), **own})
    except (TypeError, ValueError) as error:
        raise ScanError(f"{scan.source}: the metadata are no plain JSON values ({error}); convert them") from None


def _load(path: Path, needed_probe: bool) -> tuple[Arrays, tuple[str, ...]]:
    """The keys of the format, each as an array, and what was left out; nothing else is looked at."""
    with open_npz(path) as archive:
        keys = (_pattern_key(archive.files, path), *_NEEDED)
        _refuse_missing(archive.files, path)
        _note_unused(archive.files, path)
        arrays = {key: archive[key] for key in keys}
        dark = next((key for key in DARK_NAMES if key in archive.files), None)
        optional = _OPTIONAL if dark is None else (*_OPTIONAL, dark)
        wanted = [key for key in optional if key in archive.files and (needed_probe or key != "probeGuess")]
        left_out = [key for key in wanted if not _added(arrays, archive, key)]
    return arrays, tuple(_left_out(key) for key in left_out)


def _added(arrays: Arrays, archive: NpzArrays, key: str) -> bool:
    """Read an optional member; False if it holds Python objects, which only a probe may not."""
    try:
        arrays[key] = archive[key]
    except ObjectArray:
        if key == "probeGuess":
            raise
        if key == "_metadata":
            text = archive.object_text(key)
            readable = text is not None and _json_object(text) is not None
            arrays[key] = np.array(text if readable else "{}")  # without any it would be an export of ptychodus
            return readable
        return False
    return True


def _pattern_key(files: Sequence[str], path: Path) -> str:
    for key in ("diffraction", "diff3d"):
        if key in files:
            return key
    raise ScanError(
        f"{path}: has no patterns, neither diffraction nor diff3d (found: "
        f"{shown(', '.join(sorted(files))) or 'nothing'}); save them as (N, H, W) under one of these keys"
    )


def _refuse_missing(files: Sequence[str], path: Path) -> None:
    missing = [key for key in _NEEDED if key not in files]
    if missing:
        raise ScanError(
            f"{path}: {', '.join(missing)} missing (found: {shown(', '.join(sorted(files)))}); a scan "
            "must have patterns, xcoords and ycoords, add what is missing"
        )


def _note_unused(files: Sequence[str], path: Path) -> None:
    """Name masks under other names and images of an even illumination, which are not used."""
    for key in _OTHER_MASKS:
        if key in files and "bad_pixels" not in files:
            logger.warning(
                "%s: %s is not used; if it is a mask, save it as bad_pixels (True where nothing was measured)",
                path,
                key,
            )
    if "metadata" in files and "_metadata" not in files:
        logger.warning("%s: metadata is not used; save it as _metadata, a string with a JSON object", path)
    for key in WHITE_NAMES:
        if key in files:
            logger.warning("%s: %s is not applied: patterns are read as they were recorded", path, key)


def _dark(arrays: Arrays, frames: tuple[int, ...], domain: str, options: DataConfig, source: str) -> Dark | None:
    """The dark image to be subtracted from counts, in the axis order of the patterns; none without one."""
    key = next((one for one in DARK_NAMES if one in arrays), None)
    if key is None:
        return None
    where = f"{source}: {key}"
    if options.dark == "ignore":
        logger.warning("%s is ignored, as asked for", where)
        return None
    if domain != "counts":
        logger.warning(
            "%s is not subtracted, because the patterns are amplitudes; to subtract it, save counts as diff3d", where
        )
        return None
    values = arrays[key]
    frames_last = values.ndim == 3 and values.shape[1:] != frames[1:] and values.shape[:2] == frames[1:]
    return where, mean_dark(np.moveaxis(values, -1, 0) if frames_last else values, frames, where)


def _still_fitting(arrays: Arrays, shape: Reshaped, source: str) -> Arrays:
    """The arrays without those that patterns of another size do not fit."""
    lost = [key for key in ("Y", *(("objectGuess",) if shape.is_rescaled else ())) if key in arrays]
    if lost:
        logger.warning("%s: %s has other pixels than the reshaped patterns; it is not used", source, " and ".join(lost))
    return {key: value for key, value in arrays.items() if key not in lost}


def _metadata(arrays: Arrays, source: str) -> dict[str, Any]:
    stored = arrays.get("_metadata")
    if stored is None:
        return {}
    text = stored.reshape(-1)[0] if stored.size == 1 else None
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    metadata = _json_object(text) if isinstance(text, str) else None
    if metadata is None:
        raise ScanError(f"{source}: _metadata is no JSON object in a string; correct it or drop the key")
    return metadata


def _json_object(text: str) -> dict[str, Any] | None:
    """The object that a text stands for; None where it is no JSON object."""
    try:
        value = plain_json(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _columns(arrays: Arrays, x_key: str, y_key: str, source: str) -> NDArray[np.float64]:
    """(N, 2), (y, x), from two columns of the file."""
    x, y = (_flat(arrays[key], arrays) for key in (x_key, y_key))
    if x.ndim != 1 or x.shape != y.shape or x.dtype.kind not in "uif" or y.dtype.kind not in "uif":
        raise ScanError(
            f"{source}: {x_key} is {x.dtype} {x.shape} and {y_key} is {y.dtype} {y.shape}; "
            "must be two lists of real numbers of the same length"
        )
    return np.stack([y, x], axis=1).astype(np.float64)


def _flat(column: NDArray[Any], arrays: Arrays) -> NDArray[Any]:
    """A column with axes of one, or with the axes of a raster that the patterns have too, as a list."""
    patterns = arrays["diffraction" if "diffraction" in arrays else "diff3d"]
    raster = column.ndim == 2 and patterns.ndim > 3 and patterns.shape[:2] == column.shape
    return column.reshape(-1) if column.ndim > 1 and (raster or column.size == max(column.shape)) else column


def _nominal(
    arrays: Arrays, placed: Callable[[NDArray[np.float64]], NDArray[np.float64]], source: str
) -> NDArray[np.float64] | None:
    if "xcoords_start" not in arrays or "ycoords_start" not in arrays:
        return None
    return placed(_columns(arrays, "xcoords_start", "ycoords_start", source))


def _other_pixel(
    metadata: dict[str, Any], geometry: Geometry, size: int, options: DataConfig, source: str
) -> tuple[str, ...]:
    """A sentence where the object pixel differs from that of energy, distance and detector pixel of the same file."""
    stated, implied = _pixel_size(metadata, source), geometry.object_pixel_m(size)
    given = (options.energy_eV, options.distance_m, options.detector_pixel_m)
    if stated is None or implied is None or any(one is not None for one in given):
        return ()
    if any(abs(one - stated) <= _OTHER_PIXEL * stated for one in implied):
        return ()
    return (
        f"pixel_size_m is {stated:.6g}, but energy_eV, distance_m and detector_pixel_m of the metadata give "
        f"{implied[0]:.6g} m: one of them is wrong; positions in px do not depend on it.",
    )


_OTHER_PIXEL = 0.05
"""Relative difference of object pixels above which they contradict each other; rounded numbers differ by less."""


def _square_pixel(geometry: Geometry, size: int) -> float | None:
    pixel = geometry.object_pixel_m(size)
    return pixel[0] if pixel is not None and is_square(pixel) else None


def _scan_axis_first(
    arrays: Arrays, n: int, options: DataConfig, metadata: dict[str, Any], source: str
) -> NDArray[Any]:
    """The patterns as (N, H, W); in old files labels and masks of each pattern move along."""
    key = "diffraction" if "diffraction" in arrays else "diff3d"
    patterns = arrays[key]
    if patterns.ndim > 3 and patterns.shape[-1] == 1:
        patterns = patterns[..., 0]
    if patterns.ndim > 3 and int(np.prod(patterns.shape[:-2])) == n:
        patterns = patterns.reshape(n, *patterns.shape[-2:])
    if patterns.ndim != 3:
        raise ScanError(f"{source}: {key} has shape {patterns.shape}; must be (N, H, W), reshape it")
    if "unpaired" in options.drop_frames and options.axis_order == "auto" and n not in patterns.shape:
        return patterns
    known = options.axis_order == "auto" and _is_client_export(arrays) and patterns.shape[0] == n
    if known or decide_axis_order(patterns.shape, n, options.axis_order, metadata, source) == "nhw":
        return patterns
    for name in ("Y", "bad_pixels"):
        if name in arrays and arrays[name].shape == patterns.shape:
            arrays[name] = np.moveaxis(arrays[name], -1, 0)
    return np.moveaxis(patterns, -1, 0)


def _is_client_export(arrays: Arrays) -> bool:
    """The signature of a ptychodus export: always (N, H, W), positions of the geometric centre."""
    return "diff3d" in arrays and "bad_pixels" in arrays and "_metadata" not in arrays


def _pixel_size(metadata: dict[str, Any], source: str) -> float | None:
    size = metadata.get("pixel_size_m")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < 1:
        raise ScanError(
            f"{source}: the metadata say pixel_size_m = {shown(repr(size))}; must be a positive length in metres, "
            "below 1"
        )
    return float(size)
