"""The same seed gives byte-identical arrays: twice, in another process, with other numbers of threads and batches."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import OBJECTS, PROBES, SCANS, make_object, make_probe, record, simulate

TINY = {"object_size_px": 48, "probe_size_px": 16, "step_px": 6, "seed": 11, "device": "cpu"}
DEFECTS = {"beamstop_diameter_px": 3, "bad_pixel_fraction": 0.05, "position_error_px": 0.5, "labels": True}
CONFIGS = [
    *({**TINY, "object_kind": kind} for kind in sorted(set(OBJECTS) - {"text"})),
    {**TINY, "object_kind": "text", "object_text": "AB"},
    *({**TINY, "probe_kind": kind, "probe_modes": 2} for kind in sorted(PROBES)),
    *({**TINY, "scan_kind": kind} for kind in sorted(SCANS)),
    {**TINY, "object_correlation": 0.3},
    {**TINY, **DEFECTS},
    {**TINY, "poisson_noise": False, **DEFECTS},
    {**TINY, "photons_per_pattern": 1e9},
]

PROGRAM = """
import hashlib, json, sys
from ptychopinn.config import SimulationConfig
from ptychopinn.simulation import simulate
for tree in json.loads(sys.stdin.read()):
    scan = simulate(SimulationConfig.model_validate(tree))
    arrays = (scan.patterns, scan.positions_px, scan.probe, scan.object_guess, scan.truth_patches, scan.bad_pixels)
    print(hashlib.sha256(b"".join(a.tobytes() for a in arrays if a is not None)).hexdigest())
"""


def digest(tree: dict[str, object]) -> str:
    scan = simulate(SimulationConfig.model_validate(tree))
    arrays = (scan.patterns, scan.positions_px, scan.probe, scan.object_guess, scan.truth_patches, scan.bad_pixels)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays if array is not None)).hexdigest()


@pytest.fixture(scope="module")
def here() -> list[str]:
    return [digest(tree) for tree in CONFIGS]


def test_twice_here(here: list[str]) -> None:
    np.random.default_rng().random(3)  # generators of others have no say
    assert [digest(tree) for tree in CONFIGS] == here


def test_every_setting_counts(here: list[str]) -> None:
    composite, jittered, zone_plate = (digest({**TINY, "probe_modes": modes}) for modes in (1, 1, 2))
    assert composite == jittered
    assert len(set(here)) == len(here) - 1  # composite and jittered grid are the default
    assert zone_plate in here


def test_other_seeds_differ(here: list[str]) -> None:
    assert not {digest({**tree, "seed": 12}) for tree in CONFIGS} & set(here)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_in_another_process(here: list[str], threads: str) -> None:
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(CONFIGS),
        env={**os.environ, "OMP_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_streams_batches_and_threads_change_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several streams, as in a scan of thousands of patterns."""
    object_ = make_object("lines", (60, 60), np.random.default_rng(0))
    probe = make_probe("gaussian", 16, photons_per_pattern=1e4)
    positions = np.tile(np.random.default_rng(1).uniform(9, 50, (20, 2)), (4, 1))
    monkeypatch.setattr(record, "STREAM_ELEMENTS", 20 * 16 * 16)

    def counts(batch_size: int | None, threads: int) -> np.ndarray:
        monkeypatch.setattr(record.torch, "get_num_threads", lambda: threads)
        return record.record_patterns(object_, probe, positions, np.random.default_rng(2), batch_size=batch_size)

    first = counts(None, 1)
    for batch_size, threads in ((None, 4), (7, 1), (1, 3)):
        np.testing.assert_array_equal(counts(batch_size, threads), first)
    assert not np.array_equal(first[:20], first[20:40])


def test_dose_keeps_sample_positions_errors_and_bad_pixels() -> None:
    given = {**TINY, **DEFECTS}
    scans = [simulate(SimulationConfig.model_validate({**given, "photons_per_pattern": p})) for p in (1e3, 1e6)]
    np.testing.assert_array_equal(scans[0].object_guess, scans[1].object_guess)
    np.testing.assert_array_equal(scans[0].positions_px, scans[1].positions_px)
    np.testing.assert_array_equal(scans[0].bad_pixels, scans[1].bad_pixels)


def test_written_arrays_are_the_same_again(tmp_path: Path) -> None:
    from ptychopinn import write_scan

    config = SimulationConfig.model_validate({**TINY, **DEFECTS})
    paths = [write_scan(simulate(config), tmp_path / name) for name in ("a.npz", "b.npz")]
    with np.load(paths[0]) as first, np.load(paths[1]) as second:
        assert first.files == second.files
        assert {"Y", "bad_pixels", "objectGuess"} < set(first.files)
        assert all(first[key].tobytes() == second[key].tobytes() for key in first.files)
