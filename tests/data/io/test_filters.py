"""Packed chunks: sound ones of every filter are read, larger ones than they declare are refused."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from ptychopinn.data.io.child import completes
from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.hdf5 import array
from ptychopinn.data.io.hdf5_filters import zstd_content_size
from ptychopinn.errors import ScanError

COUNTS = np.random.default_rng(0).poisson(3, (8, 32, 32)).astype(np.uint16)
LOSSLESS: dict[str, Any] = {
    "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "LZF": {"compression": "lzf"},
    "szip": {"compression": "szip"},
    "scale and offset": {"scaleoffset": 0},
    "scale, offset and gzip": {"scaleoffset": 0, "compression": "gzip"},
    "bitshuffle alone": hdf5plugin.Bitshuffle(cname="none"),
    "bitshuffle and LZ4": hdf5plugin.Bitshuffle(),
    "bitshuffle and zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "LZ4": hdf5plugin.LZ4(),
    "zstd": hdf5plugin.Zstd(),
    "Blosc": hdf5plugin.Blosc(),
    "Blosc2": hdf5plugin.Blosc2(),
    "bzip2": hdf5plugin.BZip2(),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_sound_chunks_are_read(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", data=COUNTS, chunks=(2, 32, 32), **LOSSLESS[name])
    with open_hdf5(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(array(file["d"]), COUNTS)


@pytest.mark.parametrize("name", ["LZF", "szip", "bitshuffle and zstd", "LZ4", "zstd", "Blosc", "bzip2"])
def test_chunks_that_are_larger_than_they_declare_are_refused(name: str, tmp_path: Path) -> None:
    values = np.zeros((64, 512, 512), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        large = file.create_dataset("large", data=values, chunks=values.shape, **LOSSLESS[name])
        _, data = large.id.read_direct_chunk((0, 0, 0))
        del file["large"]
        small = file.create_dataset("d", (4, 4, 4), "f4", chunks=(4, 4, 4), **LOSSLESS[name])
        small.id.write_direct_chunk((0, 0, 0), data)
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(ScanError, match=r"larger than it declares|unpacked"):
        array(file["d"])


def test_chunks_of_lzf_that_unpack_to_far_more_are_refused(tmp_path: Path) -> None:
    shape = (16, 512, 512)  # 16 MiB
    packed = b"\0\0" + b"\xe0\xff\0" * (5 * 2**20)  # one byte, repeated 264 times by every three: 1.3 GiB
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("d", shape, "f4", chunks=shape, compression="lzf")
        dataset.id.write_direct_chunk((0, 0, 0), packed)
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(ScanError, match="cannot be unpacked"):
        array(file["d"])


def test_chunks_that_lzf_does_not_shrink_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 256, (4, 64, 64), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", data=values, chunks=(2, 64, 64), compression="lzf", shuffle=True, fletcher32=True)
    with open_hdf5(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(array(file["d"]), values)


def test_sources_of_virtual_datasets_are_looked_at(tmp_path: Path) -> None:
    values = np.zeros((64, 512, 512), np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        large = file.create_dataset("large", data=values, chunks=values.shape, **LOSSLESS["zstd"])
        _, data = large.id.read_direct_chunk((0, 0, 0))
        del file["large"]
        file.create_dataset("source", (4, 4, 4), "f4", chunks=(4, 4, 4), **LOSSLESS["zstd"])
        file["source"].id.write_direct_chunk((0, 0, 0), data)
        layout = h5py.VirtualLayout((4, 4, 4), "f4")
        layout[:] = h5py.VirtualSource(".", "source", (4, 4, 4), "f4")
        file.create_virtual_dataset("d", layout)
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(ScanError, match="/source: the chunk at"):
        array(file["d"])


@pytest.mark.parametrize(
    ("head", "size"),
    [("28b52ffd2007", 7), ("28b52ffd60f804", 0x4F8 + 256), ("28b52ffda000000080", 2**31), ("28b52ffd0058", 0)],
)
def test_zstd_states_its_size(head: str, size: int) -> None:
    assert zstd_content_size(bytes.fromhex(head)) == size


def test_a_child_completes_within_its_limits() -> None:
    assert completes(lambda: None, 2**28)
    assert not completes(lambda: np.ones(2**27), 2**28)
    assert not completes(lambda: 1 / 0, 2**28)
