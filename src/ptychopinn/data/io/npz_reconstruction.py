"""Reconstructions in NPZ files. Reading never unpickles."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.data.io.entries import geometry_entries, plain_json, split_entries
from ptychopinn.data.reconstruction import RESULT_NAME, Background, Reconstruction
from ptychopinn.errors import ScanError

_NEEDED = ("object", "coverage", "origin_px", "positions_px", "probe")
_MAPS = ("prior_correction", "amplitude_error", "phase_error")
_NUMBERS = ("background", "blur_px")
_OF_PATTERNS = ("intensities", "relaxation_modes", "relaxation_weights")
_READ = (*_NEEDED, *_MAPS, *_NUMBERS, *_OF_PATTERNS, "pixel_size_m", "_metadata")


def write_npz_reconstruction(image: Reconstruction, path: Path) -> Path:
    """Write a reconstruction, with amplitude and phase beside the object; returns the path.

    Raises:
        OutputError: the file cannot be written.
    """
    metadata = image.metadata | geometry_entries(image.geometry)
    arrays: dict[str, Any] = {
        "object": image.object_,
        "amplitude": image.amplitude,
        "phase": image.phase,
        **{name: getattr(image, name) for name in _NEEDED[1:]},
        "_metadata": np.asarray(json.dumps(metadata)),
    }
    if image.pixel_size_m is not None:
        arrays["pixel_size_m"] = np.float64(image.pixel_size_m)
    arrays |= {name: getattr(image, name) for name in (*_MAPS, *_OF_PATTERNS) if getattr(image, name) is not None}
    arrays |= {name: np.asarray(getattr(image, name)) for name in _NUMBERS if getattr(image, name) is not None}
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)
    return path


def read_npz_reconstruction(path: Path) -> Reconstruction:
    """Read what `write_npz_reconstruction` wrote.

    Raises:
        ScanError: damaged, a missing array, Python objects, or shapes that do not fit.
    """
    arrays = _read_arrays(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise ScanError(f"{path}: lacks {', '.join(missing)}, so it is no reconstruction; give a {RESULT_NAME}")
    try:
        geometry, metadata = split_entries(_from_json(arrays.get("_metadata")), str(path))
        return Reconstruction(
            object_=arrays["object"],
            **{name: arrays[name] for name in _NEEDED[1:]},
            pixel_size_m=float(arrays["pixel_size_m"]) if "pixel_size_m" in arrays else None,
            geometry=geometry,
            metadata=metadata,
            prior_correction=arrays.get("prior_correction"),
            amplitude_error=arrays.get("amplitude_error"),
            phase_error=arrays.get("phase_error"),
            background=_background(arrays),
            blur_px=_number(arrays, "blur_px"),
            intensities=arrays.get("intensities"),
            relaxation_modes=arrays.get("relaxation_modes"),
            relaxation_weights=arrays.get("relaxation_weights"),
        )
    except ScanError:
        raise
    except (ValueError, TypeError) as error:
        raise ScanError(f"{path}: an array has a type that a reconstruction cannot use ({error})") from None


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with open_npz(path) as archive:
        return {name: archive[name] for name in _READ if name in archive.files}


def _from_json(text: NDArray[Any] | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        tree = plain_json(str(text.item()))
    except (ValueError, RecursionError):
        raise ScanError("_metadata is not valid JSON; reconstruct again") from None
    if not isinstance(tree, dict):
        raise ScanError("_metadata is no JSON dictionary; reconstruct again")
    return tree


def _number(arrays: Mapping[str, Any], name: str) -> float | None:
    return float(arrays[name]) if name in arrays else None


def _background(arrays: Mapping[str, Any]) -> Background:
    """One number, or one for each pixel."""
    is_pattern = "background" in arrays and np.ndim(arrays["background"]) == 2
    return np.asarray(arrays["background"]) if is_pattern else _number(arrays, "background")
