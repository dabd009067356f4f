"""The solver shared by ranks: the image of one process, on every rank, from patterns that each holds a part of."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.joined import joined_scan
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Estimate
from ptychopinn.ranks import Ranks
from ptychopinn.simulation import simulate
from ptychopinn.solver import Common, Refined, SolverInterrupted, counted, flat_start, joined_starts, refine
from ptychopinn.solver.counted import KEPT_BYTES
from ptychopinn.solver.distortion import with_limit
from ptychopinn.solver.refine import estimate_of
from ptychopinn.solver.solver import Solver

InRanks = Callable[..., list[Any]]
LIMIT = 1e-4
"""Largest deviation from the result of one process, relative, in single precision: sums in another order."""
EXACT = 1e-6
"""The same in double precision, where patterns are still compared in single precision."""


@pytest.fixture(scope="module")
def noisy() -> Scan:
    """121 patterns of 16 px with counting noise; bad pixels of their own in some patterns."""
    drawn = simulate(SimulationConfig(object_size_px=64, probe_size_px=16, step_px=4, photons_per_pattern=1e5, seed=2))
    bad = np.zeros(drawn.patterns.shape, bool)
    bad[5, :3], bad[100:120, 7, 7] = True, True
    return replace(drawn, bad_pixels=bad)


def _misplaced(scan: Scan, rms_px: float) -> Scan:
    moved = np.random.default_rng(1).normal(0, rms_px, scan.positions_px.shape)
    return replace(scan, positions_px=scan.positions_px + moved)


def _refined(scan: Scan, config: RefineConfig, ranks: Ranks, **how: Any) -> Refined:
    probe = 0.9 * torch.from_numpy(scan.probe)
    return refine(flat_start(scan, probe), ScanTensors(scan), config, ranks=ranks, **how)


def _close(found: Any, expected: Any, limit: float = LIMIT) -> None:
    difference = np.linalg.norm(np.asarray(found) - np.asarray(expected)) / np.linalg.norm(np.asarray(expected))
    assert difference <= limit, difference


def _solver(scan: Scan, config: RefineConfig, ranks: Ranks, tensors: ScanTensors | None = None) -> Solver:
    """In double precision, so that rounding does not grow to what an error would be."""
    frame = Frame.of_positions(scan.positions_px, scan.pattern_size, margin=12)
    start = estimate_of(flat_start(scan, 0.9 * torch.from_numpy(scan.probe)), frame, torch.device("cpu"))
    exact = Estimate(start.object_.to(torch.complex128), start.probe.to(torch.complex128), start.positions_px)
    return Solver(exact, tensors or ScanTensors(scan), with_limit(config, 16), DiffractionModel(), ranks)


CASES = {
    "positions": ({"iterations": 8, "positions": True}, 0.3),
    "a search of positions": ({"iterations": 8, "positions": True, "positions_prior_px": 2.5}, 1.5),
    "a distortion": ({"iterations": 14, "positions": True, "positions_distortion": True}, 0.3),
    "intensities": ({"iterations": 8, "intensities": "fitted"}, 0.0),
    "a probe that varies": ({"iterations": 8, "probe_relaxation": 2}, 0.0),
    "a pattern of background": ({"iterations": 12, "background": "pattern"}, 0.0),
    "background and blur": ({"iterations": 8, "background": "flat", "blur": "fitted"}, 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_take_the_steps_of_one_process(in_ranks: InRanks, noisy: Scan, name: str) -> None:
    settings, rms_px = CASES[name]
    scan, config = _misplaced(noisy, rms_px), RefineConfig(**settings)

    @torch.inference_mode()
    def work(ranks: Ranks) -> dict[str, np.ndarray]:
        solver = _solver(scan, config, ranks)
        deviance = [float(solver.iterate(iteration)) for iteration in range(config.iterations)]
        found = {key: value.numpy() for key, value in solver.snapshot().items() if key != "generator"}
        return {**found, "deviance": np.array(deviance)}

    alone = work(Ranks())
    first, second = in_ranks(work)
    for key, value in alone.items():
        if np.linalg.norm(value):
            _close(first[key], value, EXACT)
            _close(second[key], value, EXACT)
    assert alone["deviance"][-1] < 0.5 * alone["deviance"][0]


def test_two_ranks_give_the_image_of_one_process(in_ranks: InRanks, noisy: Scan) -> None:
    """In single precision, as all commands compute."""
    config = RefineConfig(iterations=20)
    alone = _refined(noisy, config, Ranks())
    for made in in_ranks(lambda ranks: _refined(noisy, config, ranks)):
        image, expected = made.reconstruction, alone.reconstruction
        assert made.deviance[-1] == pytest.approx(alone.deviance[-1], rel=LIMIT)
        _close(image.object_, expected.object_)
        _close(image.probe, expected.probe)
        _close(image.positions_px, expected.positions_px)


def test_ranks_without_a_pattern_in_a_batch_take_the_steps_too(in_ranks: InRanks, noisy: Scan) -> None:
    """Batches of one or two patterns on three ranks; 3 mutually incoherent modes."""
    weak = [0.2 * np.roll(noisy.probe[0], shift, axis=0) for shift in (3, -3)]
    few = replace(noisy, probe=np.stack([noisy.probe[0], *weak])).select(np.arange(50, 66))
    config = RefineConfig(iterations=4, batch_size=2, positions=True, smoothness=10.0)

    @torch.inference_mode()
    def work(ranks: Ranks) -> Estimate:
        solver = _solver(few, config, ranks)
        for iteration in range(config.iterations):
            solver.iterate(iteration)
        return solver.state.estimate

    alone = work(Ranks())
    for made in in_ranks(work, 3):
        _close(made.object_, alone.object_, EXACT)
        _close(made.probe, alone.probe, EXACT)


@pytest.mark.parametrize("kept_bytes", [0, KEPT_BYTES], ids=["made anew", "kept"])
def test_each_rank_reads_its_own_patterns_alone(
    monkeypatch: pytest.MonkeyPatch, in_ranks: InRanks, noisy: Scan, kept_bytes: int
) -> None:
    """For the iterations; before them all look once through the counts."""
    monkeypatch.setattr(counted, "KEPT_BYTES", kept_bytes)
    config = RefineConfig(iterations=4, positions=True, positions_start=1)

    @torch.inference_mode()
    def work(ranks: Ranks) -> set[int]:
        tensors = ScanTensors(noisy)
        asked: set[int] = set()
        plain = tensors.amplitude_of

        def noted(index: Any) -> torch.Tensor:
            asked.update(np.arange(len(noisy))[index].tolist())
            return plain(index)

        tensors.amplitude_of = noted
        solver = _solver(noisy, config, ranks, tensors)
        for iteration in range(4):
            solver.iterate(iteration)
        return asked

    first, second = in_ranks(work)
    assert first == set(range(60))
    assert second == set(range(60, 121))


def test_an_interruption_keeps_the_state_of_all_patterns(in_ranks: InRanks, noisy: Scan) -> None:
    """After Ctrl-C on all ranks, the first one has what one process has, and one process goes on from it.

    In single precision the difference of one position can grow a thousandfold in an iteration of the late phase, so
    that the images at the end are compared in double precision, below.
    """
    config = RefineConfig(iterations=10, positions=True, positions_start=2)

    def work(ranks: Ranks) -> SolverInterrupted:
        def stop(done: int, *_: Any) -> None:
            if done == 6:
                raise KeyboardInterrupt

        with pytest.raises(SolverInterrupted) as stopped:
            _refined(noisy, config, ranks, on_iteration=stop)
        return stopped.value

    found, alone = in_ranks(work)[0].checkpoint, work(Ranks()).checkpoint
    assert found.tensors.keys() == alone.tensors.keys()
    for name in ("object", "probe", "positions_px", "power"):
        _close(found.tensors[name], alone.tensors[name])
    for name in ("object_velocity", "probe_velocity", "positions_velocity_px"):  # small differences of large numbers
        _close(found.tensors[name], alone.tensors[name], 100 * LIMIT)
    assert torch.equal(found.tensors["generator"], alone.tensors["generator"])
    whole = _refined(noisy, config, Ranks())
    resumed = _refined(noisy, config, Ranks(), checkpoint=found)
    assert len(resumed.deviance) == len(whole.deviance)
    assert resumed.deviance[-1] == pytest.approx(whole.deviance[-1], rel=100 * LIMIT)


@torch.inference_mode()
def test_one_process_goes_on_from_the_state_of_ranks(in_ranks: InRanks, noisy: Scan) -> None:
    config = RefineConfig(iterations=10, positions=True, positions_start=2)

    def iterated(solver: Solver, numbers: range) -> Solver:
        for iteration in numbers:
            solver.iterate(iteration)
        return solver

    def work(ranks: Ranks) -> dict[str, torch.Tensor]:
        with torch.inference_mode():
            return iterated(_solver(noisy, config, ranks), range(6)).snapshot()

    whole = iterated(_solver(noisy, config, Ranks()), range(10)).state.estimate
    other = _solver(noisy, config, Ranks())
    other.restore(in_ranks(work)[0])
    resumed = iterated(other, range(6, 10)).state.estimate
    _close(resumed.object_, whole.object_, EXACT)
    _close(resumed.positions_px, whole.positions_px, EXACT)


@pytest.mark.parametrize("common", ["object", "probe", "both"])
def test_ranks_share_scans_that_are_solved_together(in_ranks: InRanks, noisy: Scan, common: Common) -> None:
    """In double precision; the second rank has no pattern of the first scan."""
    scans = [noisy.select(np.arange(50)), noisy.select(np.arange(50, 121))]
    joined = joined_starts([flat_start(scan, torch.from_numpy(scan.probe)) for scan in scans], np.zeros((2, 2)), common)
    tensors = ScanTensors(joined_scan(scans, joined.start.positions_px))
    config = RefineConfig(iterations=8)
    frame = Frame.of_positions(joined.start.positions_px, 16, margin=2)
    start = estimate_of(joined.start, frame, torch.device("cpu"), joined.together)

    @torch.inference_mode()
    def work(ranks: Ranks) -> dict[str, np.ndarray]:
        exact = replace(start, object_=start.object_.to(torch.complex128), probe=start.probe.to(torch.complex128))
        solver = Solver(exact, tensors, config, DiffractionModel(), ranks, joined.together)
        for iteration in range(config.iterations):
            solver.iterate(iteration)
        return {key: value.numpy() for key, value in solver.snapshot().items() if key != "generator"}

    alone = work(Ranks())
    assert ("doses" in alone) == (common != "object")
    for made in in_ranks(work):
        for key, value in alone.items():
            if np.linalg.norm(value):
                _close(made[key], value, EXACT)
