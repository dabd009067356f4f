"""Positions with a dataset for each axis, in NeXus and CXI files that hold no `translation`."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.io.detector import position_scale
from ptychopinn.data.io.hdf5 import array, as_text, attribute, find, place, same_item
from ptychopinn.data.io.quantities import scale_of
from ptychopinn.errors import ScanError

Nodes = Sequence[tuple[str, Any]]

OPTION = "--position-names (data.position_names)"
_EITHER_CASE = {"x": "y", "X": "Y"}
_WORDS = {"horizontal": "vertical", "Horizontal": "Vertical", "horz": "vert", "Horz": "Vert", "hor": "ver"}
_NO_POSITION = re.compile(
    r"err|std|sigma|size|pixel|index|indices|count|cent(er|re)|offset|veloc|speed|bpm|monitor|theta|tilt|angle|gain"
    r"|curr|volt|_indices|limit|resolution",
    re.IGNORECASE,
)
"""Names of pairs of numbers that are no positions of a stage."""
_WANTED_ONLY = re.compile(r"(^|[_./])(set|setpoint|demand|target|request(ed)?|command|nominal|desired)([_./]|$)", re.I)
"""Names of positions that a stage was sent to, not those that it reached."""
_VALUES = ("value", "position", "data", "readback")
"""The dataset in a group that stands for a motor."""
_ALIKE_M = 1e-12
"""Positions closer than this are the same; no stage resolves it."""


@final
@dataclass(frozen=True, eq=False)
class _Axes:
    """Movement along x and y, and where it was read."""

    names: tuple[str, ...]
    metres: NDArray[np.float64]
    """(N, 3): x, y, z of the sample."""

    @property
    def named(self) -> str:
        return " and ".join(self.names)


def moved_apart(
    entry: h5py.Group,
    nodes: Nodes,
    scan: tuple[int, ...],
    beside: Sequence[h5py.Group],
    options: DataConfig,
    notes: list[str],
) -> NDArray[np.float64] | None:
    """(N, 3): movement of the sample along x, y and z, m, from a dataset for each axis; none where there is none.

    In this order: the two that `data.position_names` names; transformations of the sample (NXtransformations); two
    datasets of the sample, beside the patterns, or elsewhere whose paths differ by x and y only, with one value for
    each pattern, or for each line and column of a raster.

    Args:
        entry: of the file.
        nodes: groups and datasets below it that belong to no other detector.
        scan: lengths of the scan axes of the patterns; empty where there are no patterns.
        beside: groups that hold the patterns.
        options: of these `position_names`, `position_unit` and `drop_frames`.
        notes: sentences for the user; those on the choice are added.

    Raises:
        ScanError: several pairs that differ, a name that is not there, or numbers that are no lengths.
    """
    if options.position_names is not None:
        return _given(entry, nodes, scan, options).metres
    if not scan:
        return None
    longer = "unpaired" in options.drop_frames
    for fits in (_is_of(scan, False), _is_of(scan, True))[: 1 + longer]:
        moved = _transformations(nodes, fits, options)
        pairs = [] if moved is not None else _agreeing(entry, nodes, beside, options, _finder(scan, fits))
        taken = moved or (pairs[0] if pairs else None)
        if taken is not None:
            notes.append(
                f"positions are those of {taken.named}, read as movement of the sample; `ptychopinn check` tests their "
                "signs"
            )
            return taken.metres
    return None


Fits = Callable[[h5py.Dataset], bool]
Finder = Callable[[h5py.Dataset, h5py.Dataset, h5py.Group, DataConfig], NDArray[np.float64] | None]


def _is_of(scan: tuple[int, ...], longer: bool) -> Fits:
    """Whether a dataset holds one number for each pattern, or for more than there are."""
    count = int(np.prod(scan))

    def fits(item: h5py.Dataset) -> bool:
        if item.shape is None or item.dtype.kind not in "uif" or item.size < 2:
            return False
        return item.size == count or (longer and item.ndim == 1 and item.size > count)

    return fits


def _finder(scan: tuple[int, ...], fits: Fits) -> Finder:
    """What gives the movement (N, 3), m, of a pair of datasets, or none where they do not fit the patterns."""

    def found(x: h5py.Dataset, y: h5py.Dataset, group: h5py.Group, options: DataConfig) -> NDArray[np.float64] | None:
        if fits(x) and fits(y) and x.size == y.size:
            return _together(_metres(x, options).reshape(-1), _metres(y, options).reshape(-1))
        axes = _raster_axes(x, y, scan, group)
        if axes is None:
            return None
        values = _metres(x, options).reshape(-1), _metres(y, options).reshape(-1)
        index = np.indices(scan)
        return _together(*(one[index[axis].reshape(-1)] for one, axis in zip(values, axes, strict=True)))

    return found


def _raster_axes(x: h5py.Dataset, y: h5py.Dataset, scan: tuple[int, ...], group: h5py.Group) -> tuple[int, int] | None:
    """Which scan axis x and y belong to: by their lengths, and where these are equal by the attribute `axes`."""
    if len(scan) != 2 or any(one.shape is None or one.ndim != 1 or one.dtype.kind not in "uif" for one in (x, y)):
        return None
    possible = [axes for axes in ((1, 0), (0, 1)) if (x.size, y.size) == (scan[axes[0]], scan[axes[1]])]
    if len(possible) < 2:
        return possible[0] if possible else None
    stored = attribute(group, "axes")
    names = [as_text(one) for one in np.atleast_1d(np.asarray(stored, dtype=object)).reshape(-1)]
    names = re.split(r"[:,\s]+", names[0].strip("[] ")) if len(names) == 1 else names
    named = [str(one.name).rpartition("/")[2] for one in (x, y)]
    places = tuple(names.index(one) if one in names[:2] else -1 for one in named)
    return next((axes for axes in possible if axes == places), None)


def _together(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([x, y, np.zeros(len(x))], axis=1)


def _metres(item: h5py.Dataset, options: DataConfig) -> NDArray[np.float64]:
    return np.asarray(array(item), np.float64) * position_scale(item, options.position_unit)


def _given(entry: h5py.Group, nodes: Nodes, scan: tuple[int, ...], options: DataConfig) -> _Axes:
    """The pair that the user names, by paths from the entry or from the top of the file."""
    names = [name.strip() for name in str(options.position_names).split(",")]
    if len(names) != 2:
        raise ScanError(
            f"{entry.file.filename}: {OPTION} must be two names with a comma, x first, got {options.position_names!r}"
        )
    x, y = (_named(entry, nodes, name) for name in names)
    axes = _raster_axes(x, y, scan, x.parent)
    if axes is not None and x.size != np.prod(scan):
        moved = _finder(scan, _is_of(scan, False))(x, y, x.parent, options)
        assert moved is not None
        return _Axes((str(x.name), str(y.name)), moved)
    if x.size != y.size:
        raise ScanError(f"{place(x)} has {x.size} values, but {y.name} {y.size}; give two of one length to {OPTION}")
    return _Axes(
        (str(x.name), str(y.name)), _together(_metres(x, options).reshape(-1), _metres(y, options).reshape(-1))
    )


def _named(entry: h5py.Group, nodes: Nodes, name: str) -> h5py.Dataset:
    below = (item for path, item in nodes if path.endswith(f"/{name.strip('/')}"))
    for item in (find(entry, name.strip("/")), find(entry.file, name.strip("/")), *below):
        inside = [item.get(one) for one in _VALUES] if isinstance(item, h5py.Group) else [item]
        for one in inside:
            if isinstance(one, h5py.Dataset) and one.shape is not None:
                return one
    lists = [path[1:] for path, item in nodes if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.size > 1]
    raise ScanError(
        f"{entry.file.filename}: {OPTION} must name datasets, got {name!r}; lists of numbers in {entry.name} are "
        f"{', '.join(lists[:12]) or 'none'}"
    )


def _transformations(nodes: Nodes, fits: Fits, options: DataConfig) -> _Axes | None:
    """Translations of the sample, each along its vector; none where they do not span x and y."""
    samples = _paths(nodes, lambda item: _is_group_of(item, "NXsample"))
    seen: list[h5py.Dataset] = []
    vectors = []
    for path, item in nodes:
        is_of_sample = any(path.startswith(f"{one}/") for one in samples)
        if not is_of_sample or not isinstance(item, h5py.Dataset) or not fits(item):
            continue
        if _text(item, "transformation_type") != "translation" or any(same_item(item, one) for one in seen):
            continue
        vector = np.asarray(attribute(item, "vector"))
        if vector.shape == (3,) and vector.dtype.kind in "uif" and np.isfinite(vector).all() and vector.any():
            seen.append(item)
            vectors.append(vector / np.linalg.norm(vector))
    if not seen or np.linalg.matrix_rank(np.array(vectors)[:, :2]) < 2 or len({item.size for item in seen}) > 1:
        return None
    moved = sum(
        _metres(item, options).reshape(-1, 1) * vector[None, :] for item, vector in zip(seen, vectors, strict=True)
    )
    return _Axes(tuple(str(item.name) for item in seen), np.asarray(moved))


def _agreeing(
    entry: h5py.Group, nodes: Nodes, beside: Sequence[h5py.Group], options: DataConfig, found: Finder
) -> list[_Axes]:
    """Pairs of the first place that holds any, all with the same positions.

    Raises:
        ScanError: they differ.
    """
    samples = _paths(nodes, lambda item: _is_group_of(item, "NXsample"))
    own = _paths(nodes, lambda item: any(same_item(item, one) for one in beside))
    ranked: dict[int, list[tuple[bool, _Axes]]] = {}
    for path, x, y in _pairs(nodes):
        of_sample = any(path.startswith(f"{one}/") for one in samples) or path.startswith("/sample")
        is_beside = any(path.startswith(f"{one}/") for one in own)
        moved = found(x, y, x.parent, options) if _is_length(x) and _is_length(y) else None
        if moved is not None and not (np.nanmax(moved, axis=0) == np.nanmin(moved, axis=0)).all():
            rank = 0 if of_sample else 1 if is_beside else 2
            wanted = _WANTED_ONLY.search("/".join(path.rsplit("/", 2)[1:])) is not None
            ranked.setdefault(rank, []).append((wanted, _Axes((str(x.name), str(y.name)), moved)))
    if not ranked:
        return []
    best = ranked[min(ranked)]
    pairs = [one for wanted, one in best if not wanted] or [one for _, one in best]
    for other in pairs[1:]:
        first = pairs[0].metres
        if first.shape != other.metres.shape or not np.allclose(first, other.metres, 0, _ALIKE_M, equal_nan=True):
            raise ScanError(
                f"{entry.file.filename}: positions may be those of {pairs[0].named}, or of {other.named}; choose by "
                f"{OPTION}, such as {','.join(pairs[0].names)}"
            )
    return pairs


def _pairs(nodes: Nodes) -> Iterator[tuple[str, h5py.Dataset, h5py.Dataset]]:
    """Two datasets whose paths differ by x and y, or words for them, in the last two names; each pair once."""
    datasets = {path: item for path, item in nodes if isinstance(item, h5py.Dataset) and item.shape is not None}
    seen: list[tuple[h5py.Dataset, h5py.Dataset]] = []
    for path, x in datasets.items():
        for partner in _partners(path):
            y = datasets.get(partner)
            if y is None or y.ndim != x.ndim or same_item(x, y):
                continue
            if not any(same_item(x, one) and same_item(y, other) for one, other in seen):
                seen.append((x, y))
                yield path, x, y


def _partners(path: str) -> Iterator[str]:
    """Paths that the dataset of y may have, where this one is that of x."""
    above, group, name = ("/" + path).rsplit("/", 2)
    above, here = above[1:], f"{group}/{name}"
    if _NO_POSITION.search(here):
        return
    spots = [match.start() for match in re.finditer("[xX]", here)]
    replaced = [here[:at] + _EITHER_CASE[here[at]] + here[at + 1 :] for at in spots]
    if len(spots) > 1:
        replaced.append("".join(_EITHER_CASE.get(sign, sign) for sign in here))
    replaced += [here.replace(one, other) for one, other in _WORDS.items() if one in here]
    for one in replaced:
        yield f"{above}/{one}" if group or above else f"/{one.lstrip('/')}"


def _is_length(item: h5py.Dataset) -> bool:
    """Whether numbers have a unit of length, or none."""
    try:
        scale_of(item, "length")
    except ScanError:
        return False
    return item.dtype.kind in "uif"


def _paths(nodes: Nodes, matches: Callable[[Any], bool]) -> list[str]:
    return [path for path, item in nodes if isinstance(item, h5py.Group) and matches(item)]


def _is_group_of(item: Any, name: str) -> bool:
    return _text(item, "NX_class") == name


def _text(item: h5py.HLObject, name: str) -> str:
    stored = attribute(item, name)
    return as_text(stored) if isinstance(stored, str | bytes) else ""
