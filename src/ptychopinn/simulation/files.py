"""Objects, pictures, probes and positions from files. Nothing is ever unpickled."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import first_bytes, open_npz, read_npy
from ptychopinn.data.io.rules import position_offset_px
from ptychopinn.errors import ScanError

_ZIP, _NPY = b"PK", b"\x93NUMPY"
_PICTURE_STARTS = (b"\x89PNG", b"\xff\xd8", b"II*\0", b"MM\0*", b"BM", b"GIF8")
_OBJECT_KEYS = ("object", "objectGuess")
_PROBE_KEYS = ("probe", "probeGuess")
_PICTURE_KEYS = ("image", "amplitude", "phase")
_ALONE = ""
"""Key of the array of a file that holds just one."""


def load_object(path: Path) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """A complex object (Y, X) and the object-frame coordinate (y, x) of its element (0, 0).

    Args:
        path: a reconstruction or a scan (`object` or `objectGuess` of an NPZ), or an NPY.

    Raises:
        ScanError: no such file, or no complex picture in it.
    """
    arrays = _arrays(path, (*_OBJECT_KEYS, "origin_px"), "an object (NPZ with object or objectGuess, or NPY)")
    object_ = _first(arrays, _OBJECT_KEYS, path)
    if object_.ndim == 3 and len(object_) == 1:
        object_ = object_[0]
    if object_.ndim != 2 or object_.dtype.kind != "c" or not np.isfinite(object_).all():
        raise ScanError(
            f"{path}: the object is {object_.dtype} of shape {object_.shape}; must be complex, finite, (Y, X); "
            "for a picture of grey values set simulation.object_kind=image"
        )
    origin = arrays.get("origin_px", np.zeros(2)) if "object" in arrays else np.zeros(2)
    return np.ascontiguousarray(object_, np.complex64), np.asarray(origin, np.float64).reshape(2)


def load_probe(path: Path, size: int | None = None) -> NDArray[np.complex64]:
    """A probe (M, H, W), scaled as it is there.

    Args:
        path: a reconstruction or a scan (`probe` or `probeGuess` of an NPZ), or an NPY; (H, W), (H, W, 1) or
            (M, H, W).
        size: rows and columns that it must have; any by default.

    Raises:
        ScanError: no such file, no probe in it, or one of another size.
    """
    arrays = _arrays(path, _PROBE_KEYS, "a probe (NPZ with probe or probeGuess, or NPY)")
    probe = _first(arrays, _PROBE_KEYS, path)
    if probe.ndim == 3 and probe.shape[2] == 1 and probe.shape[0] > 1:
        probe = probe[..., 0]
    probe = probe[None] if probe.ndim == 2 else probe
    if probe.ndim != 3 or probe.dtype.kind != "c" or not np.isfinite(probe).all() or not probe.any():
        raise ScanError(
            f"{path}: the probe is {probe.dtype} of shape {probe.shape}; must be complex, finite, not all zero, "
            "(H, W) or (M, H, W)"
        )
    if size is not None and probe.shape[1:] != (size, size):
        raise ScanError(
            f"{path}: the probe is {probe.shape[1]} x {probe.shape[2]} px but simulation.probe_size_px is {size}; "
            f"set simulation.probe_size_px={probe.shape[1]}, or crop or pad the probe"
        )
    return np.ascontiguousarray(probe, np.complex64)


def load_positions(path: Path, size: int) -> NDArray[np.float64]:
    """Positions (N, 2), (y, x), px, where element (size//2, size//2) of each patch lies.

    Args:
        path: a scan (`xcoords`, `ycoords`) or a reconstruction (`positions_px`), NPZ, or an NPY.
        size: rows and columns of the patches, for files whose positions mean the geometric centre.

    Raises:
        ScanError: no such file, or no list of positions in it.
    """
    keys = ("positions_px", "xcoords", "ycoords", "_metadata")
    arrays = _arrays(path, keys, "positions (NPZ with xcoords and ycoords, or positions_px; or NPY)")
    if "xcoords" in arrays and "ycoords" in arrays:
        x, y = np.atleast_1d(arrays["xcoords"]), np.atleast_1d(arrays["ycoords"])
        positions = np.stack([y, x], axis=-1) if x.shape == y.shape else np.empty(0)
        positions = positions + _offset(arrays, path, size)
    else:
        positions = _first(arrays, ("positions_px",), path)
    if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) == 0 or positions.dtype.kind not in "iuf":
        raise ScanError(f"{path}: the positions have shape {positions.shape}; must be (N, 2), (y, x), real numbers")
    if not np.isfinite(positions).all():
        raise ScanError(f"{path}: some positions are NaN or infinite; drop them")
    return positions.astype(np.float64)


def load_picture(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A picture of grey values, cropped to the sides' ratio of `shape`, brought to that size, 0 black to 1 white.

    Args:
        path: PNG, TIFF, JPEG and the like, colours become grey; or a real array (Y, X) in an NPY, or as `image`,
            `amplitude` or `phase` in an NPZ.
        shape: rows and columns wanted.

    Raises:
        ScanError: no such file, or no picture in it.
    """
    from skimage.transform import resize

    picture = _picture(path)
    if picture.ndim != 2 or min(picture.shape) < 2 or picture.dtype.kind not in "biuf":
        raise ScanError(
            f"{path}: the picture is {picture.dtype} of shape {picture.shape}; must be real grey values, (Y, X); "
            "for a complex object set simulation.object_kind=file"
        )
    picture = picture.astype(np.float64)
    low, high = float(picture.min()), float(picture.max())
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        raise ScanError(f"{path}: the picture has no contrast, or NaN in it; give another one")
    cut = _middle((picture - low) / (high - low), shape)
    return np.clip(resize(cut, shape, order=1, mode="edge", anti_aliasing=True), 0, 1)


def _middle(picture: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The largest part, in the middle, with the sides' ratio of `shape`."""
    part = min(picture.shape[0] / shape[0], picture.shape[1] / shape[1])
    rows, columns = (max(1, round(part * side)) for side in shape)
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return picture[top : top + rows, left : left + columns]


def _picture(path: Path) -> NDArray[Any]:
    start = _start(path, "a picture")
    if start.startswith((_ZIP, _NPY)):
        return _first(_arrays(path, _PICTURE_KEYS, "a picture"), _PICTURE_KEYS, path)
    if not start.startswith(_PICTURE_STARTS):
        raise ScanError(f"{path}: is no picture; give a PNG, TIFF, JPEG, BMP, GIF, NPY or NPZ")
    from skimage.io import imread

    try:
        return np.asarray(imread(path, as_gray=True))
    except (OSError, ValueError, SyntaxError) as error:
        reason = str(error).splitlines()[0]
        raise ScanError(f"{path}: cannot be read as a picture ({reason}); give a PNG, NPY or NPZ") from None


def _start(path: Path, what: str) -> bytes:
    return first_bytes(path, 6, f"give {what}")


def _arrays(path: Path, keys: tuple[str, ...], what: str) -> Mapping[str, NDArray[Any]]:
    """The members of these names of an NPZ file, or the array of an NPY file."""
    start = _start(path, what)
    if start.startswith(_NPY):
        return {_ALONE: read_npy(path)}
    if not start.startswith(_ZIP):
        raise ScanError(f"{path}: is neither NPZ nor NPY; give {what}")
    with open_npz(path) as archive:
        return {key: archive[key] for key in keys if key in archive.files} | _signature(archive.files)


def _signature(files: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Remembers that the file is an export whose positions mean the geometric centre, as `read_scan` has it."""
    exported = "diff3d" in files and "bad_pixels" in files and "_metadata" not in files
    return {"exported": np.asarray(True)} if exported else {}


def _offset(arrays: Mapping[str, NDArray[Any]], path: Path, size: int) -> float:
    try:
        metadata = json.loads(str(arrays["_metadata"].item())) if "_metadata" in arrays else {}
    except ValueError:
        raise ScanError(f"{path}: _metadata is no JSON text; correct it or drop the key") from None
    return position_offset_px(size, "auto", metadata, "exported" in arrays, str(path))


def _first(arrays: Mapping[str, NDArray[Any]], keys: tuple[str, ...], path: Path) -> NDArray[Any]:
    for key in (*keys, _ALONE):
        if key in arrays:
            return arrays[key]
    raise ScanError(f"{path}: holds none of {', '.join(keys)}; give a file that has one of them")
