"""What a folder of results holds, to be compared bit for bit; opening every file shows that each of them is whole."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ptychopinn.bundle import load_bundle
from ptychopinn.bundle.checkpoint import read_checkpoint
from ptychopinn.data import read_scan
from ptychopinn.data.io.door import open_npz


def results(folder: Path) -> dict[str, Any]:
    """Everything in a folder that must be the same again, by the path of its file and its name there."""
    found: dict[str, Any] = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and not _is_temporary(one)):
        name = str(path.relative_to(folder))
        found[name] = "a file"
        for key, value in _content(path).items():
            found[f"{name}: {key}"] = value
    return found


def _content(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        with open_npz(path) as arrays:
            return {key: arrays[key] for key in arrays.files if key not in ("metadata", "_metadata")}
    if path.suffix == ".zip":
        bundle = load_bundle(path)
        weights = {name: tensor.numpy() for name, tensor in bundle.state.items()}
        return {**weights, "recipe": bundle.recipe.to_json(), "probe": bundle.probe}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {f"{number} {key}": one for number, row in enumerate(rows) for key, one in row.items() if not _runs(key)}
    if path.name == "metrics.json":
        return dict(_leaves(json.loads(path.read_text()), ""))
    if path.suffix == ".ckpt":
        state = read_checkpoint(path, "a checkpoint", "")["state_dict"]
        return {name: tensor.numpy() for name, tensor in state.items()}
    if path.suffix in (".cxi", ".h5"):
        scan = read_scan(path)
        return {"patterns": scan.patterns, "positions": scan.positions_px, "probe": scan.probe}
    return {"text": path.read_text()} if path.suffix == ".yaml" else {}


def _runs(key: str) -> bool:
    """Whether an entry is a time."""
    return re.search(r"seconds|time|date|_s(_mean|_std|_min|_max)?$", key) is not None


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not _runs(str(key)):
                yield from _leaves(value, f"{prefix}.{key}")
    else:
        yield prefix, tree


def differences(one: dict[str, Any], other: dict[str, Any], folders: tuple[Path, Path]) -> list[str]:
    """What differs between two runs, bit for bit, apart from the names of their folders."""
    names = [f"only in one of them: {name}" for name in one.keys() ^ other.keys()]
    for name in one.keys() & other.keys():
        a, b = one[name], other[name]
        if isinstance(a, np.ndarray):
            same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        else:
            same = str(a).replace(str(folders[0]), "") == str(b).replace(str(folders[1]), "")
        if not same:
            names.append(name)
    return sorted(names)


def temporary_files(folder: Path) -> list[str]:
    """Names of files that only a running process should have."""
    return [str(path) for path in folder.rglob("*") if _is_temporary(path)]


def _is_temporary(path: Path) -> bool:
    return ".tmp" in path.name or path.name.startswith(".")
