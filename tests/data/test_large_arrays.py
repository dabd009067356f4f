"""Arrays in files that are mapped into memory: the same values as in memory, and no anonymous memory for them."""

import logging
import mmap
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data import Scan, large_arrays, read_scan
from ptychopinn.data.chunks import as_contiguous, changed_frames
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.dose import with_photons
from ptychopinn.data.io import write_scan
from ptychopinn.data.io.door import open_npz, read_npy
from ptychopinn.data.large_arrays import MOST_IN_MEMORY, is_large, new_array, rows_of
from ptychopinn.data.thinning import half_of_photons, withhold_photons
from ptychopinn.errors import ScanError

N, SIZE = 12, 16
SMALL = 1000
"""Bytes from which arrays are mapped in these tests; the patterns take 6 KiB and more."""


def is_mapped(array: Any) -> bool:
    """Whether the memory of an array is a map of a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array.obj if isinstance(array, memoryview) else array, mmap.mmap)


@pytest.fixture
def mapping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setattr(large_arrays, "MOST_IN_MEMORY", SMALL)


def arrays(dtype: Any = np.uint16, key: str = "diff3d") -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    y, x = np.divmod(np.arange(N), 4)
    axis = np.arange(SIZE) - SIZE // 2
    probe = 30 * np.exp(-(axis[:, None] ** 2 + axis**2) / 20).astype(np.complex64)
    spot = np.square(np.abs(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe), norm="ortho")))) + 3
    counts = rng.poisson(spot, (N, SIZE, SIZE)).astype(dtype)
    return {key: counts, "xcoords": 3.0 * x + 8, "ycoords": 3.0 * y + 8, "probeGuess": probe}


def same(one: Scan, other: Scan) -> None:
    for name in ("patterns", "bad_pixels", "positions_px", "probe", "truth_patches", "object_guess"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, name)


def written(folder: Path, kind: str, dtype: Any = np.uint16, **more: NDArray[Any]) -> Path:
    found = arrays(dtype, "diffraction" if kind == "odd" else "diff3d") | more
    metadata = np.array('{"measurement_domain": "counts", "axis_order": "nhw"}')
    if kind in ("npz", "odd"):
        np.savez(folder / "a.npz", **found, _metadata=metadata)
        return folder / "a.npz"
    if kind == "packed":
        np.savez_compressed(folder / "a.npz", _metadata=metadata, **found)
        return folder / "a.npz"
    patterns, y, x, probe = (found[name] for name in ("diff3d", "ycoords", "xcoords", "probeGuess"))
    settings: dict[str, Any] = {"userblock_size": 512} if kind == "userblock" else {}
    with h5py.File(folder / "a.h5", "w", **settings) as file:
        packed = {"chunks": (5, SIZE, SIZE), "compression": "gzip"} if kind == "chunks" else {}
        file.create_dataset("patterns", data=patterns, **packed)
        file["probe_position_x_px"], file["probe_position_y_px"] = x, y
        file["probe"], file["object"] = probe[None], np.ones((40, 40), np.complex64)
        if "bad_pixels" in found:
            file["bad_pixels"] = found["bad_pixels"]
    return folder / "a.h5"


@pytest.mark.parametrize("kind", ["npz", "odd", "packed", "contiguous", "userblock", "chunks"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, ">i4", np.float64])
def test_a_scan_is_the_same_in_memory_and_in_a_map(tmp_path: Path, kind: str, dtype: Any, mapping) -> None:
    path = written(tmp_path, kind, dtype)
    expected = read_scan(path)
    assert not is_mapped(expected.patterns)
    mapping()
    found = read_scan(path)
    assert is_mapped(found.patterns)
    same(found, expected)


def test_values_of_the_file_itself_are_mapped_and_cannot_be_changed(tmp_path: Path, mapping) -> None:
    mapping()
    for kind in ("npz", "contiguous"):
        scan = read_scan(written(tmp_path, kind))
        with pytest.raises(ValueError, match="read-only"):
            scan.patterns[0] = 1


SETTINGS: tuple[dict[str, Any], ...] = (
    {"fftshift": True},
    {"flip_patterns": "both", "transpose_patterns": True},
    {"detector_region": (2, 14, 2, 14), "detector_binning": 2},
    {"crop": 12},
    {"pad": 20},
    {"domain": "amplitude", "detector_binning": 2},
    {"drop_frames": ("dark", "duplicated")},
    {"shift_positions": 2},
    {"mask_pixels": ("dead", "saturated")},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("masks", [False, True])
def test_every_setting_gives_the_same(tmp_path: Path, settings: dict[str, Any], masks: bool, mapping) -> None:
    found = arrays(np.int32)
    counts = found["diff3d"]
    if "fftshift" in settings:
        counts = np.fft.ifftshift(counts, (-2, -1))
    counts[3] = 0 if "dark" in settings.get("drop_frames", ()) else counts[3]
    counts[5] = counts[4]
    bad = np.random.default_rng(1).random(counts.shape) < 0.02
    counts[bad] = -1 if masks else counts[bad]
    path = written(tmp_path, "npz", np.int32, diff3d=counts, **({"bad_pixels": bad} if masks else {}))
    options = DataConfig(**settings)
    expected = read_scan(path, options)
    mapping()
    scan = read_scan(path, options)
    assert is_mapped(scan.patterns)
    assert scan.notes == expected.notes
    same(scan, expected)


def test_frames_along_the_last_axis_and_dark_images(tmp_path: Path, mapping) -> None:
    found = arrays(np.uint16)
    np.savez(
        tmp_path / "a.npz",
        **found | {"diff3d": np.moveaxis(found["diff3d"], 0, -1)},
        dark=np.full((SIZE, SIZE), 1.0),
    )
    expected = read_scan(tmp_path / "a.npz")
    mapping()
    scan = read_scan(tmp_path / "a.npz")
    assert is_mapped(scan.patterns)
    same(scan, expected)


def test_photons_are_drawn_and_scaled_alike(tmp_path: Path, mapping) -> None:
    scan = read_scan(written(tmp_path, "npz"))
    weak = Scan.create(scan.patterns / 2000, scan.positions_px, scan.probe, domain="amplitude")
    expected = withhold_photons(scan, 0.1, 0), half_of_photons(scan, 1, 0), with_photons(weak, 1e5)
    mapping()
    split, half, scaled = withhold_photons(scan, 0.1, 0), half_of_photons(scan, 1, 0), with_photons(weak, 1e5)
    assert all(is_mapped(array) for array in (split.withheld, half.patterns, scaled.patterns))
    np.testing.assert_array_equal(split.withheld, expected[0].withheld)
    for one, other in ((split.scan, expected[0].scan), (half, expected[1]), (scaled, expected[2])):
        same(one, other)


def test_tensors_of_values_that_begin_anywhere(tmp_path: Path, mapping) -> None:
    mapping()
    path = written(tmp_path, "odd")
    with open_npz(path) as file:
        assert not file["diffraction"].flags.aligned
    scan = read_scan(path)
    tensors, plain = ScanTensors(scan), scan.patterns.astype(np.float32)
    np.testing.assert_array_equal(tensors.counts_of(slice(2, 5)), plain[2:5])
    some = torch.tensor([[0, 3], [7, 7]])
    np.testing.assert_array_equal(tensors.counts_of(some), plain[some])


def test_rows(tmp_path: Path, mapping) -> None:
    values = np.arange(40 * 30).reshape(40, 30)
    mapping()
    indices: tuple[Any, ...] = (slice(3, 30), np.arange(5, 35), np.array([4, 1, 1, 39, -1] * 5), values[:, 0] % 60 == 0)
    for index in indices:
        np.testing.assert_array_equal(rows_of(values, index), values[index])
    assert np.shares_memory(rows_of(values, indices[1]), values)
    assert is_mapped(rows_of(values, indices[2]))
    assert not is_mapped(rows_of(values, np.array([3])))


def test_copies(mapping) -> None:
    values = np.asfortranarray(np.random.default_rng(0).random((30, 8, 8)))
    mapping()
    for dtype in (np.float64, np.float32):
        copy = as_contiguous(values, dtype)
        assert is_mapped(copy)
        assert copy.flags.c_contiguous
        np.testing.assert_array_equal(copy, values.astype(dtype))
    assert changed_frames(values[:0], lambda frames: frames[:, 0]).shape == (0, 8)


def test_a_new_array_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays, "scratch_folder", lambda: tmp_path)
    shape = (MOST_IN_MEMORY // 8 + 1,)
    assert is_large(shape, np.float64)
    array = new_array(shape, np.float64)
    assert is_mapped(array)
    array[-1] = 2
    assert (array[-1], list(tmp_path.iterdir())) == (2, [])
    assert not is_mapped(new_array((MOST_IN_MEMORY,), np.uint8))


def test_without_room_on_the_disk_arrays_lie_in_memory(mapping, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    mapping()
    monkeypatch.setattr(large_arrays, "scratch_bytes", lambda: 5000)
    with caplog.at_level(logging.INFO, "ptychopinn.data"):
        assert not is_mapped(new_array((5001,), np.uint8))
    assert "no scratch file can be made" in caplog.text
    assert is_mapped(new_array((5000,), np.uint8))
    monkeypatch.setattr(large_arrays, "scratch_folder", lambda: Path("/no/such/folder"))
    assert not is_mapped(new_array((5000,), np.uint8))


def test_what_fits_nowhere_is_refused(tmp_path: Path, mapping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptychopinn.data.io.memory.MOST_IN_MEMORY", SMALL)
    monkeypatch.setattr("ptychopinn.data.io.memory.SMALL_BYTES", SMALL)
    monkeypatch.setattr("ptychopinn.data.io.hdf5_sizes.SMALL_BYTES", SMALL)
    mapping()
    for free, disk, fits in ((2**13, 0, True), (0, 2**13, True), (6000, 6000, False)):
        monkeypatch.setattr("ptychopinn.data.io.memory.free_bytes", lambda free=free: free)
        monkeypatch.setattr("ptychopinn.data.io.memory.scratch_bytes", lambda disk=disk: disk)
        for kind in ("packed", "chunks"):
            path = written(tmp_path, kind)
            if fits:
                assert len(read_scan(path)) == N
            else:
                with pytest.raises(ScanError, match="not fit into memory"):
                    read_scan(path)
    assert len(read_scan(written(tmp_path, "npz"))) == N  # a map of the file takes neither


def damaged(path: Path, change: Callable[[bytearray, zipfile.ZipInfo], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("diff3d.npy")
    data = bytearray(path.read_bytes())
    change(data, info)
    path.write_bytes(data)
    return path


def _flip(data: bytearray, info: zipfile.ZipInfo) -> None:
    data[info.header_offset + info.file_size] ^= 1


def _longer_name(data: bytearray, info: zipfile.ZipInfo) -> None:
    data[info.header_offset + 28 : info.header_offset + 30] = struct.pack("<H", 60_000)


@pytest.mark.parametrize("change", [_flip, _longer_name])
def test_damaged_members_are_refused_as_before(tmp_path: Path, change: Any, mapping) -> None:
    path = damaged(written(tmp_path, "npz"), change)
    for _ in range(2):
        with pytest.raises(ScanError, match=r"diff3d.* cannot be read|cannot be read as an NPZ file|share bytes"):
            read_scan(path)
        mapping()


def test_arrays_that_end_too_soon_are_refused(tmp_path: Path, mapping) -> None:
    np.save(tmp_path / "a.npy", np.ones((40, 40)))
    whole = (tmp_path / "a.npy").read_bytes()
    mapping()
    array = read_npy(tmp_path / "a.npy")
    assert is_mapped(array)
    assert array.sum() == 1600
    (tmp_path / "a.npy").write_bytes(whole[:-1])
    with pytest.raises(ScanError, match="must hold 12800 bytes"):
        read_npy(tmp_path / "a.npy")
    with tempfile.TemporaryFile() as file, pytest.raises(ValueError, match="ends before 80 bytes"):
        large_arrays.mapped(file, 0, (10,), np.float64)


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", ["npz", ".cxi"])
def test_reading_a_large_scan_takes_no_anonymous_memory(tmp_path: Path, kind: str) -> None:
    few = read_scan(written(tmp_path, "npz"))
    size = (9216, 64, 64)
    counts = np.zeros(size, np.uint16)
    counts[:, 24:40, 24:40] = 2 + np.arange(256, dtype=np.uint16).reshape(16, 16) % 7
    positions = np.random.default_rng(0).uniform(40, 60, (len(counts), 2))
    probe = np.pad(few.probe, ((0, 0), (24, 24), (24, 24)))
    path = write_scan(
        Scan(counts, "counts", positions, probe, pixel_size_m=1e-8), tmp_path / f"b{kind.removeprefix('npz') or '.npz'}"
    )
    before = anonymous_bytes()
    scan = read_scan(path)
    assert is_mapped(scan.patterns)
    assert anonymous_bytes() - before < counts.nbytes / 4
    np.testing.assert_array_equal(scan.patterns, counts)
