"""What an earlier solve has left in the folder of the first rank, on all ranks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.api.solve import from_nothing
from ptychopinn.api.solver_work import Earlier, Task, iterated, work_in
from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.errors import RankError, ScanError
from ptychopinn.ranks import Ranks
from ptychopinn.simulation import simulate
from ptychopinn.solver import SolverInterrupted

InRanks = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def small() -> Scan:
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=1e5, seed=2))


def _task(scan: Scan) -> Task:
    return from_nothing(scan, Recipe().with_overrides(["reconstruction.refine.iterations=4"]), "cpu")


def _earlier(folder: Path, task: Task) -> Callable[[Ranks], Earlier]:
    """Only the first rank has the folder."""

    def work(ranks: Ranks) -> Earlier:
        own = work_in(folder, "solver_state", ("reconstruction.npz",), task) if ranks.is_first else None
        return Earlier.of(own, ranks)

    return work


def test_all_ranks_take_the_state_of_an_interrupted_solver(in_ranks: InRanks, small: Scan, tmp_path: Path) -> None:
    task = _task(small)

    def stop(done: int, *_: Any) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(SolverInterrupted) as stopped:
        iterated(task, task.tensors, None, stop)
    work_in(tmp_path, "solver_state", ("reconstruction.npz",), task).save(stopped.value)
    for found in in_ranks(_earlier(tmp_path, task)):
        assert found.image is None
        assert found.state is not None
        assert found.state.deviance == stopped.value.checkpoint.deviance
        assert torch.equal(found.state.tensors["object"], stopped.value.checkpoint.tensors["object"])


def test_all_ranks_take_a_finished_image(in_ranks: InRanks, small: Scan, tmp_path: Path) -> None:
    task = _task(small)
    work = work_in(tmp_path, "solver_state", ("reconstruction.npz",), task)
    image = work.described(iterated(task, task.tensors).reconstruction)
    image.save(tmp_path / "reconstruction.npz")
    for found in in_ranks(_earlier(tmp_path, task)):
        assert found.image is not None
        assert np.array_equal(found.image.object_, image.object_)
        assert found.state is None


def test_without_an_earlier_solve_all_begin(in_ranks: InRanks, small: Scan, tmp_path: Path) -> None:
    assert in_ranks(_earlier(tmp_path, _task(small))) == [Earlier(), Earlier()]


def test_a_damaged_state_ends_all_ranks(in_ranks: InRanks, small: Scan, tmp_path: Path) -> None:
    task = _task(small)
    (tmp_path / "checkpoints").mkdir()
    np.savez(tmp_path / "checkpoints/solver_state.npz", something=1)

    def work(ranks: Ranks) -> Exception:
        try:
            _earlier(tmp_path, task)(ranks)
        except (ScanError, RankError) as error:
            return error
        raise AssertionError("went on")

    first, second = in_ranks(work)
    assert isinstance(first, ScanError)
    assert str(second) == f"rank 0 of 2: {first}"
