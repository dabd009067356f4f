"""A scan with its patterns in another order, or as two scans."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.data.io.door import ObjectArray, open_npz
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError, ScanError

SplitBy = Literal["y", "x", "random", "order"]


def shuffled(scan: Scan, seed: int) -> Scan:
    """All patterns with what belongs to them, in an order that the seed fixes."""
    return _noted(scan.select(np.random.default_rng(seed).permutation(len(scan))), f"shuffled, seed {seed}")


def split(scan: Scan, fraction: float, by: SplitBy = "y", seed: int = 0) -> tuple[Scan, Scan]:
    """Two scans: a fraction of the patterns, and the others, each in the order of the scan.

    Args:
        scan: to be split.
        fraction: of the patterns in the first part, between 0 and 1.
        by: `y` and `x` cut it at a row or column of the positions, so that the parts overlap only there; `order` cuts
            it in time; `random` draws.
        seed: of the draw.

    Raises:
        ConfigError: a fraction that leaves one part empty.
    """
    count = round(fraction * len(scan))
    if not 0 < count < len(scan):
        raise ConfigError(f"split {fraction:g} of {len(scan)} patterns leaves one part empty; give one between 0 and 1")
    ordered = {
        "y": np.argsort(scan.positions_px[:, 0], kind="stable"),
        "x": np.argsort(scan.positions_px[:, 1], kind="stable"),
        "order": np.arange(len(scan)),
        "random": np.random.default_rng(seed).permutation(len(scan)),
    }[by]
    parts = (np.sort(ordered[:count]), np.sort(ordered[count:]))
    first, second = (
        _noted(scan.select(part), f"split by {by}, {fraction:g}, part {number}") for number, part in enumerate(parts, 1)
    )
    return first, second


def renamed(source: Path, names: Mapping[str, str], target: Path) -> Path:
    """Write an NPZ file with arrays under other names (old -> new); arrays of Python objects are left out.

    Raises:
        ScanError: no NPZ file, or it lacks one of the names.
        ConfigError: two arrays would get one name.
    """
    with open_npz(source) as archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise ScanError(f"{source}: holds no {', '.join(missing)} to rename (found: {', '.join(archive.files)})")
        arrays = {}
        for key in archive.files:
            try:
                arrays[key] = archive[key]
            except ObjectArray:
                continue
    taken = [new for old, new in names.items() if new in arrays and new not in names]
    if taken or len(set(names.values())) < len(names):
        raise ConfigError(f"{source}: {', '.join(taken) or 'one name'} would be there twice; rename that one as well")
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        np.savez(file, **{names.get(key, key): array for key, array in arrays.items()})  # type: ignore[arg-type]
    return target


def _noted(scan: Scan, what: str) -> Scan:
    """The scan, whose metadata say what was done."""
    history = scan.metadata.get("history")
    return replace(scan, metadata={**scan.metadata, "history": [*(history if isinstance(history, list) else []), what]})
