"""A solver that is interrupted goes on to the image of one that was not."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ScanError
from ptychopinn.solver import SolverCheckpoint, SolverInterrupted, flat_start, load_checkpoint, refine

SETTINGS = {
    "plain": RefineConfig(iterations=9),
    "modes, positions and distortion": RefineConfig(iterations=14, positions=True, positions_distortion=True),
    "single material": RefineConfig(iterations=9, single_material=100.0, edge_preserving=0.03),
}


@pytest.fixture(scope="module")
def tensors() -> ScanTensors:
    """121 patterns of 16 px and two modes, at recorded positions 0.3 px beside the true ones."""
    small = ["object_size_px=52", "probe_size_px=16", "step_px=3", "position_error_px=0.3", "probe_modes=2"]
    return ScanTensors(ptychopinn.simulate(overrides=[f"simulation.{setting}" for setting in small]).scan)


def interrupted(tensors: ScanTensors, config: RefineConfig, after: int) -> SolverInterrupted:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == after:
            raise KeyboardInterrupt

    start = flat_start(tensors.scan, torch.from_numpy(tensors.scan.probe))
    with pytest.raises(SolverInterrupted) as caught:
        refine(start, tensors, config, on_iteration=stop)
    return caught.value


@pytest.mark.parametrize("name", SETTINGS)
def test_an_interrupted_solver_goes_on_to_the_same_image(tensors: ScanTensors, tmp_path: Path, name: str) -> None:
    config = SETTINGS[name]
    start = flat_start(tensors.scan, torch.from_numpy(tensors.scan.probe))
    whole = refine(start, tensors, config)
    stopped = interrupted(tensors, config, after=config.iterations - 2)
    assert stopped.checkpoint.deviance == tuple(whole.deviance[:-2])
    assert not np.array_equal(stopped.image.object_, whole.reconstruction.object_)

    path = stopped.checkpoint.save(tmp_path / "checkpoints" / "state.npz", "this scan")
    checkpoint = load_checkpoint(path, "this scan")
    assert isinstance(checkpoint, SolverCheckpoint)
    more = refine(start, tensors, config, checkpoint=checkpoint)
    assert more.deviance == whole.deviance
    for key in ("object_", "probe", "positions_px", "coverage"):
        np.testing.assert_array_equal(getattr(more.reconstruction, key), getattr(whole.reconstruction, key))


def test_ctrl_c_inside_an_iteration_keeps_the_last_complete_one(
    tensors: ScanTensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RefineConfig(iterations=5)
    whole = interrupted(tensors, config, after=2)
    calls: list[int] = []
    steps = 8

    def stop(self: object, state: object, found: object, share: float) -> None:
        calls.append(1)
        if len(calls) == 2 * steps + 4:
            raise KeyboardInterrupt
        original(self, state, found, share)

    from ptychopinn.solver.steps import ProbeStep

    original = ProbeStep.apply
    monkeypatch.setattr(ProbeStep, "apply", stop)
    start = flat_start(tensors.scan, torch.from_numpy(tensors.scan.probe))
    with pytest.raises(SolverInterrupted) as caught:
        refine(start, tensors, config)
    assert len(caught.value.checkpoint.deviance) == 2
    np.testing.assert_array_equal(caught.value.image.object_, whole.image.object_)


def test_a_state_of_other_input_is_not_used(tensors: ScanTensors, tmp_path: Path) -> None:
    stopped = interrupted(tensors, RefineConfig(iterations=3), after=1)
    path = stopped.checkpoint.save(tmp_path / "state.npz", "this scan")
    assert load_checkpoint(path, "another scan") is None
    assert load_checkpoint(tmp_path / "missing.npz", "this scan") is None


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    np.savez(path, object=np.zeros(3))
    with pytest.raises(ScanError, match="must be a state of the solver, but 'given' is missing"):
        load_checkpoint(path, "this scan")
    path.write_bytes(b"junk")
    with pytest.raises(ScanError, match="cannot be read as an NPZ file"):
        load_checkpoint(path, "this scan")
