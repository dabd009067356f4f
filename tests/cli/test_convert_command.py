"""`ptychopinn convert` as a person would use it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ptychopinn import Reconstruction, read_scan
from ptychopinn.data import Scan, write_scan


@pytest.fixture(scope="module")
def scan(scan_file: Path) -> Scan:
    return read_scan(scan_file)


@pytest.mark.parametrize("name", ["scan.cxi", "scan.h5", "again.npz"])
def test_a_scan(ptycho: Callable, scan_file: Path, scan: Scan, tmp_path: Path, name: str) -> None:
    outcome = ptycho("convert", scan_file, tmp_path / name)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"scan: {tmp_path / name}\n"
    np.testing.assert_array_equal(read_scan(tmp_path / name).patterns, scan.patterns)


def test_what_was_converted_is_described_alike(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    ptycho("convert", scan_file, tmp_path / "scan.cxi")
    described = [ptycho("info", path).out.splitlines() for path in (scan_file, tmp_path / "scan.cxi")]
    for label in ("patterns", "photons per", "positions", "overlap", "probe", "object pixel", "object guess"):
        one, other = (next(line for line in lines if line.startswith(label)).split() for lines in described)
        assert one == other


def test_product_and_patterns_and_back(ptycho: Callable, scan: Scan, tmp_path: Path) -> None:
    image = Reconstruction(
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape),
        origin_px=(0, 0),
        positions_px=scan.positions_px,
        probe=scan.probe,
    )
    image.save(tmp_path)
    outcome = ptycho("convert", tmp_path, tmp_path / "result.h5")
    assert outcome.out == f"reconstruction: {tmp_path / 'result.h5'}\n"
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["patterns"], file["indexes"] = scan.patterns, np.arange(len(scan))
    outcome = ptycho("convert", tmp_path / "result.h5", tmp_path / "s.npz", "--diffraction", tmp_path / "frames.h5")
    assert outcome.out == f"scan: {tmp_path / 's.npz'}\n"
    np.testing.assert_allclose(read_scan(tmp_path / "s.npz").positions_px, scan.positions_px, atol=1e-9)
    assert ptycho("convert", tmp_path / "result.h5", tmp_path / "r.cxi", "--as", "reconstruction").code == 0
    assert ptycho("evaluate", tmp_path / "r.cxi", "--reference", tmp_path / "result.h5").code == 0


def test_a_refusal_is_one_sentence(ptycho: Callable, scan_file: Path, tmp_path: Path) -> None:
    outcome = ptycho("convert", scan_file, tmp_path / "product.h5")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"Error: {tmp_path / 'product.h5'}: a product holds a reconstructed object")
    assert outcome.err.count("\n") == 1


def test_near_field_until_told_otherwise(ptycho: Callable, scan: Scan, tmp_path: Path, tiny: list[str]) -> None:
    path = tmp_path / "near.npz"
    ptycho("convert", write_scan(scan, tmp_path / "scan.npz"), path, "--propagation", "near_field")
    refused = ptycho("run", path, "-o", tmp_path / "out", *tiny)
    assert refused.code == 2
    assert "near-field patterns, to which a far-field model must not be fitted" in refused.err
    assert not (tmp_path / "out").exists()
    ptycho("convert", path, tmp_path / "far.npz", "--propagation", "far_field")
    assert ptycho("train", tmp_path / "far.npz", "-o", tmp_path / "out", *tiny).code == 0


def test_the_scan_may_have_the_probe_of_another_file(ptycho: Callable, scan: Scan, tmp_path: Path) -> None:
    path = write_scan(scan, tmp_path / "scan.cxi")
    with h5py.File(path, "a") as file:
        del file["entry_1/instrument_1/source_1/illumination"], file["entry_1/image_1"]
    described = ptycho("info", path)
    assert "--probe" in described.out
    assert "--probe" not in described.err, "each note is shown once"
    np.save(tmp_path / "probe.npy", scan.probe)
    assert ptycho("convert", path, tmp_path / "whole.npz", "--probe", tmp_path / "probe.npy").code == 0
    np.testing.assert_array_equal(read_scan(tmp_path / "whole.npz").probe, scan.probe)
