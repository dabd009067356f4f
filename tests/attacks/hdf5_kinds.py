"""Hostile datasets and attributes of HDF5 files: filters, types, links, texts whose length is a lie."""

import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from corpus import DATASETS, Attack, inflating
from h5py import h5d, h5p, h5s, h5t

Build = Callable[[h5py.File, str], None]
SHAPE = (16, 16, 16)
PARTS = ("patterns", "distance")


def hdf5_kinds(sound: Path, folder: Path) -> Iterator[Attack]:
    """CXI files with one hostile dataset each.

    Args:
        sound: a CXI file.
        folder: for the attacks.
    """
    for part in PARTS:
        for name, build in {**_KINDS, **_ATTRIBUTES}.items():
            path = folder / f"{part}-{name}.cxi"
            path.write_bytes(sound.read_bytes())
            with h5py.File(path, "r+", libver="latest" if name in _ATTRIBUTES else None) as file:
                del file[DATASETS[part]]
                build(file, DATASETS[part])
            yield f"hdf5 {part} {name}", path, part == "patterns" and name not in _SOUND
        for name, (value, repeat, length) in _LENGTHS.items():
            path = folder / f"{part}-{name}.cxi"
            path.write_bytes(sound.read_bytes())
            _with_lying_texts(path, DATASETS[part], value, repeat, length)
            yield f"hdf5 {part} {name}", path, part == "patterns"
    for place in ("/", "entry_1", DATASETS["patterns"]):
        path = folder / f"{place.count('/')}-{len(place)}-endless.cxi"
        path.write_bytes(sound.read_bytes())
        _with_endless_text(path, place)
        yield f"hdf5 endless text at {place}", path, True


def _with_endless_text(path: Path, place: str) -> None:
    """An attribute whose text lies in a heap with an object of wrong size: the library searches the heap for ever."""
    text = "a text of some length"
    with h5py.File(path, "r+") as file:
        file[place].attrs["comments"] = text
    data = bytearray(path.read_bytes())
    start = data.rindex(text.encode()) - 8
    assert data[start : start + 8] == struct.pack("<Q", len(text))
    data[start] = 255
    path.write_bytes(data)


def _with_lying_texts(path: Path, place: str, value: Any, repeat: int, length: int | None) -> None:
    """A dataset of values of variable length, of which all are the first one, or the first one states its length."""
    kind = h5py.string_dtype() if isinstance(value, str) else h5py.vlen_dtype(np.uint8)
    with h5py.File(path, "r+") as file:
        del file[place]
        dataset = file.create_dataset(place, (repeat,), kind)
        dataset[0] = value
        file.flush()
        start = dataset.id.get_offset()
    data = bytearray(path.read_bytes())
    if length is not None:
        data[start : start + 4] = struct.pack("<I", length)
    data[start : start + 16 * repeat] = bytes(data[start : start + 16]) * repeat
    path.write_bytes(data)


_LENGTHS: dict[str, tuple[Any, int, int | None]] = {
    "one text many times": ("A" * 50_000, 100_000, None),
    "one list many times": (np.zeros(50_000, np.uint8), 100_000, None),
    "text of 2 GiB": ("text", 1, 2**31 - 1),
    "list of 4 GiB": (np.zeros(9, np.uint8), 1, 2**32 - 1),
}


def _create(file: h5py.File, place: str, kind: h5t.TypeID, settings: Any = None) -> h5d.DatasetID:
    group, _, name = place.rpartition("/")
    return h5d.create(file.require_group(group).id, name.encode(), kind, h5s.create_simple(SHAPE), settings)


def _filtered(number: int, values: tuple[int, ...], chunk: Callable[[], bytes]) -> Build:
    """A chunk of a filter, written as it is."""

    def build(file: h5py.File, place: str) -> None:
        settings = h5p.create(h5p.DATASET_CREATE)
        settings.set_chunk(SHAPE)
        settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
        _create(file, place, h5t.NATIVE_FLOAT, settings).write_direct_chunk((0, 0, 0), chunk())

    return build


def _zstd() -> bytes:
    """Zeros of 3 GiB in runs of 128 KiB, 4 bytes each (RFC 8878)."""
    size, run = 3 * 2**30, 2**17
    blocks = [struct.pack("<I", run << 3 | 2)[:3] + b"\0"] * (size // run)
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"".join(blocks[:-1]) + b"\x03\x00\x10\x00"


def _larger(size: int = 2**27, **compression: Any) -> Build:
    """A chunk of 16 KiB that was packed from `size` bytes."""

    def build(file: h5py.File, place: str) -> None:
        with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "large.h5", "w") as other:
            values = np.zeros(size // 4, np.float32)
            large = other.create_dataset("d", data=values, chunks=values.shape, **compression)
            _, data = large.id.read_direct_chunk((0,))
        file.create_dataset(place, SHAPE, "f4", chunks=SHAPE, **compression)
        file[place].id.write_direct_chunk((0, 0, 0), data)

    return build


def _virtual_bomb(file: h5py.File, place: str) -> None:
    inflating(2**30)(file, "source")
    layout = h5py.VirtualLayout(SHAPE, "f4")
    layout[:] = h5py.VirtualSource(".", "source", SHAPE, "f4")
    file.create_virtual_dataset(place, layout)


def _many_filters(file: h5py.File, place: str) -> None:
    settings = h5p.create(h5p.DATASET_CREATE)
    settings.set_chunk(SHAPE)
    for _ in range(30):
        settings.set_deflate(9)
    _create(file, place, h5t.NATIVE_FLOAT, settings).write_direct_chunk((0, 0, 0), bytes(100))


def _nested(depth: int, is_compound: bool) -> Build:
    def build(file: h5py.File, place: str) -> None:
        kind = h5t.NATIVE_INT8.copy()
        for _ in range(depth):
            if is_compound:
                outer = h5t.create(h5t.COMPOUND, kind.get_size())
                outer.insert(b"a", 0, kind)
                kind = outer
            else:
                kind = h5t.array_create(kind, (1,))
        _create(file, place, kind)

    return build


def _integer(size: int) -> Build:
    def build(file: h5py.File, place: str) -> None:
        kind = h5t.STD_I64LE.copy()
        for change in (kind.set_precision, kind.set_size) if size < 8 else (kind.set_size, kind.set_precision):
            change(8 * size if change == kind.set_precision else size)
        _create(file, place, kind)

    return build


def _plain(kind: h5t.TypeID) -> Build:
    def build(file: h5py.File, place: str) -> None:
        _create(file, place, kind)

    return build


def _unwritten(shape: tuple[int, ...], **options: Any) -> Build:
    def build(file: h5py.File, place: str) -> None:
        file.create_dataset(place, shape, "u1", **options)

    return build


def _references(file: h5py.File, place: str) -> None:
    file[place] = np.array([file.ref] * 16, h5py.ref_dtype)


def _regions(file: h5py.File, place: str) -> None:
    file["target"] = np.zeros(16)
    file[place] = np.array([file["target"].regionref[:]] * 16, h5py.regionref_dtype)


def _soft_circle(file: h5py.File, place: str) -> None:
    file[place] = h5py.SoftLink("/other")
    file["other"] = h5py.SoftLink("/" + place)


def _hard_circle(file: h5py.File, place: str) -> None:
    file[place] = file["/"]
    file["entry_1/again"] = file["entry_1"]


def _put(value: Any, **options: Any) -> Build:
    def build(file: h5py.File, place: str) -> None:
        file.create_dataset(place, data=value, **options)

    return build


def _attribute(value: Any) -> Build:
    def build(file: h5py.File, place: str) -> None:
        file[place] = np.ones((16, 3))
        file[place].attrs["units"] = value

    return build


def _many_attributes(file: h5py.File, place: str) -> None:
    file[place] = np.ones(SHAPE)
    for number in range(5000):
        file[place].attrs[f"a{number}"] = number


_KINDS: dict[str, Build] = {
    "zstd": _filtered(32015, (3,), _zstd),
    "LZF": _larger(compression="lzf"),
    "bitshuffle and zstd": _larger(**hdf5plugin.Bitshuffle(cname="zstd")),
    "Blosc2": _larger(**hdf5plugin.Blosc2()),
    "szip": _larger(compression="szip"),
    "ZFP": _larger(2**24, **hdf5plugin.Zfp()),
    "SZ3": _larger(2**24, **hdf5plugin.SZ3(absolute=0.1)),
    "scale and offset": _larger(scaleoffset=2),
    "unknown filter": _filtered(40000, (1, 2, 3), lambda: bytes(100)),
    "30 filters": _many_filters,
    "virtual bomb": _virtual_bomb,
    "100 compounds": _nested(100, True),
    "1000 compounds": _nested(1000, True),
    "3000 arrays": _nested(3000, False),
    "integer of 3 bytes": _integer(3),
    "integer of 1000 bytes": _integer(1000),
    "bits": _plain(h5t.STD_B16LE),
    "dates": _plain(h5t.UNIX_D32LE),
    "references": _references,
    "regions": _regions,
    "enumeration": _put(np.ones(SHAPE, np.uint16), dtype=h5py.enum_dtype({"a": 1}, "u2")),
    "opaque": _put(np.zeros(16, "V100")),
    "a type": lambda file, place: file.__setitem__(place, np.dtype("f4")),
    "own link": lambda file, place: file.__setitem__(place, h5py.SoftLink("/" + place)),
    "soft circle": _soft_circle,
    "hard circle": _hard_circle,
    "null": _put(h5py.Empty("f8")),
    "only fill values": _unwritten(SHAPE, fillvalue=7),
    "a million chunks": _unwritten((2**20, 16, 16), chunks=(1, 1, 1)),
    "32 axes": _put(np.zeros((1,) * 32)),
    "negative": _put(np.full(SHAPE, -1)),
}
_ATTRIBUTES: dict[str, Build] = {
    "5000 attributes": _many_attributes,
    "long unit": _attribute("m" * 60_000),
    "number as unit": _attribute(np.array([1, 2, 3])),
    "NaN as unit": _attribute(float("nan")),
    "empty unit": _attribute(h5py.Empty("S1")),
    "4000 units": _attribute(np.array([b"m"] * 4000)),
    "7000 units": _attribute(np.zeros(7000)),
}
_SOUND = ("enumeration",)
