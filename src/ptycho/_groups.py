"""Tables of groups by the rules of legacy PtychoPINN, and the dictionary of arrays that they make."""

import logging
from functools import partial
from math import comb
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptycho._annotated import GroupedData, Table
from ptychopinn.config import DataConfig
from ptychopinn.data import Scan, cached_groups, make_groups
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.ptycho")


def group_arrays(scan: Scan, index: NDArray[np.int64]) -> GroupedData:
    """The documented dictionary for a table (n, C) of patterns of a scan; large entries are made when asked for."""
    integer = scan.patterns.dtype.kind in "ui"
    entries = {
        "diffraction": partial(_gather, scan.patterns, index, scan.patterns.dtype if integer else np.float32),
        "X_full": lambda: _gather(scan.amplitudes() * np.float32(amplitude_factor(scan, index)), index, np.float32),
        "Y": partial(_ground_truth, scan, index),
        "objectGuess": scan.object_guess,
        "nn_indices": index.astype(np.int32),
        **_coordinates(scan.positions_px, index, "coords"),
        **_coordinates(nominal_positions(scan), index, "coords_start"),
    }
    return GroupedData(entries, Table(scan, index))


def nominal_positions(scan: Scan) -> NDArray[np.float64]:
    """(N, 2), (y, x), px; the positions themselves where none were recorded apart."""
    return scan.positions_px if scan.nominal_positions_px is None else scan.nominal_positions_px


def amplitude_factor(scan: Scan, index: NDArray[np.int64] | slice = slice(None)) -> float:
    """Factor on the amplitudes of a scan that makes the mean of sum X^2 over the patterns `index` (N/2)^2."""
    import torch

    from ptychopinn.physics.scaling import rms_scale

    photons = scan.counts().sum(axis=(1, 2), dtype=np.float64)[index].reshape(-1, 1, 1)
    return rms_scale(torch.from_numpy(np.sqrt(photons)), (scan.pattern_size / 2) ** 2)


def whole_scan(
    scan: Scan, size: int, k: int, nsamples: int, seed: int | None, sequential: bool, path: str | Path | None
) -> NDArray[np.int64]:
    """Every pattern is the seed point of `nsamples` groups, as far as there are different ones."""
    n, needed = len(scan), size - 1
    if needed == 0:
        return np.arange(n, dtype=np.int64)[:, None]
    pool = max(k, needed)
    repeats = max(1, min(nsamples, comb(min(pool, n - 1), needed)))
    if pool != k or repeats != nsamples:
        logger.info("groups of %d: %d neighbours, %d groups for each pattern", size, pool, repeats)
    sampler: Literal["sequential", "seeded"] = "sequential" if sequential else "seeded"
    config = DataConfig(group_size=size, neighbors=pool, groups_per_pattern=repeats, sampler=sampler)
    seed = 0 if seed is None else seed
    if path is not None:
        return cached_groups(path, scan.positions_px, config, seed, scan_index=scan.scan_index).index
    return make_groups(scan.positions_px, config, np.random.default_rng(seed), scan_index=scan.scan_index).index


def _gather(values: NDArray[Any], index: NDArray[np.int64], dtype: Any) -> NDArray[Any]:
    """(n, H, W, C) of (N, H, W)."""
    return np.moveaxis(values[index].astype(dtype, copy=False), 1, -1)


def _ground_truth(scan: Scan, index: NDArray[np.int64]) -> NDArray[np.complex64] | None:
    from ptychopinn.models import labels_for

    try:
        return _gather(labels_for(scan, "bilinear"), index, np.complex64)
    except ScanError as reason:
        logger.info("no ground truth: %s", reason)
        return None


def _coordinates(positions_px: NDArray[np.float64], index: NDArray[np.int64], name: str) -> dict[str, NDArray[Any]]:
    """The three entries of one kind of positions, as (x, y)."""
    members = positions_px[index][..., ::-1]
    centre = members.mean(axis=1, keepdims=True)
    pairs = {"offsets": centre, "relative": centre - members, "nn": members}
    return {f"{name}_{key}": value.transpose(0, 2, 1)[:, None] for key, value in pairs.items()}
