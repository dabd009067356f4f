"""What viewers of HDF5 draw when they open a file: groups of class NXdata, and the attributes that lead to them.

A viewer such as silx or H5Web follows `default` from the root to an entry and from there to a group of class NXdata,
whose `signal` and `axes` name what is drawn (NeXus definitions, https://manual.nexusformat.org/datarules.html).
"""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

UM_PER_M = 1e6
NANOMETRE_DIGITS = 9


def show_frames(entry: h5py.Group, data: h5py.Group, signal: str) -> None:
    """Let viewers draw the patterns of a group of an entry.

    Args:
        entry: directly below the root.
        data: directly below the entry; holds the patterns or a link to them.
        signal: name of the patterns in it.
    """
    _lead_to(entry, data)
    _set_text(data, NX_class="NXdata", signal=signal)
    data[signal].attrs["interpretation"] = "image"


def show_object(
    entry: h5py.Group,
    object_: NDArray[np.complexfloating[Any, Any]],
    zero_m: NDArray[np.float64],
    pixel_m: tuple[float, float],
    error_bars: Mapping[str, NDArray[Any]],
) -> None:
    """Let viewers draw amplitude and phase of an object, over axes in micrometres.

    Args:
        entry: directly below the root.
        object_: (Y, X).
        zero_m: (y, x) of its element (0, 0).
        pixel_m: (height, width) of its pixels.
        error_bars: `amplitude_error`, `phase_error`, (Y, X), where known.
    """
    axes = {
        name: np.round((zero + side * np.arange(count)) * UM_PER_M, NANOMETRE_DIGITS)
        for name, zero, side, count in zip("yx", zero_m, pixel_m, object_.shape, strict=True)
    }
    parts = {"amplitude": (np.abs(object_), ""), "phase": (np.angle(object_), "rad")}
    for name, (values, unit) in parts.items():
        data = entry.create_group(name)
        _set_text(data, NX_class="NXdata", signal=name, title=f"{name} of the object")
        data.attrs["axes"] = ["y", "x"]
        image = data.create_dataset(name, data=values.astype(np.float32), compression="gzip")
        _set_text(image, interpretation="image", **({"units": unit} if unit else {}))
        for axis, places in axes.items():
            _set_text(data.create_dataset(axis, data=places), units="um")
        if f"{name}_error" in error_bars:
            data.create_dataset(f"{name}_errors", data=error_bars[f"{name}_error"], compression="gzip")
    _lead_to(entry, entry["amplitude"])


def _lead_to(entry: h5py.Group, data: h5py.Group) -> None:
    """The attributes of root and entry that name what is drawn."""
    _set_text(entry.file, NX_class="NXroot", default=_own_name(entry))
    _set_text(entry, NX_class="NXentry", default=_own_name(data))


def _own_name(group: h5py.Group) -> str:
    return str(group.name).rpartition("/")[2]


def _set_text(item: h5py.HLObject, **values: str) -> None:
    for name, value in values.items():
        item.attrs[name] = value
