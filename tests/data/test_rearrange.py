"""Scans in another order, in two parts, and with arrays under other names."""

from pathlib import Path

import numpy as np
import pytest

from ptychopinn.api.convert import Rearrange, convert
from ptychopinn.data import read_scan
from ptychopinn.data.rearrange import renamed, shuffled, split
from ptychopinn.errors import ConfigError, ScanError


@pytest.fixture
def scan(make_scan):
    rng = np.random.default_rng(0)
    return make_scan(positions_px=rng.uniform(0, 40, (12, 2)))


def test_shuffling_keeps_patterns_and_positions_together(scan) -> None:
    moved = shuffled(scan, 3)
    order = [int(np.flatnonzero((scan.positions_px == place).all(axis=1))[0]) for place in moved.positions_px]
    assert sorted(order) == list(range(12)) != order
    np.testing.assert_array_equal(moved.patterns, scan.patterns[order])
    assert moved.metadata["history"] == ["shuffled, seed 3"]
    np.testing.assert_array_equal(shuffled(scan, 3).positions_px, moved.positions_px)


@pytest.mark.parametrize("by", ["y", "x", "random", "order"])
def test_two_parts_hold_every_pattern_once(scan, by) -> None:
    first, second = split(scan, 0.75, by, seed=1)
    assert (len(first), len(second)) == (9, 3)
    both = np.concatenate([first.positions_px, second.positions_px])
    np.testing.assert_array_equal(np.sort(both[:, 0]), np.sort(scan.positions_px[:, 0]))
    if by in "yx":
        axis = "yx".index(by)
        assert first.positions_px[:, axis].max() <= second.positions_px[:, axis].min()


@pytest.mark.parametrize("fraction", [0.0, 1.0, 0.01, -3])
def test_a_part_without_patterns_is_refused(scan, fraction) -> None:
    with pytest.raises(ConfigError, match="leaves one part empty"):
        split(scan, fraction)


def test_arrays_get_the_names_of_the_format(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"frames": rng.poisson(50, (12, 16, 16)).astype(np.uint16), "px": rng.uniform(0, 40, 12)}
    np.savez(tmp_path / "old.npz", **arrays, ycoords=arrays["px"], probeGuess=np.ones((16, 16), np.complex64))
    names = {"frames": "diff3d", "px": "xcoords"}
    done = convert(tmp_path / "old.npz", tmp_path / "new.npz", rearrange=Rearrange(names, shuffle=1, split=0.5))
    assert done.path == tmp_path / "new_train.npz"
    assert done.others == (tmp_path / "new_test.npz",)
    parts = [read_scan(path) for path in (done.path, *done.others)]
    assert [len(part) for part in parts] == [6, 6]
    total = sum(int(part.patterns.sum()) for part in parts)
    assert total == int(arrays["frames"].sum())
    with pytest.raises(ScanError, match="holds no images to rename"):
        renamed(tmp_path / "old.npz", {"images": "diff3d"}, tmp_path / "x.npz")
    with pytest.raises(ConfigError, match="ycoords would be there twice"):
        renamed(tmp_path / "old.npz", {"px": "ycoords"}, tmp_path / "x.npz")
