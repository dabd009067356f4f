"""Grid-lines data as scans that models are trained on."""

from typing import Any

import numpy as np

from ptychopinn.data.scan import Scan
from ptychopinn.simulation.gridlines import GridLinesSplit


def scans_of(split: GridLinesSplit, *, truth_patches: bool = False) -> list[Scan]:
    """One scan for each object.

    The patterns of a group stand together, G after G, in the order of the file. Amplitudes and probe are in
    sqrt(photons). Positions are in the frame of `object_guess`, which is the object over `norm`; so is whatever is
    reconstructed. The metadata hold under `grid_lines` the norm, by which a reconstruction is multiplied before it is
    compared with `GridLinesSplit.truth`, and the region of the frame that the truth covers.

    Args:
        split: the training or the test part.
        truth_patches: whether each scan carries the true windows, as supervised training needs them.

    Raises:
        ScanError: arrays that are no scan.
    """
    return [_scan_of(split, number, truth_patches) for number in range(len(split.scene.objects))]


def _scan_of(split: GridLinesSplit, number: int, truth_patches: bool) -> Scan:
    mine = np.flatnonzero(split.scene.object_index == number)
    size = split.scene.layout.pattern_size
    scale = np.float32(split.intensity_scale)
    return Scan.create(
        (scale * split.amplitudes[mine]).reshape(-1, size, size),
        split.scene.positions_px[mine].reshape(-1, 2),
        scale * split.probe[None],
        domain="amplitude",
        domain_reason="grid-lines data hold amplitudes",
        object_guess=split.scene.objects[number] / np.float32(split.norm),
        truth_patches=split.patches(mine).reshape(-1, size, size) if truth_patches else None,
        metadata={"simulated": True, "grid_lines": _about(split, number)},
        source=f"{split.source} ({split.split}, object {number})",
    )


def _about(split: GridLinesSplit, number: int) -> dict[str, Any]:
    layout = split.scene.layout
    rows, columns = layout.truth_region
    return {
        "split": split.split,
        "object": number,
        "norm": split.norm,
        "intensity_scale": split.intensity_scale,
        "group_size": layout.gridsize**2,
        "truth_rows": [rows.start, rows.stop],
        "truth_columns": [columns.start, columns.stop],
    }
