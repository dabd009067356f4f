"""Grid-lines data as NPZ files with legacy PtychoPINN's keys, shapes and types.

Images are (B, N, N, C), coordinates (B, 1, 2, C) with C = gridsize^2. Pairs are [x, y], but `coords_offsets` holds
[y, x] of the geometric centres, half a pixel less than our positions for even N.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.atomic import atomic_path, check_output_folder
from ptychopinn.errors import OutputError
from ptychopinn.studies.grid_lines.data import GridLinesData, GridLinesSplit

Arrays = dict[str, NDArray[Any]]


def write_grid_lines(data: GridLinesData, output: str | Path) -> tuple[Path, Path]:
    """Write `datasets/N{N}/gs{gridsize}/train.npz` and `test.npz` in a folder, which is made; returns their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = check_output_folder(Path(output) / "datasets" / f"N{data.config.N}" / f"gs{data.config.gridsize}")
    train, test = (write_split(part, folder / f"{part.split}.npz") for part in (data.train, data.test))
    return train, test


def write_split(split: GridLinesSplit, path: str | Path) -> Path:
    """Write one part whole or not at all; returns the path.

    Raises:
        OutputError: the file cannot be written, or the metadata are no plain JSON values.
    """
    try:
        text = json.dumps(split.metadata)
    except (TypeError, ValueError) as error:
        raise OutputError(f"{path}: the metadata are no plain JSON values ({error}); convert them") from None
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **file_arrays(split), _metadata=np.array(text))  # type: ignore[arg-type]
    return Path(path)


def file_arrays(split: GridLinesSplit) -> Arrays:
    """The arrays of a file but `_metadata`.

    `diffraction` X; `Y_I` modulus and `Y_phi` phase of the windows, the modulus times that of the probe;
    `coords_nominal` and `coords_true` [x, y], group mean minus position; `coords_offsets`; `YY_full` (n, Y, X, 1) the
    objects; `probeGuess`, `probe_simulated`. In test data also `YY_ground_truth`, (Y, X, 1) of one object and
    (n, Y, X, 1) of several, and `norm_Y_I`.
    """
    patches, positions = split.patches(), split.scene.positions_px
    relative = (positions.mean(axis=1, keepdims=True) - positions)[..., ::-1]
    nominal = _coordinates(relative)
    arrays = {
        "diffraction": _channels_last(split.amplitudes),
        "Y_I": _channels_last(np.abs(patches) * np.abs(split.probe)),
        "Y_phi": _channels_last(np.angle(patches)),
        "coords_nominal": nominal,
        "coords_true": nominal,
        "coords_offsets": _coordinates(positions - centre_offset_px(split.scene.layout.pattern_size)),
        "YY_full": split.scene.objects[..., None],
        "probeGuess": split.probe_guess,
        "probe_simulated": split.probe,
    }
    if split.split == "train":
        return arrays
    truth = split.truth[..., None]
    norm = split.norm if split.scene.layout.gridsize == 1 else np.float32(split.norm)
    return arrays | {"YY_ground_truth": truth[0] if len(truth) == 1 else truth, "norm_Y_I": np.array(norm)}


def centre_offset_px(size: int) -> float:
    """How far element N//2, which our positions mean, lies beyond the geometric centre (N-1)/2."""
    return size // 2 - (size - 1) / 2


def _channels_last(images: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.moveaxis(images, 1, -1), dtype=np.float32)


def _coordinates(pairs: NDArray[np.float64]) -> NDArray[np.float32]:
    """(B, G, 2) to (B, 1, 2, G)."""
    return np.ascontiguousarray(np.swapaxes(pairs, 1, 2)[:, None], dtype=np.float32)
