"""Keeping a table of groups in a file beside its scan."""

import hashlib
import json
import logging
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.grouping import Groups, make_groups
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import open_npz
from ptychopinn.errors import OutputError, ScanError

logger = logging.getLogger("ptychopinn.data")

_VERSION = 1
_SETTINGS = {
    "group_size",
    "neighbors",
    "neighbor_rule",
    "min_distance_px",
    "max_distance_px",
    "sampler",
    "n_groups",
    "groups_per_pattern",
}


def cached_groups(
    scan_path: str | Path,
    positions_px: NDArray[np.float64],
    config: DataConfig,
    seed: int,
    *,
    scan_index: NDArray[np.int64] | None = None,
    seeds: NDArray[np.int64] | None = None,
) -> Groups:
    """The same table as `make_groups` with `numpy.random.default_rng(seed)`, kept in a file for the next
    time.

    The file holds a hash of positions, settings and seed; when it does not fit, or the file is damaged, the
    table is made anew and the file replaced. In a folder that cannot be written nothing is kept, which is
    logged.

    Args:
        scan_path: file of the scan; the table lies beside it.
        positions_px: (N, 2), (y, x).
        config: as for `make_groups`.
        seed: of the generator.
        scan_index: as for `make_groups`.
        seeds: as for `make_groups`.

    Raises:
        ScanError: as `make_groups`.
    """
    path = cache_path(scan_path, config)
    key = _content_hash(positions_px, config, seed, scan_index, seeds)
    index = _stored(path, key, len(positions_px), config.group_size)
    if index is not None:
        logger.info("groups read from %s", path)
        return Groups(index)
    groups = make_groups(positions_px, config, np.random.default_rng(seed), scan_index=scan_index, seeds=seeds)
    _store(path, key, groups)
    return groups


def cache_path(scan_path: str | Path, config: DataConfig) -> Path:
    """`<data>.g<gridsize>k<K>.groups_cache.npz` beside the scan.

    >>> cache_path("run/fly.npz", DataConfig(group_size=4, neighbors=7)).name
    'fly.g2k7.groups_cache.npz'
    """
    path = Path(scan_path)
    k = config.neighbors or config.group_size - 1
    return path.with_name(f"{path.stem}.g{isqrt(config.group_size)}k{k}.groups_cache.npz")


def _content_hash(
    positions_px: NDArray[np.float64],
    config: DataConfig,
    seed: int,
    scan_index: NDArray[np.int64] | None,
    seeds: NDArray[np.int64] | None,
) -> str:
    settings = {"version": _VERSION, "seed": seed, **config.model_dump(mode="json", include=_SETTINGS)}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, array, dtype in (("p", positions_px, "<f8"), ("i", scan_index, "<i8"), ("s", seeds, "<i8")):
        if array is not None:
            digest.update(f"{name}{np.shape(array)}".encode())
            digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return digest.hexdigest()


def _stored(path: Path, key: str, n: int, group_size: int) -> NDArray[np.int64] | None:
    """The table of the file, if it is sound and belongs to this content."""
    if not path.exists():
        return None
    try:
        with open_npz(path) as archive:
            if not {"key", "index"} <= set(archive.files):
                raise ScanError(f"{path}: holds no table of groups")
            stored_key, index = str(archive["key"]), archive["index"]
    except ScanError as error:
        logger.warning("%s; the groups are computed again", error)
        return None
    sound = index.dtype == np.int64 and index.ndim == 2 and index.shape[1] == group_size and index.size
    if stored_key != key or not sound or index.min() < 0 or index.max() >= n:
        return None
    return index


def _store(path: Path, key: str, groups: Groups) -> None:
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, key=np.array(key), index=groups.index)
    except OutputError as error:
        logger.info("groups are not kept: %s", error)
