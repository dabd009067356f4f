"""Batches as dictionaries, and the groups in them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.api.base_api import PtychoDataLoader
from ptycho_torch.dataloader import PtychoDataset
from ptycho_torch.patch_generator import get_neighbor_indices, get_relative_coords, group_coords

KEYS = {
    "images": (2, 4, 16, 16),
    "coords_relative": (2, 4, 1, 2),
    "coords_center": (2, 1, 1, 2),
    "nn_indices": (2, 4),
    "experiment_id": (2,),
    "rms_scaling_constant": (2, 1, 1, 1),
    "physics_scaling_constant": (2, 1, 1, 1),
}


@pytest.fixture
def loader(measured, make, settings, tmp_path: Path) -> PtychoDataLoader:
    """Two scans of 48 positions."""
    measured.export(tmp_path / "a.npz")
    make(seed=1, photons=2e4).export(tmp_path / "b.npz")
    return PtychoDataLoader(tmp_path, settings())


def test_batches_have_the_documented_keys_shapes_and_types(loader) -> None:
    batches = list(loader.batches())
    assert len(batches) == 48
    for name, shape in KEYS.items():
        assert batches[0][name].shape == shape
        assert batches[0][name].dtype == (torch.int64 if name in ("nn_indices", "experiment_id") else torch.float32)
    assert set(batches[0]) == {*KEYS, "probe"}


def test_a_batch_says_where_its_patterns_came_from(loader) -> None:
    dataset = PtychoDataset(loader.scans, loader.config_manager.data_config)
    assert len(dataset) == 96
    for item in (0, 47, 48, 95):
        group = dataset[item]
        scan = loader.scans[item // 48]
        rows = group["nn_indices"].numpy()
        assert group["experiment_id"] == item // 48
        np.testing.assert_allclose(group["images"].numpy() ** 2, scan.patterns[rows], atol=1e-3)
        xy = scan.positions_px[rows][:, ::-1]
        np.testing.assert_allclose(group["coords_center"][0, 0], xy.mean(0), rtol=1e-5)
        np.testing.assert_allclose(group["coords_relative"][:, 0], xy.mean(0) - xy, atol=1e-4)
    for wrong in (-1, 96):
        with pytest.raises(IndexError):
            dataset[wrong]


def test_scaling_constants_are_those_of_the_scan(loader) -> None:
    dataset = PtychoDataset(loader.scans, loader.config_manager.data_config)
    for item, scan in ((0, loader.scans[0]), (95, loader.scans[1])):
        amplitudes = scan.amplitudes().astype(np.float64)
        power = (dataset[item]["rms_scaling_constant"].item() * amplitudes) ** 2
        assert power.sum((1, 2)).mean() == pytest.approx(256, rel=1e-5)
        total = dataset[item]["physics_scaling_constant"].item() * amplitudes
        assert total.sum((1, 2)).mean() == pytest.approx(1, rel=1e-5)


def test_groups_are_of_near_points_with_the_seed_first() -> None:
    y, x = np.mgrid[:6, :7].reshape(2, -1).astype(float)
    index, coords = group_coords(x, y, {"C": 4, "K": 6, "n_subsample": 2})
    assert index.shape == (84, 4)
    assert sorted(index[:, 0]) == sorted(list(range(42)) * 2)
    np.testing.assert_array_equal(coords[:, :, 0, 0], x[index])
    np.testing.assert_array_equal(coords[:, :, 0, 1], y[index])
    nearest = get_neighbor_indices(x, y, {"C": 4, "K": 6})
    assert nearest.shape == (42, 6)
    for seed, *others in index:
        assert set(others) <= set(nearest[seed])
    center, relative = get_relative_coords(coords)
    np.testing.assert_allclose(center - relative, coords)
    assert get_neighbor_indices(x, y, {"C": 4}, K=3).shape == (42, 3)
