"""Fly scans: the forward model, its gradients, and an image from patterns that a moving sample made."""

import pytest
import torch
from torch import Tensor

from ptychopinn.config import ModelConfig, RefineConfig, SimulationConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ConfigError
from ptychopinn.losses import Poisson
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.fly import ExposurePath
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.physics.gradients import gradients
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start, refine

PATH = ExposurePath((1.5, -4.0), 4)
INDEX = torch.tensor([3, 0, 2])
SIZE = 16


def estimate(modes: int = 2) -> Estimate:
    """A compact beam without symmetry in the middle of its window."""
    draw = torch.Generator().manual_seed(3)

    def waves(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.complex128, generator=draw)

    axis = torch.arange(SIZE, dtype=torch.float64) - SIZE // 2
    window = torch.exp(-(axis[:, None].square() + (axis - 0.5).square()) / 4)
    positions = 12 + 9 * torch.rand(5, 2, dtype=torch.float64, generator=draw)
    smooth = torch.fft.ifft2(torch.fft.fft2(waves(modes, SIZE, SIZE)) * torch.fft.ifftshift(window))
    return Estimate(1 + 0.4 * waves(36, 38), 300 * window * smooth, positions)


def test_a_pattern_is_the_mean_of_those_along_the_path() -> None:
    now = estimate()
    steady, flying = DiffractionModel(background=0.3), DiffractionModel(background=0.3, path=PATH)
    along = [steady(now.object_, now.positions_px + offset, now.probe) for offset in PATH.offsets_px()]
    found = flying(now.object_, now.positions_px, now.probe)
    expected = torch.stack(along).mean(0)
    assert (found - expected).abs().max() < 1e-3 * expected.max()  # the beam wraps at the edges of its window
    assert (steady(now.object_, now.positions_px, now.probe) - expected).abs().max() > 0.05 * expected.max()


def test_the_sign_of_the_path_has_no_effect() -> None:
    now = estimate()
    one, other = (
        DiffractionModel(path=ExposurePath(path, 4))(now.object_, now.positions_px, now.probe)
        for path in ((1.5, -4.0), (-1.5, 4.0))
    )
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-9)


def test_energy_is_kept() -> None:
    now = estimate()
    photons = DiffractionModel(path=PATH)(torch.ones_like(now.object_), now.positions_px, now.probe)
    torch.testing.assert_close(photons.sum((-2, -1)), now.probe.abs().square().sum().expand(5), rtol=1e-10, atol=0)


def test_gradients_are_those_of_autograd() -> None:
    now = estimate()
    draw = torch.Generator().manual_seed(4)
    modes = now.probe[None] * torch.randn(2, 2, SIZE, SIZE, dtype=torch.complex128, generator=draw)
    weights = torch.randn(5, 2, dtype=torch.float64, generator=draw)
    now.relaxation = ProbeRelaxation(modes, weights)
    model = DiffractionModel(background=0.7, path=PATH)
    counts = torch.poisson(torch.full((3, SIZE, SIZE), 50.0, dtype=torch.float64), generator=draw)
    loss = Poisson().value_and_slope
    found = gradients(
        model,
        now,
        INDEX,
        Counted.of(model.propagator, counts),
        loss=loss,
        positions_curvature=True,
        relaxation=True,
    )
    leaves = [one.clone().requires_grad_() for one in (now.object_, now.probe, modes)]
    some, varied = now.positions_px[INDEX].clone().requires_grad_(), weights.clone().requires_grad_()
    probes = leaves[1] + ProbeRelaxation(leaves[2], varied).of(INDEX)
    total = loss(model(leaves[0], some, probes), counts)[0].sum()
    by_object, by_probe, by_modes, by_position, by_weights = torch.autograd.grad(total, [*leaves, some, varied])
    assert found.relaxation is not None
    torch.testing.assert_close(found.loss, total.detach(), rtol=1e-10, atol=0)
    for mine, theirs in (
        (found.object_, by_object / 2),
        (found.probe, by_probe / 2),
        (found.relaxation.modes, by_modes / 2),
        (found.positions, by_position),
        (found.relaxation.weights, by_weights[INDEX]),
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-7)

    def photons(where: Tensor) -> Tensor:
        return model(now.object_, where, now.probes(INDEX))

    jacobian = torch.autograd.functional.jacobian(lambda where: photons(where).sum(0), some.detach())
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, 1 / (photons(some.detach()) + SOLVER_PHOTONS)) / 2
    torch.testing.assert_close(found.positions_curvature, expected, rtol=1e-7, atol=1e-7)


def test_the_solver_sees_through_the_motion() -> None:
    """Patterns of a path of 6 px: with it the image is that of a scan at rest, without it far from it."""
    model = ModelConfig(fly_path_px=(2.0, -5.5), fly_steps=9)
    drawn = SimulationConfig(object_size_px=112, probe_size_px=32, step_px=5, photons_per_pattern=1e6, seed=5)
    scan = simulate(drawn, model)
    assert scan.object_guess is not None
    scores = []
    for given in (model, ModelConfig()):
        start, tensors = flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan)
        image = refine(start, tensors, RefineConfig(iterations=40), model=DiffractionModel.of(given)).reconstruction
        scores.append(compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"])
    assert scores[0] > 35
    assert scores[0] > scores[1] + 10


def test_it_is_carried_along() -> None:
    model = DiffractionModel(path=PATH)
    assert model.dimmed(0.5).path == PATH
    assert model.with_detector(1.0, 0.3).path == PATH


def test_the_near_field_is_refused() -> None:
    config = ModelConfig(propagation="near_field", fresnel_number=0.05, fly_path_px=(0.0, 3.0))
    with pytest.raises(ConfigError, match="fly scans are modelled in the far field only"):
        DiffractionModel.of(config)
    with pytest.raises(ValueError, match="far field only, not by near_field"):
        DiffractionModel(propagator=Fresnel(0.05), path=PATH)
    assert DiffractionModel.of(config.changed(fly_path_px=None)).path is None
