"""Valid files with seeded changes of their arrays and bytes: reading gives a scan or one sentence, never anything else.

`make fuzz` runs 2,000 changes; PTYCHOPINN_FUZZ sets their number, PTYCHOPINN_FUZZ_SEED another seed.
"""

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from attempts import attempt_all
from corpus import sound_arrays

from ptychopinn.data import read_scan, write_scan

COUNT = int(os.environ.get("PTYCHOPINN_FUZZ", "80"))
SEED = int(os.environ.get("PTYCHOPINN_FUZZ_SEED", "0"))
TOGETHER = 40
"""Changes that one process tries."""
KINDS = ("npz", "cxi", "h5", "nexus")

Change = Callable[[np.random.Generator, Any], Any]
ARRAY_CHANGES: tuple[Change, ...] = (
    lambda rng, a: a[: rng.integers(0, len(a) + 1)] if np.ndim(a) else a,
    lambda rng, a: np.moveaxis(a, 0, -1) if np.ndim(a) > 1 else a,
    lambda rng, a: np.asarray(a)[None],
    lambda rng, a: np.full(np.shape(a), rng.choice([np.nan, np.inf, -1.0, 0.0, 1e308, 1e-320])),
    lambda rng, a: np.asarray(a).astype(str(rng.choice(["i1", "u8", "f2", "f8", "c16", "?", ">i4"]))),
    lambda rng, a: np.asarray(a) * rng.choice([-1, 0, 1e-30, 1e30]),
    lambda rng, a: np.repeat(np.atleast_1d(a), 2, axis=-1),
    lambda rng, a: np.zeros(rng.integers(0, 5, rng.integers(0, 5))),
    lambda rng, a: np.asarray(a).astype("S8"),
    lambda rng, a: _spoilt(rng, np.array(a, np.float64)),
)


def _spoilt(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Some values replaced."""
    flat = values.reshape(-1)
    flat[rng.integers(0, max(flat.size, 1), 3) if flat.size else []] = rng.choice([np.nan, np.inf, -1e9, 1e300])
    return flat.reshape(values.shape)


def _changed(rng: np.random.Generator, value: Any) -> Any:
    change = ARRAY_CHANGES[rng.integers(len(ARRAY_CHANGES))]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            return change(rng, value)
    except (TypeError, ValueError):  # texts do not take every change
        return value


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid file of each kind."""
    folder = tmp_path_factory.mktemp("valid")
    np.savez(folder / "v.npz", **sound_arrays())
    scan = read_scan(folder / "v.npz")
    files = {"npz": folder / "v.npz"} | {kind: write_scan(scan, folder / f"v.{kind}") for kind in ("cxi", "h5")}
    files["nexus"] = folder / "v.nxs"
    with h5py.File(files["nexus"], "w") as file:
        for group, kind in (
            ("entry", "NXentry"),
            ("entry/instrument", "NXinstrument"),
            ("entry/instrument/beam", "NXbeam"),
            ("entry/instrument/detector", "NXdetector"),
            ("entry/sample", "NXsample"),
        ):
            file.create_group(group).attrs["NX_class"] = kind
        for key, value, unit in (
            ("instrument/beam/incident_energy", 8.8, "keV"),
            ("instrument/detector/distance", 1770.0, "mm"),
            ("instrument/detector/x_pixel_size", 75.0, "um"),
            ("instrument/detector/y_pixel_size", 75.0, "um"),
            ("sample/translation", np.pad(scan.positions_px[:, ::-1], ((0, 0), (0, 1))) * 0.1, "um"),
            ("instrument/detector/data", scan.patterns, ""),
            ("instrument/illumination", scan.probe[0], ""),
        ):
            file["entry/" + key] = value
            if unit:
                file["entry/" + key].attrs["units"] = unit
    for path in files.values():
        read_scan(path)
    return files


def _mutant(rng: np.random.Generator, kind: str, original: Path, path: Path) -> None:
    """A changed copy of a file."""
    if rng.random() < 0.4:
        path.write_bytes(_spoilt_bytes(rng, original.read_bytes(), 1 if kind == "npz" else 8192))
    elif kind == "npz":
        _change_npz(rng, original, path)
    else:
        path.write_bytes(original.read_bytes())
        _change_hdf5(rng, path)


def _spoilt_bytes(rng: np.random.Generator, data: bytes, start: int) -> bytes:
    """Some bytes replaced, most of them among the first `start`, or the rest cut off."""
    if rng.random() < 0.15:
        return data[: rng.integers(0, len(data))]
    changed = bytearray(data)
    for _ in range(rng.choice([1, 2, 4, 16])):
        at = rng.integers(len(data)) if rng.random() < 0.4 else rng.integers(min(start, len(data)))
        changed[at] = rng.choice([0, 255, 128, changed[at] ^ (1 << rng.integers(8)), rng.integers(256)])
    return bytes(changed)


def _change_npz(rng: np.random.Generator, original: Path, path: Path) -> None:
    with zipfile.ZipFile(original) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.4:
        name = str(rng.choice(list(members)))
        members[name] = _spoilt_bytes(rng, members[name], 128)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return
    with np.load(original) as stored:
        arrays = dict(stored)
    for _ in range(rng.integers(1, 3)):
        name = str(rng.choice(list(arrays)))
        arrays[name] = _changed(rng, arrays[name])
    if rng.random() < 0.2:
        arrays.pop(str(rng.choice(list(arrays))))
    np.savez(path, **arrays)


def _change_hdf5(rng: np.random.Generator, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in rng.choice(names, rng.integers(1, 3), replace=False):
            value = file[name][()]
            attributes = dict(file[name].attrs)
            del file[name]
            if rng.random() < 0.15:
                continue
            file[name] = _changed(rng, value) if not isinstance(value, bytes) else value[:: rng.choice([-1, 2])]
            for key, unit in attributes.items():
                file[name].attrs[key] = (
                    unit if rng.random() < 0.7 else str(rng.choice(["", "furlong", "\x1b[2J", "keV"]))
                )


def test_changed_files_give_a_scan_or_one_sentence(originals: dict[str, Path], tmp_path: Path) -> None:
    wrong, kinds = [], {"result": 0, "sentence": 0}
    for first in range(0, COUNT, TOGETHER):
        works = []
        for number in range(first, min(first + TOGETHER, COUNT)):
            rng = np.random.default_rng([SEED, number])
            kind = KINDS[number % len(KINDS)]
            path = tmp_path / f"{number}.{kind}"
            _mutant(rng, kind, originals[kind], path)
            works.append(lambda path=path: read_scan(path))
        for number, outcome in enumerate(attempt_all(works), start=first):
            if outcome.is_safe:
                kinds[outcome.kind] += 1
            else:
                wrong.append((number, outcome))
    assert wrong == [], f"seed {SEED}"
    assert min(kinds.values()) > 0.1 * COUNT, kinds
