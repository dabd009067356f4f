"""How the object follows positions that move together, and what a run states of its positions."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.losses import data_loss
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import Gradients, gradients
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.solver import State, flat_start, refine
from ptychopinn.solver.coupling import Coupling
from ptychopinn.solver.distortion import displaced, with_limit
from ptychopinn.solver.position_report import position_report
from ptychopinn.solver.position_search import PositionSearch


@pytest.fixture(scope="module")
def scan() -> Scan:
    """100 noiseless patterns of 32 px."""
    drawn = simulate(SimulationConfig(object_size_px=84, probe_size_px=32, step_px=5, seed=3))
    return replace(drawn, patterns=record_patterns(drawn.object_guess, drawn.probe, drawn.positions_px, None))


@pytest.fixture
def state(scan: Scan) -> State:
    """At a smoothed object, so that the loss has a slope."""
    object_ = torch.from_numpy(scan.object_guess).to(torch.complex128)
    object_ = 0.6 * object_ + 0.2 * (object_.roll(1, 0) + object_.roll(1, 1))
    estimate = Estimate(object_, torch.from_numpy(scan.probe).to(torch.complex128), torch.from_numpy(scan.positions_px))
    return State(estimate, torch.ones(object_.shape, dtype=torch.float64), RefineConfig(iterations=10))


def stretched(positions: torch.Tensor) -> torch.Tensor:
    moves = (positions - positions.mean(0)) @ torch.tensor([[0.02, 0.01], [-0.004, -0.015]], dtype=positions.dtype)
    return moves - moves.mean(0)


def found_by(state: State, scan: Scan, object_: torch.Tensor, positions: torch.Tensor) -> Gradients:
    model = DiffractionModel()
    return gradients(
        model,
        Estimate(object_, state.estimate.probe, positions),
        torch.arange(len(positions)),
        Counted.of(model.propagator, torch.from_numpy(scan.counts().astype(np.float64))),
        loss=data_loss("poisson").value_and_slope,
        positions_curvature=True,
    )


def test_the_joint_gradient_is_the_slope_of_the_loss_along_moves_of_positions_and_object(
    state: State, scan: Scan
) -> None:
    """In a central difference."""
    now, positions = state.estimate.object_, state.estimate.positions_px
    coupling, found = Coupling(state), found_by(state, scan, now, positions)
    draw = torch.Generator().manual_seed(0)
    for moves in (stretched(positions), 0.1 * torch.randn(len(positions), 2, dtype=torch.float64, generator=draw)):
        ahead, behind = (
            float(found_by(state, scan, displaced(now[None], t * coupling.field(moves))[0], positions + t * moves).loss)
            for t in (0.01, -0.01)
        )
        slope = (ahead - behind) / 0.02
        joint = coupling.joint_gradient(found.positions, found.object_)
        assert float((joint * moves).sum()) == pytest.approx(slope, rel=0.03)
    assert float((found.positions * stretched(positions)).sum()) != pytest.approx(slope, rel=0.5)


def test_the_object_follows_a_stretch_and_no_random_moves(state: State) -> None:
    coupling, positions = Coupling(state), state.estimate.positions_px
    moves = stretched(positions)
    middle = (positions - positions.mean(0)).norm(dim=-1) < 12
    where = positions[middle].round().long()
    followed = coupling.field(moves)[where[:, 0], where[:, 1]]
    assert (followed - moves[middle]).abs().max() < 0.3 * moves.abs().max()
    random = torch.randn(moves.shape, dtype=moves.dtype, generator=torch.Generator().manual_seed(1))
    assert (
        coupling.field(random)[where[:, 0], where[:, 1]].square().mean().sqrt()
        < 0.6 * random[middle].square().mean().sqrt()
    )


def test_a_stretch_has_a_small_curvature(state: State, scan: Scan) -> None:
    """The same slope moves positions much farther where the object follows them."""
    positions = state.estimate.positions_px
    curvature = found_by(state, scan, state.estimate.object_, positions).positions_curvature
    assert curvature is not None
    single = float(curvature.diagonal(dim1=-2, dim2=-1).mean())
    smooth = stretched(positions)
    random = torch.randn(smooth.shape, dtype=smooth.dtype, generator=torch.Generator().manual_seed(1))
    far, near = (
        float(Coupling(state).solution(x, curvature, 0.0, 1e-3).norm() * single / x.norm())
        for x in (smooth, random - random.mean(0))
    )
    assert far > 3 * near


def test_scale_and_shear_are_found_without_a_distortion(scan: Scan) -> None:
    moves = stretched(torch.from_numpy(scan.positions_px)).numpy()
    wrong = replace(scan, positions_px=scan.positions_px + moves)
    config = RefineConfig(iterations=50, smoothness=0, positions=True)
    made = refine(flat_start(wrong, torch.from_numpy(scan.probe)), ScanTensors(wrong), config).reconstruction
    left = made.positions_px - scan.positions_px
    left -= left.mean(0)
    assert np.sqrt(np.square(left).mean()) < 0.15 * np.sqrt(np.square(moves).mean())
    entry = made.metadata["refine"]["moved_positions"]
    assert entry["scale_percent"] == pytest.approx(-0.25, abs=0.1)
    assert entry["at_limit"] == 0
    assert 0 < entry["deviation_px"] < 0.1


def test_the_report_takes_moves_apart() -> None:
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 100, (400, 2))
    turn = np.array([[0.01, 0.003], [-0.003, 0.01]])
    path = np.linspace(-1, 1, 400)[:, None] * [1.5, -0.5]
    moved = (start - start.mean(0)) @ turn.T + path + rng.normal(0, 0.05, start.shape) + [7, -3]
    entry = position_report(start, start + moved, limit_px=100, deviation_px=0.05)
    assert entry["scale_percent"] == pytest.approx(1.0, abs=0.3)
    assert entry["rotation_mrad"] == pytest.approx(3.0, abs=3.0)
    assert entry["drift_px"] == pytest.approx([2.7, -0.9], abs=0.2)
    assert entry["deviation_px"] == 0.05
    still = position_report(start, start.copy(), limit_px=1, deviation_px=None)
    assert still["moved_rms_px"] == still["shear_mrad"] == still["at_limit"] == 0


def test_positions_at_the_limit_are_warned_of(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    errors = np.random.default_rng(1).normal(0, 1, scan.positions_px.shape)
    wrong = replace(scan, positions_px=scan.positions_px + errors)
    start = flat_start(wrong, torch.from_numpy(scan.probe))
    with caplog.at_level(logging.WARNING, "ptychopinn.reconstruction"):
        refine(start, ScanTensors(wrong), RefineConfig(iterations=8, positions=True, positions_limit_px=0.1))
    assert "positions moved as far as they may, 0.1 px; raise reconstruction.refine.positions_limit_px" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "ptychopinn.reconstruction"):
        refine(start, ScanTensors(wrong), RefineConfig(iterations=8, positions=True))
    assert "as far as they may" not in caplog.text


def test_the_limit_follows_prior_and_pattern() -> None:
    limits = [
        with_limit(RefineConfig(positions_prior_px=prior), width).positions_limit_px
        for prior, width in ((1, 64), (0.1, 64), (4, 64), (1, 128))
    ]
    assert limits == pytest.approx([16, 1.6, 16, 16])
    assert with_limit(RefineConfig(positions_limit_px=3), 64).positions_limit_px == 3


def test_a_search_finds_positions_that_are_wrong_by_several_pixels(scan: Scan) -> None:
    """Five patterns, where the object is known; a mask hides nothing that decides."""
    object_ = torch.nn.functional.pad(torch.from_numpy(scan.object_guess), (12, 12, 12, 12), value=1)
    probe, right = torch.from_numpy(scan.probe), torch.from_numpy(scan.positions_px) + 12
    wrong = right.clone()
    wrong[40:45] += torch.tensor([[4.0, -2], [-4, 2], [2, 4], [0, 4], [-4, -2]], dtype=right.dtype)
    counts = torch.from_numpy(scan.counts())
    model, measured = DiffractionModel(), torch.ones(scan.pattern_size, scan.pattern_size, dtype=torch.bool)
    measured[::7] = False
    config = RefineConfig(iterations=40, positions=True, positions_prior_px=2.5, positions_limit_px=6)
    search = PositionSearch(
        wrong, config, lambda _, there: model(object_, there, probe), lambda index: (counts[index], measured)
    )
    moved = search.found(wrong)
    left = moved - right - (moved - right).median(0).values
    assert left[40:45].abs().max() < 0.2
    assert left.abs().max() < 1.5


def test_positions_are_searched_only_with_a_wide_prior() -> None:
    start = torch.zeros(4, 2, dtype=torch.float64)

    def due(config: RefineConfig) -> list[int]:
        search = PositionSearch(start, config, lambda _, there: there, lambda index: (index, None))
        return [iteration for iteration in range(config.iterations) if search.is_due(iteration)]

    wide = RefineConfig(iterations=40, positions=True, positions_prior_px=4)
    assert due(wide) == [4, 7, 10, 12, 20]
    assert due(wide.changed(positions_start=20)) == [22, 23, 25, 26, 30]
    for other in ({"positions_prior_px": 1.0}, {"positions": False}, {"object": False}, {"positions_distortion": True}):
        assert due(wide.changed(**other)) == []
