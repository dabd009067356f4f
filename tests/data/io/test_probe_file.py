"""A probe from a file of its own."""

import numpy as np
import pytest

from ptychopinn.data import read_scan, write_scan
from ptychopinn.data.io import read_probe
from ptychopinn.errors import ScanError


@pytest.mark.parametrize("name", ["scan.npz", "scan.cxi", "scan.h5"])
def test_from_any_scan(scan_of, tmp_path, name: str) -> None:
    scan = scan_of()
    np.testing.assert_array_equal(np.atleast_3d(read_probe(write_scan(scan, tmp_path / name))).squeeze(), scan.probe[0])


def test_from_arrays(scan_of, tmp_path) -> None:
    probe = scan_of().probe
    np.save(tmp_path / "probe.npy", probe[0])
    np.savez(tmp_path / "probe.npz", probe=probe)
    np.testing.assert_array_equal(read_probe(tmp_path / "probe.npy"), probe[0])
    np.testing.assert_array_equal(read_probe(tmp_path / "probe.npz"), probe)


def test_it_replaces_that_of_the_scan(scan_of, cxi_of, write_hdf5, tmp_path) -> None:
    scan = scan_of()
    path = write_hdf5(cxi_of(scan) | {"entry_1/instrument_1/source_1/illumination": None})
    np.save(tmp_path / "probe.npy", 2 * scan.probe)
    np.testing.assert_array_equal(read_scan(path, probe=tmp_path / "probe.npy").probe, 2 * scan.probe)


def test_an_npz_scan_takes_a_probe_but_no_patterns(scan_of, tmp_path) -> None:
    path = write_scan(scan_of(), tmp_path / "scan.npz")
    np.save(tmp_path / "probe.npy", 2 * scan_of().probe)
    np.testing.assert_array_equal(read_scan(path, probe=tmp_path / "probe.npy").probe, 2 * scan_of().probe)
    with pytest.raises(ScanError, match="scans in the format NPZ hold their own patterns; drop --diffraction"):
        read_scan(path, diffraction=path)


def test_what_is_no_probe(scan_of, write_hdf5, tmp_path) -> None:
    np.save(tmp_path / "real.npy", np.ones((4, 4)))
    np.savez(tmp_path / "other.npz", beam=np.ones((4, 4), complex))
    (tmp_path / "text.npz").write_text("no probe")
    np.save(tmp_path / "objects.npy", np.array([object()], dtype=object), allow_pickle=True)
    hdf5 = write_hdf5({"patterns": scan_of().patterns})
    for path, message in (
        (tmp_path / "real.npy", r"holds float64 \(4, 4\); must be a complex probe"),
        (tmp_path / "other.npz", "holds no probe .looked for probeGuess and probe"),
        (tmp_path / "text.npz", "no probe can be read from it"),
        (tmp_path / "objects.npy", "cannot be read as an NPY file .it holds Python objects, which are never unpickled"),
        (tmp_path / "absent.npy", "no such file"),
        (hdf5, "holds no probe"),
    ):
        with pytest.raises(ScanError, match=message):
            read_probe(path)
