"""Every format that is written is read back, and through every other one."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.data import Scan, read_scan, write_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.io import extensions
from ptychopinn.errors import OutputError

rng = np.random.default_rng(3)
BEAM_STOP = np.zeros((16, 16), bool)
BEAM_STOP[7:9, 5:12] = True
EACH = rng.random((14, 16, 16)) < 0.05
VARIANTS = {
    "plain": {},
    "odd": {"size": 15},
    "modes": {"probe": rng.normal(size=(3, 16, 16)) + 1j * rng.normal(size=(3, 16, 16))},
    "uint32": {"patterns": rng.poisson(900.0, (14, 16, 16)).astype(np.uint32) + 70_000},
    "int32": {"patterns": rng.poisson(50.0, (14, 16, 16)).astype(np.int32)},
    "float counts": {"patterns": rng.uniform(0, 90, (14, 16, 16)).astype(np.float32)},
    "one mask": {"bad_pixels": BEAM_STOP},
    "masks": {"bad_pixels": EACH},
    "no object": {"object_guess": None},
    "other origin": {"object_guess": None, "positions_px": rng.uniform(-300, -270, (14, 2))},
    "unknown pixel": {"pixel_size_m": None, "geometry": Geometry()},
    "binned": {"pixel_size_m": 4e-8},
    "several objects": {"scan_index": np.arange(14) // 7},
    "labels": {"truth_patches": rng.normal(size=(14, 16, 16)) + 1j * rng.normal(size=(14, 16, 16))},
    "nominal positions": {"nominal_positions_px": rng.uniform(10, 30, (14, 2))},
}
OPTIONAL = ("object_guess", "bad_pixels", "scan_index", "truth_patches")


def assert_same(found: Scan, scan: Scan) -> None:
    assert (found.domain, found.patterns.dtype) == ("counts", scan.patterns.dtype)
    np.testing.assert_array_equal(found.patterns, scan.patterns)
    np.testing.assert_array_equal(found.probe, scan.probe)
    np.testing.assert_allclose(found.positions_px, scan.positions_px, rtol=0, atol=1e-9)
    for name in OPTIONAL:
        one, other = getattr(found, name), getattr(scan, name)
        assert (one is None) == (other is None), name
        if other is not None:
            np.testing.assert_array_equal(one, other, err_msg=name)
    nominal = scan.positions_px if scan.nominal_positions_px is None else scan.nominal_positions_px
    kept = found.positions_px if found.nominal_positions_px is None else found.nominal_positions_px
    np.testing.assert_allclose(kept, nominal, rtol=0, atol=1e-9)
    assert found.pixel_size_m == (None if scan.pixel_size_m is None else pytest.approx(scan.pixel_size_m, rel=1e-12))
    assert scan.metadata.items() <= found.metadata.items()
    assert found.geometry == scan.geometry


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_scan_comes_back(scan_of, tmp_path: Path, extension: str, variant: str) -> None:
    scan = scan_of(**VARIANTS[variant])
    found = read_scan(write_scan(scan, tmp_path / f"scan{extension}"))
    if variant == "masks" and extension == ".cxi":
        assert found.bad_pixels.ndim == 3
    assert_same(found, scan)


@pytest.mark.parametrize(("first", "second"), list(permutations([".npz", ".cxi", ".h5"], 2)))
@pytest.mark.parametrize("variant", ["odd", "modes", "masks", "other origin", "unknown pixel"])
def test_a_scan_survives_two_formats(scan_of, tmp_path: Path, first: str, second: str, variant: str) -> None:
    scan = scan_of(**VARIANTS[variant])
    once = read_scan(write_scan(scan, tmp_path / f"once{first}"))
    assert_same(read_scan(write_scan(once, tmp_path / f"twice{second}")), scan)


@pytest.mark.parametrize("extension", [".cxi", ".h5"])
def test_amplitudes_that_are_roots_of_counts_are_written_as_those_counts(scan_of, tmp_path, extension) -> None:
    counts = scan_of(patterns=rng.poisson(300.0, (14, 16, 16)).astype(np.uint16) * 70)
    amplitude = scan_of(patterns=np.sqrt(counts.patterns.astype(np.float32)), domain="amplitude")
    found = read_scan(write_scan(amplitude, tmp_path / f"scan{extension}"))
    assert found.patterns.dtype == np.uint16
    np.testing.assert_array_equal(found.patterns, counts.patterns)


@pytest.mark.parametrize(("kind", "largest"), [(np.uint32, 90_000), (np.uint64, 1 << 33)])
def test_counts_that_need_more_room_get_it(scan_of, tmp_path, kind, largest) -> None:
    counts = np.full((14, 16, 16), 4.0)
    counts[3, 8, 8] = largest
    found = read_scan(write_scan(scan_of(patterns=np.sqrt(counts), domain="amplitude"), tmp_path / "scan.cxi"))
    assert found.patterns.dtype == kind
    np.testing.assert_array_equal(found.patterns, counts)


def test_amplitudes_of_no_counts_are_squared_and_nothing_else(scan_of, tmp_path: Path) -> None:
    amplitude = rng.uniform(0, 9, (14, 16, 16)).astype(np.float32)
    scan = scan_of(patterns=amplitude, domain="amplitude")
    found = read_scan(write_scan(scan, tmp_path / "scan.cxi"))
    assert found.patterns.dtype == np.float32
    np.testing.assert_allclose(found.amplitudes(), amplitude, rtol=1e-6)


@pytest.mark.parametrize("name", ["scan.mat", "scan", "scan.npy"])
def test_other_extensions_are_refused(scan_of, tmp_path: Path, name: str) -> None:
    message = r"as NPZ, CXI or ptychodus training data; name a file that ends in \.npz, \.cxi or \.h5"
    with pytest.raises(OutputError, match=message):
        write_scan(scan_of(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", extensions("scan"))
def test_a_failed_write_leaves_the_old_file(scan_of, tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"scan{extension}"
    path.write_text("old")
    with pytest.raises(Exception, match="no plain JSON values"):
        write_scan(scan_of(metadata={"bad": object()}), path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
