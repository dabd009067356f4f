"""Counts split between generator and loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.data.thinning import half_of_photons, holds_photons, thin, withhold_photons


def batch_of(counts: np.ndarray) -> Batch:
    """One group of four patterns."""
    positions = np.array([[8.0, 8.0], [8.0, 10.0], [10.0, 8.0], [10.0, 10.0]])
    scan = Scan(counts.astype(np.float32), "counts", positions, np.ones((1, 64, 64), np.complex64))
    return ScanTensors(scan).gather(np.arange(4)[None])


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Poisson counts of mean 5."""
    return batch_of(np.random.default_rng(0).poisson(5.0, (4, 64, 64)))


@pytest.mark.parametrize("hidden", [0.2, 0.5])
def test_both_parts_are_whole_counts_that_add_up(batch: Batch, hidden: float) -> None:
    thinned = thin(batch, hidden, random())
    assert thinned.seen is not None
    seen, kept_back = thinned.seen.square(), thinned.hidden_counts
    torch.testing.assert_close(seen + kept_back, batch.amplitude.square())
    assert (seen - seen.round()).abs().max() < 1e-4
    assert float(kept_back.min()) >= 0
    assert torch.equal(thinned.amplitude, batch.amplitude)


@pytest.mark.parametrize("hidden", [0.2, 0.5])
def test_the_parts_of_poisson_counts_are_poisson_and_independent(batch: Batch, hidden: float) -> None:
    thinned = thin(batch, hidden, random())
    assert thinned.seen is not None
    parts = torch.stack((thinned.seen.square().flatten(), thinned.hidden_counts.flatten())).double()
    expected = [5 * (1 - hidden), 5 * hidden]
    assert parts.mean(1).tolist() == pytest.approx(expected, rel=0.03)
    assert parts.var(1).tolist() == pytest.approx(expected, rel=0.05)
    assert abs(float(torch.corrcoef(parts)[0, 1])) < 0.03
    assert thinned.hidden_fraction == hidden


def test_the_generator_of_random_numbers_decides(batch: Batch) -> None:
    first, again, other = (thin(batch, 0.5, random(seed)).seen for seed in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_no_whole_count_is_split_in_proportion() -> None:
    thinned = thin(batch_of(np.full((4, 64, 64), 0.4)), 0.25, random())
    assert thinned.seen is not None
    torch.testing.assert_close(thinned.seen.square(), torch.full((1, 4, 64, 64), 0.3))
    torch.testing.assert_close(thinned.hidden_counts, torch.full((1, 4, 64, 64), 0.1))


def test_without_thinning_the_loss_sees_all_counts(batch: Batch) -> None:
    assert torch.equal(batch.hidden_counts, batch.amplitude.square())
    assert batch.seen is None
    assert replace(batch).hidden_fraction == 1


@pytest.fixture(scope="module")
def scan(batch: Batch) -> Scan:
    """The four patterns as amplitudes, in a scan."""
    amplitude = batch.amplitude[0].numpy()
    return Scan(amplitude, "amplitude", np.zeros((4, 2)), np.full((1, 64, 64), 2, np.complex64))


def test_a_scan_is_split_with_its_probe(scan: Scan) -> None:
    split = withhold_photons(scan, 0.1, seed=3)
    kept = split.scan.counts()
    np.testing.assert_allclose(kept + split.withheld, scan.counts(), atol=1e-3)
    assert split.withheld.sum() == pytest.approx(0.1 * scan.counts().sum(), rel=0.05)
    assert abs(np.corrcoef(kept.ravel(), split.withheld.ravel())[0, 1]) < 0.03
    np.testing.assert_allclose(np.abs(split.scan.probe) ** 2, 0.9 * 4, rtol=1e-5)
    again, other = withhold_photons(scan, 0.1, seed=3), withhold_photons(scan, 0.1, seed=4)
    np.testing.assert_array_equal(again.withheld, split.withheld)
    assert not np.array_equal(other.withheld, split.withheld)


def test_whole_numbers_are_photons_and_others_are_not(scan: Scan) -> None:
    assert holds_photons(scan)
    assert not holds_photons(replace(scan, patterns=scan.patterns * np.float32(0.77)))
    some = scan.counts()
    some[0, :4] += 0.3
    assert not holds_photons(replace(scan, patterns=some, domain="counts"))
    bad = np.zeros((64, 64), bool)
    bad[:4] = True
    assert holds_photons(replace(scan, patterns=some, domain="counts", bad_pixels=bad))


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_halves_of_the_photons_add_up_and_are_independent(kind: type) -> None:
    """Of counts with the mean 6 both halves have mean and variance 3, and no correlation."""
    counts = np.random.default_rng(3).poisson(6.0, (300, 16, 16)).astype(kind)
    scan = Scan(counts, "counts", np.zeros((300, 2)), np.full((1, 16, 16), 2 + 0j, np.complex64))
    first, second = (half_of_photons(scan, number, 4) for number in (0, 1))
    assert first.patterns.dtype == second.patterns.dtype == kind
    np.testing.assert_array_equal(first.patterns + second.patterns, counts)
    one, other = first.patterns.astype(float), second.patterns.astype(float)
    assert one.mean() == pytest.approx(3, abs=0.02)
    assert one.var() == pytest.approx(3, abs=0.06)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.015
    np.testing.assert_allclose(np.square(np.abs(first.probe)), np.square(np.abs(scan.probe)) / 2, rtol=1e-6)
    assert not np.array_equal(first.patterns, half_of_photons(scan, 0, 5).patterns), "the seed counts"


def test_halves_of_amplitudes_are_counts() -> None:
    counts = np.random.default_rng(3).poisson(6.0, (20, 8, 8))
    scan = Scan(np.sqrt(counts).astype(np.float32), "amplitude", np.zeros((20, 2)), np.ones((1, 8, 8), np.complex64))
    first, second = (half_of_photons(scan, number, 4) for number in (0, 1))
    assert first.domain == "counts"
    np.testing.assert_allclose(first.patterns + second.patterns, counts, atol=1e-4)
