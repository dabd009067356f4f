"""Opening HDF5: damaged files, links, filters, layouts that nobody knows."""

import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.frames import Frames
from ptychopinn.data.io.hdf5 import finite_number, walk
from ptychopinn.errors import ScanError

DATA = "entry_1/instrument_1/detector_1/data"


def test_an_unknown_layout_lists_what_was_found(write_hdf5) -> None:
    path = write_hdf5({"a/b": np.ones((2, 3)), "c": 1})
    with pytest.raises(ScanError, match=r"layout that is not known \(found: c \(\), a/b \(2, 3\)\); known are CXI"):
        read_scan(path)


def test_an_empty_file(write_hdf5) -> None:
    with pytest.raises(ScanError, match=r"\(found: nothing\)"):
        read_scan(write_hdf5({}))


@pytest.mark.parametrize("part", [0.02, 0.3, 0.999])
def test_a_truncated_file(scan_of, cxi_of, write_hdf5, part: float) -> None:
    path = write_hdf5(cxi_of(scan_of()))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ScanError, match=r"cannot be read as an HDF5 file .*damaged .*export it again") as caught:
        read_scan(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_chunk(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of()
    path = write_hdf5(cxi_of(scan) | {DATA: None})
    with h5py.File(path, "a") as file:
        data = file.create_dataset(DATA, data=scan.patterns, chunks=(1, 16, 16), compression="gzip")
        at = data.id.get_chunk_info(5).byte_offset
    content = bytearray(path.read_bytes())
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(ScanError, match="cannot be read as an HDF5 file"):
        read_scan(path)


@pytest.mark.parametrize("name", ["scan.cxi", "scan.h5"])
def test_damaged_bytes_anywhere_are_refused_or_harmless(scan_of, tmp_path: Path, name: str) -> None:
    """Whatever the library makes of them, the error is ours."""
    rng = np.random.default_rng(4)
    path = write_scan(scan_of(), tmp_path / name)
    sound, sentences = path.read_bytes(), []
    for _ in range(60):
        content = bytearray(sound)
        for at in rng.integers(0, rng.choice([4_000, len(sound)]), 8):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with np.errstate(all="ignore"):
            try:
                read_scan(path)
            except ScanError as error:
                sentences.append(str(error))
    assert len(sentences) > 10
    assert not any("\n" in sentence for sentence in sentences)


FILTERS = {
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "LZ4": hdf5plugin.LZ4(),
    "Blosc": hdf5plugin.Blosc(),
    "Zstd": hdf5plugin.Zstd(),
}


@pytest.mark.parametrize("name", FILTERS)
def test_compressed_patterns(scan_of, cxi_of, write_hdf5, name: str) -> None:
    scan = scan_of()
    path = write_hdf5(cxi_of(scan) | {DATA: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(DATA, data=scan.patterns, chunks=(2, 16, 16), compression=FILTERS[name])
    np.testing.assert_array_equal(read_scan(path).patterns, scan.patterns)


def test_the_filters_are_there_without_anybody_asking_for_them(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(cxi_of(scan_of()) | {DATA: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(DATA, data=scan_of().patterns, chunks=(2, 16, 16), compression=FILTERS["LZ4"])
    code = f"from ptychopinn.data import read_scan; print(len(read_scan({str(path)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "14"


def test_big_endian_patterns(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of()
    found = read_scan(write_hdf5(cxi_of(scan) | {DATA: scan.patterns.astype(">u2")}))
    assert found.patterns.dtype == np.uint16
    np.testing.assert_array_equal(found.patterns, scan.patterns)


def test_patterns_in_another_file(scan_of, cxi_of, write_hdf5) -> None:
    scan = scan_of()
    frames = write_hdf5({"frames": scan.patterns}, "frames.h5")
    path = write_hdf5(cxi_of(scan) | {DATA: h5py.ExternalLink("frames.h5", "/frames")})
    np.testing.assert_array_equal(read_scan(path).patterns, scan.patterns)
    frames.unlink()
    with pytest.raises(ScanError, match=r"data is a link to /frames in frames.h5, which cannot be opened; put that"):
        read_scan(path)


def test_a_soft_link_that_leads_nowhere_is_a_missing_part(scan_of, cxi_of, write_hdf5) -> None:
    parts = cxi_of(scan_of()) | {DATA: None, "entry_1/data_1/data": h5py.SoftLink(f"/{DATA}")}
    with pytest.raises(ScanError, match="holds no patterns"):
        read_scan(write_hdf5(parts))


def test_text_for_patterns(scan_of, cxi_of, write_hdf5) -> None:
    with pytest.raises(ScanError, match="must be frames as"):
        read_scan(write_hdf5(cxi_of(scan_of()) | {DATA: np.array([[[b"a"]]])}))


def test_frames_that_no_memory_holds(scan_of, cxi_of, write_hdf5) -> None:
    path = write_hdf5(cxi_of(scan_of()) | {DATA: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(DATA, (1 << 40, 1024, 1024), np.uint32, chunks=(1, 1024, 1024))
    with pytest.raises(ScanError, match=r"1099511627776 frames of 1024 x 1024 pixels do not fit into memory"):
        read_scan(path)


def test_other_links_that_lead_nowhere_do_not_matter(scan_of, cxi_of, write_hdf5) -> None:
    parts = cxi_of(scan_of()) | {"entry_1/dark": h5py.ExternalLink("absent.h5", "/dark")}
    assert len(read_scan(write_hdf5(parts))) == 14


def test_reading_npz_loads_no_hdf5() -> None:
    code = "import sys; from ptychopinn.data import read_scan; print('h5py' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_circles_of_links_end(write_hdf5) -> None:
    path = write_hdf5({"a/value": 1, "a/again": h5py.SoftLink("/"), "b": h5py.SoftLink("/a")})
    with open_hdf5(path) as file:
        assert [place for place, _ in walk(file)] == ["/a", "/a/value"]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file"), open_hdf5(tmp_path / "absent.h5"):
        pass


@pytest.fixture
def frames_file(write_hdf5) -> Path:
    numbers = np.arange(9 * 4 * 4, dtype=np.int32).reshape(9, 4, 4)
    path = write_hdf5({"one": numbers[:4], "two": numbers[4:], "raster": numbers.reshape(3, 3, 4, 4)})
    with h5py.File(path, "r+") as file:
        file.create_dataset("chunks", data=numbers.reshape(3, 3, 4, 4), chunks=(2, 2, 4, 3), compression="gzip")
    return path


@pytest.mark.parametrize("names", [("one", "two"), ("raster",), ("chunks",)])
@pytest.mark.parametrize("rows", [None, [0, 1, 2], [3, 4, 5], [8, 0, 4, 4, 3], [2, 3, 7], []])
def test_rows_of_frames_are_those_asked_for(frames_file: Path, names, rows) -> None:
    numbers = np.arange(9 * 4 * 4, dtype=np.int32).reshape(9, 4, 4)
    with open_hdf5(frames_file) as file:
        frames = Frames([file[name] for name in names])
        found = frames.read(None if rows is None else np.array(rows, np.int64))
    assert frames.shape == (9, 4, 4)
    np.testing.assert_array_equal(found, numbers if rows is None else numbers[np.array(rows, np.int64)])


def test_only_the_frames_that_are_read_must_fit_into_memory(frames_file: Path, monkeypatch) -> None:
    """One frame takes 64 bytes; each of the two sources holds more than 200."""
    monkeypatch.setattr("ptychopinn.data.io.memory.SMALL_BYTES", 0)
    monkeypatch.setattr("ptychopinn.data.io.memory.free_bytes", lambda: 200)
    monkeypatch.setattr("ptychopinn.data.io.hdf5_sizes.SMALL_BYTES", 0)
    with open_hdf5(frames_file) as file:
        frames = Frames([file["one"], file["two"]])
        assert frames.read(np.array([1, 7])).shape == (2, 4, 4)
        with pytest.raises(ScanError, match=r"4 frames .*do not fit into memory"):
            frames.read(np.arange(4))


def test_only_the_chunks_that_are_read_are_unpacked_first(write_hdf5, monkeypatch) -> None:
    """Chunk 3 is larger than it declares: refused where it is read, and no matter for the other frames."""
    path = write_hdf5({"other": 1})
    with h5py.File(path, "r+") as file:
        stored = file.create_dataset("frames", (6, 4, 4), np.int32, chunks=(1, 4, 4), compression="gzip")
        for row in range(6):
            size = 4 * 4 * (8 if row == 3 else 1)
            stored.id.write_direct_chunk((row, 0, 0), zlib.compress(np.ones(size, np.int32).tobytes()))
    monkeypatch.setattr("ptychopinn.data.io.hdf5_filters._WASTE", -(2**20))
    with open_hdf5(path) as file:
        frames = Frames([file["frames"]])
        np.testing.assert_array_equal(frames.read(np.array([0, 2, 5])), np.ones((3, 4, 4)))
        for rows in (np.array([3]), np.array([1, 3]), None):
            with pytest.raises(ScanError, match=r"the chunk at \(3, 0, 0\) is larger than it declares"):
                frames.read(rows)


def test_frames_of_two_sizes(write_hdf5) -> None:
    with (
        open_hdf5(write_hdf5({"a": np.ones((2, 4, 4)), "b": np.ones((2, 5, 5))})) as file,
        pytest.raises(ScanError, match=r"b holds frames of \(5, 5\) pixels, but /a of \(4, 4\)"),
    ):
        Frames([file["a"], file["b"]])


@pytest.mark.parametrize("value", [np.inf, np.array([]), "wide", 1j])
def test_what_is_no_number(value) -> None:
    with pytest.raises(ScanError, match=r"here is .*; must be a finite number"):
        finite_number(value, "here")


def test_numbers_for_each_frame_are_averaged_and_text_is_read() -> None:
    assert finite_number(np.array([1.0, 2.0]), "here") == 1.5
    assert finite_number(b"2.5", "here") == 2.5
