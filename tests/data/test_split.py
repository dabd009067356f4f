"""Choosing patterns: by place, by number, by index."""

import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ptychopinn.data import split_by_place, subsample


def positions(n: int = 400) -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 100, (n, 2))


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.6])
def test_the_validation_region_is_a_disk_about_one_of_its_points(fraction) -> None:
    points = positions()
    train, validation = split_by_place(points, fraction, np.random.default_rng(1))
    assert len(validation) == round(fraction * 400)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(400))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    inside, outside = points[validation], points[train]
    reach = np.hypot(*(inside[:, None] - inside[None]).transpose(2, 0, 1)).max(axis=1)
    gap = np.hypot(*(inside[:, None] - outside[None]).transpose(2, 0, 1)).min(axis=1)
    assert (reach <= gap).any(), "around one of them no training point is nearer than any validation point"


def test_the_place_follows_the_generator() -> None:
    first = split_by_place(positions(), 0.1, np.random.default_rng(1))[1]
    np.testing.assert_array_equal(first, split_by_place(positions(), 0.1, np.random.default_rng(1))[1])
    assert not np.array_equal(first, split_by_place(positions(), 0.1, np.random.default_rng(2))[1])


@pytest.mark.parametrize(("n", "fraction", "expected"), [(10, 0, 0), (10, 0.01, 1), (2, 0.89, 1), (1, 0.5, 0)])
def test_small_numbers(n, fraction, expected) -> None:
    train, validation = split_by_place(positions(n), fraction, np.random.default_rng(0))
    assert (len(train), len(validation)) == (n - expected, expected)
    assert train.dtype == validation.dtype == np.int64


def test_random_subsampling_keeps_pairs_and_order(make_scan) -> None:
    scan = replace(make_scan(bad_pixels=np.zeros((16, 16), bool)), scan_index=np.arange(12))
    part = subsample(scan, 5, "random", np.random.default_rng(3))
    chosen = part.scan_index
    assert len(part) == len(set(chosen)) == 5
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() != [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(part.patterns, scan.patterns[chosen])
    np.testing.assert_array_equal(part.positions_px, scan.positions_px[chosen])
    assert part.bad_pixels.shape == (16, 16)
    again = subsample(scan, 5, "random", np.random.default_rng(3))
    np.testing.assert_array_equal(again.scan_index, chosen)


def test_sequential_subsampling_takes_the_first(make_scan) -> None:
    part = subsample(replace(make_scan(), scan_index=np.arange(12)), 5, "sequential", np.random.default_rng(3))
    assert part.scan_index.tolist() == [0, 1, 2, 3, 4]


def test_all_patterns(make_scan, caplog) -> None:
    scan = make_scan()
    assert subsample(scan, None, "random", np.random.default_rng(0)) is scan
    assert subsample(scan, 12, "random", np.random.default_rng(0)) is scan
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "ptychopinn.data"):
        assert subsample(scan, 13, "random", np.random.default_rng(0)) is scan
    assert "n_patterns is 13 but the scan has 12 patterns; all are used" in caplog.text


def test_selecting_takes_all_that_belongs_to_a_pattern(make_scan) -> None:
    bad = np.zeros((12, 16, 16), bool)
    bad[7, 0, 0] = True
    labels = np.arange(12)[:, None, None] * np.ones((12, 16, 16))
    scan = make_scan(bad_pixels=bad, truth_patches=labels, nominal_positions_px=np.arange(24.0).reshape(12, 2))
    part = scan.select(np.arange(12) == 7)
    assert len(part) == 1
    assert part.bad_pixels[0, 0, 0]
    assert part.truth_patches[0, 0, 0] == 7
    assert part.nominal_positions_px.tolist() == [[14, 15]]


def test_importing_the_data_package_loads_no_torch() -> None:
    code = "import sys, ptychopinn.data; sys.exit('torch' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
