"""Reading grid-lines data, our files and those of legacy PtychoPINN. Nothing is unpickled."""

import json
import logging
from collections.abc import Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.io.door import NpzArrays, open_npz, zip_names
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.studies.grid_lines.data import PAIRED, GridLinesSplit, SplitName, record_amplitudes
from ptychopinn.studies.grid_lines.layout import GridLayout
from ptychopinn.studies.grid_lines.scene import GridScene

logger = logging.getLogger("ptychopinn.data")

Arrays = dict[str, NDArray[Any]]
_NEEDED = ("diffraction", "YY_full", "probe_simulated", "probeGuess")
_OPTIONAL = ("Y_I", "coords_offsets")
_TEXTS = ("_metadata", "meta_json")
BATCH_GROUPS = 512
"""Groups compared at once with all windows."""
_DARKEST, _LARGEST_COUNT = 2000, 500
"""How many of the darkest pixels tell the photon scale, and what the darkest may have counted at most."""


def is_grid_lines(path: str | Path) -> bool:
    """Whether a file is an NPZ with the keys of grid-lines data, of one part or of both."""
    names = {name.removesuffix(".npy") for name in zip_names(Path(path)) or ()}
    return any({f"{part}diffraction", f"{part}YY_full"} <= names for part in ("", "train__", "test__"))


def read_grid_lines(path: str | Path, split: SplitName | None = None) -> GridLinesSplit:
    """Read one part of a grid-lines data set.

    In files of legacy PtychoPINN the order of the coordinates is not that of the patterns, so the windows are found
    from the patterns, and the log says so. What a file does not hold is worked out: the norm from the objects, the
    photon scale from the smallest amplitudes, which are roots of whole counts.

    Args:
        path: NPZ of one part, or of both with keys such as `train__diffraction`.
        split: which part; needed where the file holds both.

    Raises:
        ScanError: no such file, no grid-lines data, damaged, or patterns that cannot be paired with the objects.
    """
    source = str(path)
    arrays, settings, split = _load(Path(path), split)
    layout = _layout(arrays, settings, split, source)
    scene = GridScene.of_objects(layout, arrays["YY_full"][..., 0].astype(np.complex64))
    amplitudes = np.ascontiguousarray(np.moveaxis(arrays["diffraction"], -1, 1), dtype=np.float32)
    if len(scene) != len(amplitudes):
        raise ScanError(
            f"{source}: holds {len(amplitudes)} groups of patterns, but its coordinates and objects make {len(scene)}; "
            "write the data again with grid_lines_sim"
        )
    norm = scene.norm()
    probe = arrays["probe_simulated"].astype(np.complex64)
    stated = settings.get("intensity_scale")
    return GridLinesSplit(
        split=split,
        scene=scene.reordered(_order(scene, arrays, norm, settings, source)),
        amplitudes=amplitudes,
        probe_guess=arrays["probeGuess"].astype(np.complex64),
        probe=probe,
        norm=norm,
        intensity_scale=float(stated) if stated is not None else count_scale(amplitudes, source),
        metadata=settings.get("metadata", {}),
        source=source,
    )


def count_scale(amplitudes: NDArray[np.float32], source: str = "amplitudes") -> float:
    """s, such that the squares of s times the amplitudes are whole counts.

    The smallest amplitude above zero is the root of a small count over s: the smallest count that makes whole numbers
    of the others too.

    Raises:
        ScanError: no scale does so.
    """
    lit = amplitudes[amplitudes > 0].astype(np.float64)
    darkest = np.sort(np.partition(lit, min(_DARKEST, lit.size - 1))[:_DARKEST])
    ratios = np.square(darkest / darkest[0])
    ratios = ratios[ratios < _LARGEST_COUNT]
    for count in range(1, _LARGEST_COUNT):
        counts = ratios * count
        if np.abs(counts - np.rint(counts)).max() < 0.01:
            return float(np.sqrt(count) / darkest[0])
    raise ScanError(
        f"{source}: no scale makes whole counts of the squared amplitudes, and no metadata say intensity_scale; "
        "write the data again with grid_lines_sim"
    )


def find_order(seen: NDArray[np.float32], expected: NDArray[np.float32], source: str) -> NDArray[np.int64]:
    """For every image seen, the expected one that is nearest to it: (B,), a permutation.

    Training files of legacy PtychoPINN hold shuffled patterns beside coordinates in another order, and do not say so.
    The objects are in the file too, and every window of them differs from every other one.

    Args:
        seen: (B, N, N).
        expected: (B, N, N), in the same unit.
        source: name of the file, for messages.

    Raises:
        ScanError: the images do not fit one to one.
    """
    mean = expected.mean(axis=0)
    rows, columns = ((images - mean).reshape(len(images), -1) for images in (seen, expected))
    half_power = np.square(columns).sum(axis=1) / 2
    starts = range(0, len(rows), BATCH_GROUPS)
    nearest = [(rows[low : low + BATCH_GROUPS] @ columns.T - half_power).argmax(axis=1) for low in starts]
    order = np.concatenate(nearest)
    if len(np.unique(order)) != len(expected) or len(order) != len(expected):
        found = len(np.unique(order))
        raise ScanError(
            f"{source}: the {len(order)} groups show only {found} of {len(expected)} windows of YY_full, so "
            "that coordinates and patterns cannot be paired; write the data again with grid_lines_sim"
        )
    return order


def _order(scene: GridScene, arrays: Arrays, norm: float, settings: dict[str, Any], source: str) -> NDArray[np.int64]:
    """Which group of the unshuffled scene each group of the file is."""
    if settings.get(PAIRED):
        seed = settings.get("shuffle_seed") if settings["split"] == "train" else None
        return np.arange(len(scene)) if seed is None else np.random.RandomState(seed).permutation(len(scene))
    order = find_order(*_first_images(scene, arrays, norm), source)
    if not np.array_equal(order, np.arange(len(order))):
        logger.info("%s: patterns are shuffled and coordinates are not; paired by what the patterns show", source)
    return order


def _first_images(scene: GridScene, arrays: Arrays, norm: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each group the first illuminated window as the file has it and as the scene has it, or else the first
    pattern.
    """
    probe = arrays["probe_simulated"].astype(np.complex64)
    if "Y_I" in arrays:
        return arrays["Y_I"][..., 0], np.abs(scene.windows()[:, 0]) * np.abs(probe) / np.float32(norm)
    return arrays["diffraction"][..., 0], record_amplitudes(scene, probe, norm, 1.0, None)[:, 0]


def _layout(arrays: Arrays, settings: dict[str, Any], split: SplitName, source: str) -> GridLayout:
    """From the coordinates where they are there, else from the settings."""
    size, channels = arrays["diffraction"].shape[2:]
    gridsize = isqrt(channels)
    if gridsize**2 != channels:
        raise ScanError(f"{source}: {channels} patterns in a group; must be gridsize^2, write the data again")
    if "coords_offsets" in arrays:
        rows = arrays["coords_offsets"][:, 0, 0]
        starts = np.unique(rows[:, 0])
        offset = float(rows[0, gridsize] - rows[0, 0]) if gridsize > 1 else 1.0
        stride = float(starts[1] - starts[0]) if len(starts) > 1 else 0.0
    else:
        offset, stride = settings.get("offset", 0), settings.get(f"outer_offset_{split}", 0) / 2
    if offset < 1 or stride < 1:
        raise ScanError(f"{source}: neither coords_offsets nor the metadata say where the groups lie; add one of them")
    try:
        return GridLayout(size, gridsize, round(offset), round(stride), arrays["YY_full"].shape[1])
    except ConfigError as error:
        raise ScanError(f"{source}: {error}") from None


def _load(path: Path, split: SplitName | None) -> tuple[Arrays, dict[str, Any], SplitName]:
    """Arrays of one part, all settings of the metadata in one dictionary, and which part it is."""
    with open_npz(path) as archive:
        prefix, split = _part(archive.files, split, path)
        names = {key: name for key in (*_NEEDED, *_OPTIONAL) for name in (key, prefix + key) if name in archive.files}
        missing = [key for key in _NEEDED if key not in names]
        if missing:
            raise ScanError(f"{path}: lacks {', '.join(missing)}; the file must be written by grid_lines_sim")
        arrays = {key: archive[name] for key, name in names.items()}
        settings = _settings(archive)
    _check_shapes(arrays, path)
    return arrays, settings | {"split": split}, split


def _part(files: Sequence[str], split: SplitName | None, path: Path) -> tuple[str, SplitName]:
    """The prefix of the keys of a part, and its name."""
    if "diffraction" in files:
        return "", split or ("test" if "YY_ground_truth" in files else "train")
    if split is None:
        raise ScanError(f"{path}: holds no diffraction of its own; say which part you want, split='train' or 'test'")
    return f"{split}__", split


def _settings(archive: NpzArrays) -> dict[str, Any]:
    """What the metadata say, flattened; empty where they are pickled, as legacy PtychoPINN wrote them."""
    found = next((name for name in _TEXTS if name in archive.files), None)
    try:
        metadata = {} if found is None else json.loads(str(archive[found]))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(metadata, dict):
        return {}
    sections = ("config", "physics_parameters", "additional_parameters")
    parts = [part for name in sections if isinstance(part := metadata.get(name), dict)]
    return {key: value for part in parts for key, value in part.items()} | {"metadata": metadata}


def _check_shapes(arrays: Arrays, path: Path) -> None:
    patterns, objects, probe = (arrays[key].shape for key in ("diffraction", "YY_full", "probe_simulated"))
    fits = len(patterns) == 4 and patterns[1] == patterns[2] and probe == patterns[1:3]
    if not fits or len(objects) != 4 or objects[1] != objects[2] or objects[3] != 1:
        raise ScanError(
            f"{path}: diffraction {patterns}, YY_full {objects} and probe_simulated {probe} do not fit; must be "
            "(B, N, N, C), (n, Y, Y, 1) and (N, N)"
        )
