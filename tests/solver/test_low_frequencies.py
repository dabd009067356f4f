"""The step of the slowly varying phase: how fast it goes, where it ends, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.metrics import compare
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.gradients import TiltResponse
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.solver import flat_start, refine
from ptychopinn.solver.low_frequencies import LARGEST_CHANGE, LowFrequencyPhase
from ptychopinn.solver.penalties import penalties_of
from ptychopinn.solver.state import State, stage_of


@pytest.fixture(scope="module")
def slow() -> Scan:
    """A phase that varies by 2.4 rad over the scan, another way along each axis, under a zone plate's beam."""
    config = SimulationConfig(
        object_kind="siemens_star", probe_kind="zone_plate", object_size_px=160, probe_size_px=32, step_px=5, seed=4
    )
    drawn = simulate(config)
    y, x = np.mgrid[:160, :160] / 160 - 0.5
    wave = 1.2 * np.sin(2 * np.pi * (0.9 * y + 0.4 * x)) - 0.5 * np.cos(2 * np.pi * 1.3 * x)
    truth = (drawn.object_guess * np.exp(1j * wave)).astype(np.complex64)
    patterns = record_patterns(truth, drawn.probe, drawn.positions_px, np.random.default_rng(1))
    return replace(drawn, object_guess=truth, patterns=patterns)


def phase_quality(scan: Scan, **settings: float) -> float:
    """PSNR of the phase after 15 iterations, dB."""
    config = RefineConfig(iterations=15, **settings)
    made = refine(flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan), config).reconstruction
    return compare(made.object_, scan.object_guess, mask=made.covered, region=(30, 130, 30, 130))["psnr_phase"]


def test_slow_phase_comes_in_few_iterations(slow: Scan) -> None:
    with_step, without = phase_quality(slow), phase_quality(slow, low_frequency_step=0)
    print(f"phase with / without the step: {with_step:.2f} / {without:.2f} dB")
    assert with_step > without + 6


def state_of(scan: Scan, gradient: torch.Tensor) -> State:
    """In the second iteration, with a gradient gathered."""
    object_ = torch.from_numpy(scan.object_guess)
    estimate = Estimate(object_, torch.from_numpy(scan.probe), torch.from_numpy(scan.positions_px))
    state = State(estimate, torch.ones(object_.shape), RefineConfig(iterations=10))
    state.begin(stage_of(1, RefineConfig(iterations=10), can_distort=False))
    state.object_velocity = 0.1 * object_
    state.gathered.object_ = gradient * object_
    return state


def step_of(state: State, settings: RefineConfig) -> torch.Tensor:
    """(Y, X), rad: by how much the object was turned."""
    before = state.estimate.object_
    response = TiltResponse(torch.diag(torch.tensor([2.0, 8.0])), torch.diag(torch.tensor([20.0, 20.0])))
    LowFrequencyPhase(settings, penalties_of(settings), lambda: response).apply(state)
    return (state.estimate.object_ * before.conj()).angle()


def test_a_step_goes_down_along_each_axis_by_its_own_curvature(slow: Scan) -> None:
    """The gradient 2 Im(conj(O) dL/dO*) of cosines over the canvas, divided by W |k|^2 C and nearly nothing more."""
    settings = RefineConfig(smoothness=0)
    quiet = replace(slow, object_guess=np.ones((320, 320), np.complex64))
    y, x = np.mgrid[:320, :320] + 0.5
    k = np.pi / 320
    for wave, curvature in ((np.cos(k * y), 2.0), (np.cos(k * x), 8.0)):
        turned = step_of(state_of(quiet, torch.from_numpy(1e-5j * wave).to(torch.complex64)), settings)
        wanted = -2e-5 * wave / (curvature * k**2)
        np.testing.assert_allclose(
            turned.numpy()[20:-20, 20:-20], wanted[20:-20, 20:-20], atol=0.06 * np.abs(wanted).max()
        )


def test_penalties_of_differences_shorten_a_step(slow: Scan) -> None:
    quiet = replace(slow, object_guess=np.ones((320, 320), np.complex64))
    wave = torch.from_numpy(1e-5j * np.cos(np.pi / 320 * (np.mgrid[:320, :320][0] + 0.5))).to(torch.complex64)
    free, stiff = (step_of(state_of(quiet, wave), RefineConfig(smoothness=weight)).abs().max() for weight in (0.0, 1.0))
    assert float(stiff) == pytest.approx(float(free) / 2, rel=0.05)  # 2 w |k|^2 beside C |k|^2 = 2 |k|^2


def test_velocity_turns_along_and_modulus_and_mean_stay(slow: Scan) -> None:
    generator = torch.Generator().manual_seed(0)
    gradient = 1e-3 * torch.randn(160, 160, dtype=torch.complex64, generator=generator)
    state = state_of(slow, gradient)
    turned = step_of(state, RefineConfig(smoothness=0))
    assert turned.abs().max() > 1e-3
    assert abs(float(turned.mean())) < 1e-3 * float(turned.abs().max())
    torch.testing.assert_close(state.object_velocity, 0.1 * state.estimate.object_)
    np.testing.assert_allclose(state.estimate.object_.abs().numpy(), np.abs(slow.object_guess), rtol=1e-5)


def test_a_step_is_limited(slow: Scan) -> None:
    """A gradient that a wrong geometry may give."""
    wave = torch.from_numpy(1e3j * np.cos(np.pi / 160 * (np.mgrid[:160, :160][0] + 0.5))).to(torch.complex64)
    state = state_of(slow, wave)
    before = state.estimate.object_
    step_of(state, RefineConfig(smoothness=0))
    turn = state.estimate.object_ * before.conj()
    slope = (turn[1:] * turn[:-1].conj()).angle()
    assert float(slope.square().mean().sqrt()) * np.sqrt(20) < 1.1 * LARGEST_CHANGE
    assert float(slope.abs().max()) > 0.01
