"""Hostile and broken files, built by code: each is a name, a file and whether it must be refused."""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ptychopinn.api.model_files import save_model
from ptychopinn.config import Recipe
from ptychopinn.models import TrainedModel, build_model

Attack = tuple[str, Path, bool]
"""What it is called, its file, and whether nothing but a refusal is right."""

KEYS = ("diff3d", "xcoords", "ycoords", "probeGuess", "objectGuess", "bad_pixels", "_metadata")
DATASETS = {
    "patterns": "entry_1/instrument_1/detector_1/data",
    "mask": "entry_1/instrument_1/detector_1/mask",
    "distance": "entry_1/instrument_1/detector_1/distance",
    "probe": "entry_1/instrument_1/source_1/illumination",
    "positions": "entry_1/sample_1/geometry_1/translation",
}


def sound_arrays() -> dict[str, Any]:
    """A scan of 12 patterns of 16 x 16 counts."""
    rng = np.random.default_rng(0)
    y, x = np.indices((16, 16)) - 8
    row, column = np.divmod(np.arange(12), 4)
    beam = np.exp(-(x**2 + y**2) / 12)
    return {
        "diff3d": rng.poisson(300 * beam, (12, 16, 16)).astype(np.uint16),
        "xcoords": 20.0 + 3.25 * column,
        "ycoords": 30.0 + 3.5 * row,
        "probeGuess": (beam * np.exp(0.1j * x)).astype(np.complex64),
        "objectGuess": np.ones((60, 60), np.complex64),
        "bad_pixels": np.zeros((16, 16), bool),
        "_metadata": np.array('{"measurement_domain": "counts", "pixel_size_m": 1e-8, "energy_eV": 8800.0}'),
    }


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """An array in NumPy's format with any header."""
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def packed(value: Any, **options: Any) -> bytes:
    """An array in NumPy's format."""
    stream = io.BytesIO()
    np.save(stream, value, **options)
    return stream.getvalue()


def npz_attacks(folder: Path, canary: Any) -> Iterator[Attack]:
    """Scans in NPZ files with one hostile member each, and hostile archives."""
    sound = {key: packed(value) for key, value in sound_arrays().items()}
    form = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
    objects = np.empty(1, object)
    objects[0] = canary
    hostile = {
        "huge": npy(form % ("<f4", "(1000000, 10000, 10000)")),
        "overflowing": npy(form % ("<f4", f"({2**62}, {2**62})"), bytes(64)),
        "negative": npy(form % ("<f4", "(-1, 32, 32)"), bytes(64)),
        "booleans": npy(form % ("<f4", "(True, True, True)"), bytes(4)),
        "floats": npy(form % ("<f4", "(1.0, 2.0)"), bytes(8)),
        "short": npy(form % ("<f4", "(64, 32, 32)"), bytes(100)),
        "endless": npy("{'descr': '<f4', 'shape': (64,32"),
        "deep": npy("(" * 5000),
        "call": npy("__import__('os').system('true')"),
        "pickled": packed(objects, allow_pickle=True),
        "void": npy(form % ("|V1000000000", "(1,)")),
        "utf8": npy(form % ("<f4", "(1,)"), bytes(4), version=3),
        "version": b"\x93NUMPY\x09\x00" + bytes(100),
        "not_an_array": b"text",
        "empty": b"",
        "dates": packed(np.zeros(16, "M8[s]")),
        "words": packed(np.full(16, "x")),
        "records": packed(np.zeros(16, [("a", "f4"), ("b", "i4")])),
        "no_axis": packed(np.zeros((16, 0, 16))),
        "nan": packed(np.full(16, np.nan)),
        "largest": packed(np.full(16, np.finfo(float).max)),
    }
    for key in KEYS:
        for name, data in hostile.items():
            path = folder / f"{key}-{name}.npz"
            _zip(path, {f"{one}.npy": data if one == key else sound[one] for one in KEYS})
            yield f"npz {key} {name}", path, key in KEYS[:4]
    for name, text in {
        "deep": "[" * 100_000,
        "digits": '{"pixel_size_m": ' + "9" * 400 + "}",
        "more digits": '{"pixel_size_m": ' + "9" * 5000 + "}",
        "surrogate": '{"\\ud800": "\\ud800"}',
        "nan": '{"pixel_size_m": NaN}',
        "list": "[1]",
        "escape": '{"measurement_domain": "\\u001b[2J' + "A" * 100_000 + '"}',
    }.items():
        path = folder / f"json-{name}.npz"
        _zip(path, {f"{one}.npy": packed(np.array(text)) if one == "_metadata" else sound[one] for one in KEYS})
        yield f"npz metadata {name}", path, True
    yield from _npz_archives(folder, sound)


def _npz_archives(folder: Path, sound: dict[str, bytes]) -> Iterator[Attack]:
    whole = {f"{key}.npy": data for key, data in sound.items()}
    bomb = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (200000000,), }") + bytes(200_000_000)
    for method, name in ((zipfile.ZIP_DEFLATED, "deflate"), (zipfile.ZIP_LZMA, "lzma"), (zipfile.ZIP_BZIP2, "bzip2")):
        path = folder / f"bomb-{name}.npz"
        _zip(path, {**whole, "diff3d.npy": bomb if name == "deflate" else bomb[: 2**24]}, method)
        yield f"npz bomb {name}", path, True
    path = folder / "encrypted.npz"
    _zip(path, whole)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = 0
        while (at := data.find(signature, at)) >= 0:
            data[at + offset] |= 1
            at += 4
    path.write_bytes(data)
    yield "npz encrypted", path, True
    path = folder / "members.npz"
    _zip(path, {f"{number}.npy": b"" for number in range(30_000)} | whole)
    yield "npz 30000 members", path, True
    path = folder / "names.npz"
    _zip(path, {"../../canary.npy": b"x", "/etc/canary.npy": b"x", "a\x1b[2J\n.npy": b"x"})
    yield "npz names", path, True
    os.mkfifo(folder / "pipe.npz")
    yield "pipe", folder / "pipe.npz", True
    yield "device", Path("/dev/zero"), True
    yield "folder", folder, True


def hdf5_attacks(sound: Path, folder: Path) -> Iterator[Attack]:
    """CXI files with one hostile dataset each.

    Args:
        sound: a CXI file.
        folder: for the attacks.
    """
    outside = folder.parent / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["secret"] = np.full((16, 16, 16), 7, np.uint16)
    secret = folder.parent / "secret.txt"
    secret.write_bytes(b"SECRET" * 10_000)
    os.mkfifo(folder / "pipe")
    (folder / "loop.h5").symlink_to(folder / "loop.h5")
    (folder / "away.h5").symlink_to(outside)
    for part, place in DATASETS.items():
        for name, (build, refused) in _HDF5.items():
            path = folder / f"{part}-{name}.cxi"
            path.write_bytes(sound.read_bytes())
            with h5py.File(path, "r+") as file:
                if place in file:
                    del file[place]
                build(file, place)
            yield f"hdf5 {part} {name}", path, refused or part in ("patterns", "positions")
    for name, size in (("deep", 1000), ("wide", 60_000)):
        path = folder / f"{name}.cxi"
        path.write_bytes(sound.read_bytes())
        with h5py.File(path, "r+", libver="latest") as file:
            group = file["entry_1"]
            for number in range(size):
                if name == "deep":
                    group = group.create_group("a")
                else:
                    group[f"l{number}"] = h5py.SoftLink("/nowhere")
        yield f"hdf5 {name}", path, True


def _external(file: h5py.File, place: str) -> None:
    secret = Path(file.filename).parent.parent / "secret.txt"
    file.create_dataset(place, (16, 16, 16), "u1", external=[(str(secret), 0, 4096)])


def _link(name: str) -> Callable[[h5py.File, str], None]:
    def build(file: h5py.File, place: str) -> None:
        file[place] = h5py.ExternalLink(name, "/secret")

    return build


def _virtual(name: str, inner: str | None = None) -> Callable[[h5py.File, str], None]:
    def build(file: h5py.File, place: str) -> None:
        layout = h5py.VirtualLayout((16, 16, 16), "u2")
        layout[:] = h5py.VirtualSource(name or file.filename, inner or place, (16, 16, 16), "u2")
        file.create_virtual_dataset(place, layout)

    return build


def _circle(file: h5py.File, place: str) -> None:
    _virtual(".", "other")(file, place)
    _virtual(".", place)(file, "other")


def _tower(file: h5py.File, place: str) -> None:
    file["v0"] = np.zeros((16, 16, 16), "u2")
    for number in range(40):
        _virtual(".", f"v{number}")(file, f"v{number + 1}")
    _virtual(".", "v40")(file, place)


def _unfilled(shape: tuple[int, ...], **options: Any) -> Callable[[h5py.File, str], None]:
    def build(file: h5py.File, place: str) -> None:
        file.create_dataset(place, shape, "f4", **options)

    return build


@cache
def _zeros(size: int) -> bytes:
    packing = zlib.compressobj(9)
    return b"".join(packing.compress(bytes(2**20)) for _ in range(size >> 20)) + packing.flush()


def inflating(size: int) -> Callable[[h5py.File, str], None]:
    """A chunk of 16 KiB whose packed bytes become `size` bytes."""

    def build(file: h5py.File, place: str) -> None:
        dataset = file.create_dataset(place, (16, 16, 16), "f4", chunks=(16, 16, 16), compression="gzip")
        dataset.id.write_direct_chunk((0, 0, 0), _zeros(size))

    return build


def _stated(identifier: int, data: bytes) -> Callable[[h5py.File, str], None]:
    """A chunk that states for itself how large it becomes."""

    def build(file: h5py.File, place: str) -> None:
        import hdf5plugin

        kind = {32008: hdf5plugin.Bitshuffle(), 32004: hdf5plugin.LZ4(), 32001: hdf5plugin.Blosc()}[identifier]
        dataset = file.create_dataset(place, (16, 16, 16), "f4", chunks=(16, 16, 16), compression=kind)
        dataset.id.write_direct_chunk((0, 0, 0), data)

    return build


def _huge_chunk(file: h5py.File, place: str) -> None:
    file.create_dataset(
        place, (16, 16, 16), "f4", maxshape=(None, 16, 16), chunks=(900_000, 16, 16), compression="gzip"
    )
    file[place].id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(4096)))


def _twice(file: h5py.File, place: str) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((16, 16, 16))
    settings.set_deflate(9)
    settings.set_deflate(9)
    space = h5py.h5s.create_simple((16, 16, 16))
    parent = file.require_group(place.rpartition("/")[0])
    dataset = h5py.h5d.create(parent.id, place.rpartition("/")[2].encode(), h5py.h5t.NATIVE_FLOAT, space, settings)
    dataset.write_direct_chunk((0, 0, 0), zlib.compress(_zeros(2**28), 9))


def _plain(value: Any) -> Callable[[h5py.File, str], None]:
    def build(file: h5py.File, place: str) -> None:
        file[place] = value() if callable(value) else value

    return build


_HDF5: dict[str, tuple[Callable[[h5py.File, str], None], bool]] = {
    "raw": (_external, True),
    "link outside": (_link("../outside.h5"), True),
    "link by an absolute path": (_link("/etc/passwd"), True),
    "link to a pipe": (_link("pipe"), True),
    "link to a device": (_link("/dev/zero"), True),
    "link through a symbolic link": (_link("away.h5"), True),
    "link that is a loop": (_link("loop.h5"), False),
    "soft loop": (lambda file, place: file.__setitem__(place, h5py.SoftLink("/" + place)), False),
    "virtual self": (_virtual(""), True),
    "virtual circle": (_circle, True),
    "virtual tower": (_tower, True),
    "virtual outside": (_virtual("../outside.h5", "secret"), True),
    "unfilled": (_unfilled((10**7, 1000, 1000), chunks=(1, 1000, 1000)), False),
    "unfilled 600 MB": (_unfilled((600, 500, 500), chunks=(1, 500, 500)), False),
    "unfilled contiguous": (_unfilled((600, 500, 500)), False),
    "inflating": (inflating(640 << 20), False),
    "bitshuffle": (_stated(32008, struct.pack(">QI", 2**33, 8192) + bytes(100)), False),
    "lz4": (_stated(32004, struct.pack(">QI", 2**33, 8192) + bytes(100)), False),
    "blosc": (_stated(32001, struct.pack("<BBBBIII", 2, 1, 1, 4, 2**31 - 9, 8192, 116) + bytes(100)), False),
    "huge chunk": (_huge_chunk, False),
    "deflate twice": (_twice, False),
    "words": (_plain("word"), False),
    "objects": (_plain(lambda: np.array([b"x" * 100] * 16, "S100")), False),
    "empty": (_plain(h5py.Empty("f4")), False),
    "no axis": (_plain(lambda: np.zeros((16, 0, 16))), False),
    "nan": (_plain(lambda: np.full((16, 3), np.nan)), False),
    "records": (_plain(lambda: np.zeros(16, [("a", "f4"), ("b", "(100,100)f8")])), False),
}


VALUES = (0, -1, 10**9, 10**30, 1e308, float("nan"), "text", [1], {"a": 1}, None)
FIELDS = (
    "model.generator.width",
    "model.generator.blocks",
    "model.generator.levels",
    "model.generator.spectral_modes",
    "model.generator.stages",
    "model.generator.physics_steps",
    "model.generator.architecture",
    "model.probe.modes",
    "model.kind",
    "data.group_size",
    "training.threads",
    "training.seed",
    "reconstruction.refine.iterations",
    "reconstruction.batch_size",
    "reconstruction.physics_steps",
    "fitted.pattern_size",
    "fitted.input_deviation",
    "fitted.intensity_scale",
)


def recipe_attacks(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A recipe as nested dictionaries with one hostile value each."""
    for field in FIELDS:
        for value in VALUES:
            changed = json.loads(json.dumps(tree))
            node, (*above, last) = changed, field.split(".")
            for name in above:
                node = node[name]
            node[last] = value
            yield f"{field}={value!r}", changed


FITTED = {
    "pattern_size": 16,
    "input_mean": 0.0,
    "input_deviation": 1.0,
    "mean_count": 1.0,
    "intensity_scale": 1.0,
    "n_patterns": 16,
}


def sound_bundle(folder: Path, *overrides: str) -> Path:
    """A bundle of an untrained network, with settings of the recipe."""
    tree = Recipe().with_overrides(overrides).model_dump(mode="json")
    recipe = Recipe.from_mapping({**tree, "fitted": FITTED})
    network = build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))
    return save_model(folder / "wts.h5.zip", TrainedModel(network, recipe, None))


def bundle_with(sound: Path, path: Path, change: dict[str, bytes]) -> Path:
    """A bundle with members replaced and a manifest that fits."""
    with zipfile.ZipFile(sound) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    members |= change
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in members.items()
    }
    _zip(path, {"manifest.json": json.dumps(manifest).encode(), **members}, zipfile.ZIP_DEFLATED)
    return path


def pickled_checkpoint(path: Path, canary: Any, method: int = zipfile.ZIP_STORED) -> Path:
    """A file in the layout of torch.save whose pickle runs code."""
    _zip(path, {"archive/data.pkl": pickle.dumps(canary, protocol=2), "archive/version": b"3\n"}, method)
    return path


def _zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=9 if method == zipfile.ZIP_DEFLATED else None) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
