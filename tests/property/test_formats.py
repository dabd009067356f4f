"""What holds for all scans: types of numbers, the order of frames, and any chain of conversions between formats."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ptychopinn.data import Scan, read_scan, write_scan

few = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def counts_scan(seed: int, count: int, size: int, dtype: str) -> Scan:
    """Counts around the centre, at positions anywhere in a field of 20 px."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size // 2
    beam = np.exp(-(x**2 + y**2) / size)
    patterns = rng.poisson(40 * beam, (count, size, size)).astype(dtype)
    patterns[:, size // 2, size // 2] += 1
    return Scan.create(
        patterns,
        rng.uniform(size, size + 20, (count, 2)),
        (beam * np.exp(1j * rng.normal())).astype(np.complex64),
        domain="counts",
        pixel_size_m=float(rng.uniform(1e-9, 1e-7)),
    )


@few
@given(
    seed=seeds,
    count=st.integers(5, 12),
    size=st.sampled_from([13, 14, 16]),
    dtype=st.sampled_from(["u1", "u2", "u4", "i4", "i8", "f4", "f8", ">u2", ">f4"]),
    path=st.lists(st.sampled_from(["npz", "cxi", "h5"]), min_size=1, max_size=4),
)
def test_any_chain_of_conversions_keeps_the_scan(seed: int, count: int, size: int, dtype: str, path: list[str]) -> None:
    scan = counts_scan(seed, count, size, dtype)
    kept = scan
    with TemporaryDirectory() as folder:
        for number, suffix in enumerate(path):
            kept = read_scan(write_scan(kept, Path(folder) / f"{number}.{suffix}"), axis_order="auto")
    np.testing.assert_array_equal(kept.patterns, scan.patterns)
    np.testing.assert_allclose(kept.positions_px, scan.positions_px, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(kept.probe, scan.probe)
    assert kept.domain == "counts"
    assert kept.pixel_size_m is not None
    assert abs(kept.pixel_size_m / scan.pixel_size_m - 1) < 1e-9


@few
@given(seed=seeds, dtype=st.sampled_from(["u1", "u2", "u4", "u8", "i2", "i4", "i8", "f4", "f8", ">u2", ">i4", ">f8"]))
def test_counts_are_the_same_in_every_type(seed: int, dtype: str) -> None:
    scan = counts_scan(seed, 6, 13, dtype)
    assert scan.domain == "counts"
    np.testing.assert_array_equal(scan.patterns.astype(np.float64), counts_scan(seed, 6, 13, "f8").patterns)


@few
@given(seed=seeds, suffix=st.sampled_from(["npz", "cxi", "h5"]))
def test_the_order_of_frames_is_kept(seed: int, suffix: str) -> None:
    scan = counts_scan(seed, 9, 13, "u2")
    order = np.random.default_rng(seed).permutation(9)
    shuffled = Scan.create(
        scan.patterns[order], scan.positions_px[order], scan.probe, domain="counts", pixel_size_m=1e-8
    )
    with TemporaryDirectory() as folder:
        again = read_scan(write_scan(shuffled, Path(folder) / f"scan.{suffix}"))
    np.testing.assert_array_equal(again.patterns, scan.patterns[order])
    np.testing.assert_allclose(again.positions_px, scan.positions_px[order], rtol=0, atol=1e-5)
