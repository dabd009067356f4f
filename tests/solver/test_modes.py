"""Orthogonal probe modes: what they must be, and that nothing measurable depends on them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Estimate
from ptychopinn.solver import State, flat_start, refine
from ptychopinn.solver.modes import OrthogonalModes, mixed, orthogonal_mixture
from ptychopinn.solver.state import stage_of


def modes(count: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    """Modes that overlap, the weakest first."""
    draw = torch.Generator().manual_seed(1)
    strength = torch.arange(1, count + 1)[:, None, None]
    return (torch.randn(count, 16, 16, dtype=dtype, generator=draw) + 0.5) * strength


def overlaps(probe: Tensor) -> Tensor:
    """Gram matrix (M, M) without its diagonal, in units of the power of all modes."""
    gram = probe.flatten(1) @ probe.flatten(1).mH
    power = gram.diagonal().real.sum()
    return (gram - torch.diag(gram.diagonal())).abs() / power


def state_of(probe: Tensor) -> State:
    draw = torch.Generator().manual_seed(2)
    object_ = torch.exp(1j * torch.randn(40, 40, dtype=torch.float64, generator=draw)).to(probe.dtype)
    positions = torch.tensor([[12.3, 14.8], [20.0, 21.5]], dtype=torch.float64)
    config = RefineConfig(iterations=1)
    state = State(Estimate(object_, probe, positions), torch.ones(40, 40, dtype=torch.float64), config)
    state.begin(stage_of(0, config, can_distort=False))
    return state


def expected_photons(state: State) -> Tensor:
    estimate = state.estimate
    return DiffractionModel("probe")(estimate.object_, estimate.positions_px, estimate.probe)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_modes_become_orthogonal_sorted_and_give_the_same_photons(dtype: torch.dtype) -> None:
    state = state_of(modes(3, dtype))
    before, overlapping = expected_photons(state), overlaps(state.estimate.probe)
    assert overlapping.max() > 0.01
    OrthogonalModes().apply(state)
    assert overlaps(state.estimate.probe).max() < 1e-6
    power = state.estimate.probe.abs().square().sum((1, 2))
    assert (power.diff() < 0).all()
    error = (expected_photons(state) - before).abs().max() / before.max()
    assert error < 1e-6


def test_the_velocity_is_mixed_by_the_same_matrix() -> None:
    """A step after the constraint gives the photons that it gives before it."""
    state = state_of(modes(3))
    state.probe_velocity = 0.3 * modes(3).flip(0).conj()
    ahead = state_of(state.estimate.probe + state.probe_velocity)
    OrthogonalModes().apply(state)
    state.estimate.probe = state.estimate.probe + state.probe_velocity
    torch.testing.assert_close(expected_photons(state), expected_photons(ahead), rtol=1e-9, atol=1e-9)


def test_the_mixture_is_unitary_and_leaves_orthogonal_modes_alone() -> None:
    mixture = orthogonal_mixture(modes(4))
    torch.testing.assert_close(mixture @ mixture.mH, torch.eye(4, dtype=torch.complex128))
    once = mixed(modes(4), mixture)
    torch.testing.assert_close(orthogonal_mixture(once), torch.eye(4, dtype=torch.complex128), atol=1e-9, rtol=0)


def test_one_mode_and_a_kept_probe_stay_as_they_are() -> None:
    alone = state_of(modes(1))
    probe = alone.estimate.probe
    OrthogonalModes().apply(alone)
    assert alone.estimate.probe is probe
    kept = state_of(modes(3))
    kept.begin(stage_of(0, RefineConfig(probe=False), can_distort=False))
    OrthogonalModes().apply(kept)
    torch.testing.assert_close(kept.estimate.probe, modes(3), rtol=0, atol=0)


def refined(scan: Scan, probe: Tensor, **settings: object) -> tuple[Reconstruction, list[float]]:
    start = flat_start(scan, probe)
    made = refine(start, ScanTensors(scan), RefineConfig(iterations=12, smoothness=0, **settings))
    return made.reconstruction, made.deviance


def test_refined_modes_are_orthogonal_and_the_image_does_not_depend_on_it(noise_free: Callable[..., Scan]) -> None:
    scan = noise_free(modes=3)
    probe = torch.from_numpy(scan.probe)
    probe = torch.stack((probe[0], probe[1] + 0.3 * probe[0], probe[2] - 0.4j * probe[1]))
    on, deviance = refined(scan, probe)
    off, deviance_off = refined(scan, probe, orthogonal_modes=False)
    assert overlaps(torch.from_numpy(off.probe)).max() > 0.01
    assert overlaps(torch.from_numpy(on.probe)).max() < 1e-5
    assert np.all(np.diff(np.square(np.abs(on.probe)).sum((1, 2))) < 0)
    np.testing.assert_allclose(deviance, deviance_off, rtol=1e-3)
    assert np.abs(on.object_ - off.object_).max() < 1e-3


def test_results_with_one_mode_do_not_change(scan: Scan) -> None:
    probe = torch.from_numpy(scan.probe)
    on, deviance = refined(scan, probe)
    off, deviance_off = refined(scan, probe, orthogonal_modes=False)
    np.testing.assert_array_equal(on.object_, off.object_)
    np.testing.assert_array_equal(on.probe, off.probe)
    assert deviance == deviance_off


def test_a_start_with_another_mixture_gives_the_same_modes(noise_free: Callable[..., Scan]) -> None:
    """The mixture of the modes at the start cannot be seen in the result, up to a phase of each mode."""
    scan = noise_free(modes=2)
    probe = torch.from_numpy(scan.probe)
    c, s = np.cos(0.7), np.sin(0.7)
    turned = torch.stack((c * probe[0] + s * probe[1], c * probe[1] - s * probe[0]))
    shares = []
    for start in (probe, turned):
        image, _ = refined(replace(scan, probe=start.numpy()), start)
        shares.append(np.square(np.abs(image.probe)).sum((1, 2)))
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-3)
