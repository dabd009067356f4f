"""Hostile NPZ archives: lies about sizes and places, odd names, headers and metadata."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from corpus import Attack, npy, packed, sound_arrays

_LIES: dict[str, dict[int, tuple[str, int]]] = {
    "packed size": {20: ("<I", 2**32 - 16)},
    "unpacked size": {24: ("<I", 2**32 - 16)},
    "both sizes": {20: ("<I", 2**32 - 16), 24: ("<I", 2**32 - 16)},
    "zip64 without its field": {20: ("<I", 2**32 - 1), 24: ("<I", 2**32 - 1)},
    "place of another member": {42: ("<I", 0)},
    "place beyond the end": {42: ("<I", 2**32 - 16)},
    "another disk": {34: ("<H", 7)},
    "checksum": {16: ("<I", 1)},
    "zstd as method": {10: ("<H", 93)},
    "long extra field": {30: ("<H", 60_000)},
    "no name": {28: ("<H", 0)},
}
"""Offset in the entry of the central directory, and what stands there."""
_NAMES = ("a\0b.npy", "C:\\x.npy", "..\\..\\x.npy", "/etc/passwd", "diff3d.npy/../x.npy", "../x.npy", "x" * 65_000)
_HEADERS: dict[str, tuple[str, str, str, bytes]] = {
    "fortran": ("'<u2'", "True", "(12, 16, 16)", bytes(6144)),
    "long double": ("'<f16'", "False", "(12, 16, 16)", bytes(49152)),
    "long texts": ("'<U1000000'", "False", "(12,)", b""),
    "void of nothing": ("'|V0'", "False", "(999999999,)", b""),
    "array in a record": ("[('a', '<f4', (1000, 1000, 1000))]", "False", "(1,)", b""),
    "600 fields": (str([(f"a{n}", "<f4") for n in range(600)]), "False", "(1,)", bytes(2400)),
    "objects": ("'|O'", "False", "(1,)", pickle.dumps([1])),
    "nested": ("[" * 500 + "]" * 500, "False", "(1,)", b""),
    "65 axes": ("'<f4'", "False", f"({'1,' * 65})", bytes(4)),
    "nothing of huge axes": ("'<f4'", "False", f"(0, {2**40}, {2**40})", b""),
    "attoseconds": ("'<M8[as]'", "False", "(12,)", bytes(96)),
    "odd booleans": ("'|b1'", "False", "(12, 16, 16)", b"\7" * 3072),
    "text as shape": ("'<f4'", "False", "'abc'", b""),
    "number as order": ("'<f4'", "1", "(12, 16, 16)", bytes(12288)),
}
_METADATA = {
    "null": "null",
    "3000 levels": '{"a":' * 3000 + "1" + "}" * 3000,
    "infinity": '{"pixel_size_m": Infinity}',
    "truth": '{"pixel_size_m": true}',
    "large number": '{"energy_eV": 1' + "0" * 300 + "}",
    "lists": '{"pixel_size_m": ' + "[" * 900 + "]" * 900 + "}",
    "nothing": "",
    "list as domain": '{"measurement_domain": ["counts"]}',
    "NUL": '{"measurement_domain": "counts\\u0000"}',
}
_FORM = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }"


def archive_kinds(folder: Path) -> Iterator[Attack]:
    """Scans in NPZ files, each with one thing wrong."""
    sound = {f"{key}.npy": packed(value) for key, value in sound_arrays().items()}
    for name, lies in _LIES.items():
        path = _zip(folder / f"lie-{name}.npz", sound)
        member = b"xcoords.npy" if "place" in name else b"diff3d.npy"
        path.write_bytes(_with_lies(path.read_bytes(), lies, member))
        yield f"zip {name}", path, name not in ("unpacked size", "long extra field", "no name", "another disk")
    size = 300_000_000
    header = npy(_FORM % ("'|u1'", "False", f"({size},)"))
    path = _zip(folder / "lying-bomb.npz", {**sound, "diff3d.npy": header + bytes(size)})
    path.write_bytes(_with_lies(path.read_bytes(), {20: ("<I", 200_000_000)}))
    yield "zip bomb that states a larger packed size", path, True
    for number, name in enumerate(_NAMES):
        yield f"zip name {name[:20]!r}", _zip(folder / f"name-{number}.npz", {**sound, name: b"x"}), False
    yield "zip link", _with_link(folder / "link.npz", sound), True
    twice = folder / "twice.npz"
    with warnings.catch_warnings(), zipfile.ZipFile(twice, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in [*sound.items(), ("diff3d.npy", packed(np.zeros(3)))]:
            archive.writestr(name, data)
    yield "zip name twice", twice, True
    for name, before, after in (("prefix", b"junk" * 1000, b""), ("tail", b"", b"junk" * 1000)):
        (folder / f"{name}.npz").write_bytes(before + (folder / "name-0.npz").read_bytes() + after)
        yield f"zip {name}", folder / f"{name}.npz", False
    for name, (descr, order, shape, data) in _HEADERS.items():
        for key in ("diff3d", "probeGuess", "xcoords", "objectGuess"):
            member = npy(_FORM % (descr, order, shape), data)
            yield f"npy {name} {key}", _zip(folder / f"{name}-{key}.npz", {**sound, f"{key}.npy": member}), False
    for name, text in _METADATA.items():
        yield (
            f"metadata {name}",
            _zip(folder / f"m-{name}.npz", {**sound, "_metadata.npy": packed(np.array(text))}),
            False,
        )


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _with_link(path: Path, sound: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in sound.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, b"/etc/passwd" if name == "diff3d.npy" else data)
    return path


def _with_lies(data: bytes, lies: dict[int, tuple[str, int]], member: bytes = b"diff3d.npy") -> bytes:
    """The archive with other numbers in the entry of one member of the central directory."""
    changed, at = bytearray(data), data.find(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack("<H", data[at + 28 : at + 30])[0]
        if data[at + 46 : at + 46 + length] == member:
            for offset, (form, value) in lies.items():
                struct.pack_into(form, changed, at + offset, value)
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(changed)
