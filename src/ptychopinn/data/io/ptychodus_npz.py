"""The NPZ product and the NPZ diffraction file of ptychodus: the content of its HDF5 files under flat names."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.geometry import Geometry, PixelSize, is_positive_number
from ptychopinn.data.io.door import ObjectArray, open_npz
from ptychopinn.data.io.frames import LoadedFrames
from ptychopinn.data.io.hdf5_parts import Hdf5Parts
from ptychopinn.data.io.parts_format import PartsFormat
from ptychopinn.data.io.ptychodus import DIFFRACTION, NEAR_FIELD, PRODUCT, WANTED
from ptychopinn.data.io.source_file import SourceFile
from ptychopinn.errors import ScanError

Arrays = dict[str, NDArray[Any]]
_PRODUCT_KEYS = (
    "name",
    "comments",
    "detector_object_distance_m",
    "photon_energy_eV",
    "far_field",
    "probe",
    "probe_position_indexes",
    "probe_position_x_m",
    "probe_position_y_m",
    "object",
    "object_center_x_m",
    "object_center_y_m",
    "object_pixel_width_m",
    "object_pixel_height_m",
)
_DIFFRACTION_KEYS = ("patterns", "indexes", "bad_pixels")
_OURS = ("diffraction.npy", "diff3d.npy", "xcoords.npy")


@final
class PtychodusNpzProduct(PartsFormat):
    """A product of ptychodus as NPZ: probe, object and positions, with the patterns in another file."""

    name: ClassVar[str] = "ptychodus product (NPZ)"

    def sniff(self, file: SourceFile) -> bool:
        return "probe_position_x_m.npy" in (file.members or ())

    def open_parts(self, path: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
        arrays, found = _read(path, _PRODUCT_KEYS)
        metres = _columns(arrays, path)
        pixel = _pixel(arrays)
        object_ = None if "object" not in arrays else _one_layer(arrays["object"], path)
        centre = _number(arrays, "object_center_y_m") or 0.0, _number(arrays, "object_center_x_m") or 0.0
        return Hdf5Parts(
            source=str(path),
            layout=PRODUCT,
            positions_m=metres,
            position_index=_whole(arrays, "probe_position_indexes", path),
            probe=None if "probe" not in arrays else _one_coherent(arrays["probe"], path),
            object_=object_,
            object_pixel_m=pixel,
            object_centre_m=None if object_ is None or metres is None else centre,
            geometry=_geometry(arrays),
            metadata=_texts(arrays),
            wanted=WANTED,
            found=found,
        )


@final
class PtychodusNpzDiffraction(PartsFormat):
    """Assembled patterns of ptychodus as NPZ, with all else in a product."""

    name: ClassVar[str] = "ptychodus diffraction (NPZ)"

    def sniff(self, file: SourceFile) -> bool:
        members = file.members or ()
        return "patterns.npy" in members and not any(name in members for name in _OURS)

    def open_parts(self, path: Path, files: ExitStack, options: DataConfig) -> Hdf5Parts:
        arrays, found = _read(path, _DIFFRACTION_KEYS)
        bad = arrays.get("bad_pixels")
        if bad is not None and bad.dtype.kind not in "bui":
            raise ScanError(f"{path}: bad_pixels must be bool, True where nothing was measured, got {bad.dtype}")
        return Hdf5Parts(
            source=str(path),
            layout=DIFFRACTION,
            frames=LoadedFrames(arrays["patterns"], f"{path}: patterns"),
            frame_index=_whole(arrays, "indexes", path),
            bad_pixels=None if bad is None else bad.astype(np.bool_),
            wanted=WANTED,
            found=found,
        )


def _read(path: Path, keys: tuple[str, ...]) -> tuple[Arrays, str]:
    """The arrays of these names that are there, and what the file holds, for messages."""
    with open_npz(path) as archive:
        arrays: Arrays = {}
        for key in keys:
            if key in archive.files:
                try:
                    arrays[key] = archive[key]
                except ObjectArray:
                    if key not in ("name", "comments"):
                        raise
        return arrays, ", ".join(sorted(archive.files)[:12])


def _number(arrays: Arrays, key: str) -> float | None:
    value = arrays.get(key)
    if value is None or value.size != 1 or value.dtype.kind not in "uif" or not np.isfinite(value).all():
        return None
    return float(value.reshape(()))


def _positive(arrays: Arrays, key: str) -> float | None:
    value = _number(arrays, key)
    return abs(value) if value and is_positive_number(abs(value)) else None


def _pixel(arrays: Arrays) -> PixelSize | None:
    y, x = _positive(arrays, "object_pixel_height_m"), _positive(arrays, "object_pixel_width_m")
    return None if y is None or x is None else (y, x)


def _geometry(arrays: Arrays) -> Geometry:
    known = Geometry(_positive(arrays, "photon_energy_eV"), _positive(arrays, "detector_object_distance_m"))
    if _number({"far_field": arrays["far_field"].astype(np.int8)} if "far_field" in arrays else {}, "far_field") == 0:
        return replace(known, propagation="near_field", propagation_reason=NEAR_FIELD)
    return known


def _texts(arrays: Arrays) -> dict[str, Any]:
    texts = {"title": arrays.get("name"), "comment": arrays.get("comments")}
    return {
        key: str(value)
        for key, value in texts.items()
        if value is not None and value.dtype.kind == "U" and value.size == 1 and str(value)
    }


def _columns(arrays: Arrays, path: Path) -> NDArray[np.float64] | None:
    """(N, 2), (y, x), m."""
    y, x = arrays.get("probe_position_y_m"), arrays.get("probe_position_x_m")
    if y is None or x is None:
        return None
    if y.ndim != 1 or y.shape != x.shape or y.dtype.kind not in "uif" or x.dtype.kind not in "uif":
        raise ScanError(
            f"{path}: probe_position_x_m and probe_position_y_m must be two lists of real numbers of the same length, "
            f"got {x.dtype} {x.shape} and {y.dtype} {y.shape}; save the product again"
        )
    return np.stack([y, x], axis=1).astype(np.float64)


def _whole(arrays: Arrays, key: str, path: Path) -> NDArray[np.int64] | None:
    index = arrays.get(key)
    if index is None:
        return None
    if index.ndim != 1 or index.dtype.kind not in "ui":
        raise ScanError(f"{path}: {key} must be one whole number for each frame, got {index.dtype} {index.shape}")
    return index.astype(np.int64)


def _one_coherent(probe: NDArray[Any], path: Path) -> NDArray[Any]:
    """(H, W) or (M, H, W); of (coherent, M, H, W) the first coherent mode."""
    probe = probe[0] if probe.ndim == 4 and len(probe) else probe
    if probe.ndim not in (2, 3) or probe.dtype.kind not in "fc":
        raise ScanError(f"{path}: the probe must be (H, W) or (M, H, W) numbers, got {probe.dtype} {probe.shape}")
    return probe


def _one_layer(object_: NDArray[Any], path: Path) -> NDArray[Any]:
    """(Y, X)."""
    if object_.ndim < 2 or any(length != 1 for length in object_.shape[:-2]) or object_.dtype.kind not in "fc":
        raise ScanError(f"{path}: the object must be one layer, (Y, X), got {object_.dtype} {object_.shape}")
    return object_.reshape(object_.shape[-2:])
