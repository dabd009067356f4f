"""The names that kept scans on disk during training: large scans stay in their own files."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.raw_data import RawData
from ptycho_torch import dataloader
from ptycho_torch.dset_loader_pt_mmap import PtychoDataset
from ptycho_torch.memmap_bridge import MemmapDatasetBridge
from ptychopinn.data import large_arrays
from ptychopinn.errors import ScanError


@pytest.fixture
def folder(measured, make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two scans of 48 positions, in a folder of their own, of which the patterns count as large."""
    (tmp_path / "scans").mkdir()
    measured.export(tmp_path / "scans" / "a.npz")
    make(seed=1, photons=2e4).export(tmp_path / "scans" / "b.npz")
    monkeypatch.setattr(large_arrays, "MOST_IN_MEMORY", 1000)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "scans"


def test_a_folder_of_scans_is_mapped(folder: Path) -> None:
    dataset, plain = PtychoDataset(folder, None), dataloader.PtychoDataset(str(folder))
    assert dataset.calculate_length() == dataset.calculate_length(folder) == plain.calculate_length()
    total, starts = dataset.calculate_length()
    assert (total, starts[0], starts[-1]) == (len(dataset), 0, len(dataset))
    for item in (0, len(dataset) - 1):
        np.testing.assert_array_equal(dataset[item]["images"], plain[item]["images"])
    patterns = dataset.map_data(folder)
    assert [one.shape for one in patterns] == [(48, 16, 16)] * 2
    assert all(isinstance(one.base.base, mmap.mmap) for one in patterns)
    np.testing.assert_array_equal(dataset.load_diffraction_data(folder / "a.npz"), patterns[0])
    np.testing.assert_array_equal(plain.memory_map_data([folder / "b.npz"])[0], patterns[1])
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["a.npz", "b.npz", "scans"]


def test_probes_come_from_a_folder_of_their_own(folder: Path, tmp_path: Path) -> None:
    probes = tmp_path / "probes"
    probes.mkdir()
    with pytest.raises(FileNotFoundError, match="with a probe"):
        PtychoDataset(folder, probes)
    beam = PtychoDataset(folder, None).scans[0].probe[0]
    np.save(probes / "one.npy", 2 * beam)
    assert [np.abs(scan.probe).max() for scan in PtychoDataset(folder, probes).scans] == [2 * np.abs(beam).max()] * 2
    np.savez(probes / "two.npz", probeGuess=3 * beam)
    dataset = PtychoDataset(folder, probes)
    for scan, probe, factor in zip(dataset.scans, dataset.get_probes(probes), (2, 3), strict=True):
        np.testing.assert_allclose(scan.probe[0], factor * beam, rtol=1e-6)
        np.testing.assert_allclose(probe, factor * beam, rtol=1e-6)
    np.save(probes / "three.npy", beam)
    with pytest.raises(ScanError, match="one for each of 2 scans, got 3"):
        PtychoDataset(folder, probes)


def test_the_bridge_groups_a_scan_in_its_file(folder: Path) -> None:
    config = TrainingConfig(model=ModelConfig(N=16, gridsize=2))
    found = MemmapDatasetBridge(folder / "a.npz", config).get_grouped_data(16, 4, 10, 2, seed=3)
    expected = RawData.from_file(folder / "a.npz").generate_grouped_data(16, 4, 10, seed=3, gridsize=2)
    assert found["diffraction"].shape == (10, 16, 16, 4)
    for name in ("diffraction", "coords_relative", "nn_indices"):
        np.testing.assert_array_equal(found[name], expected[name])
