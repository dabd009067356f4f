"""Orthogonal probe relaxation: gradients, the rules that fix what probe and modes can exchange, and the image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.losses import Poisson
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import gradients
from ptychopinn.physics.likelihood import SOLVER_PHOTONS
from ptychopinn.physics.relaxation import ProbeRelaxation
from ptychopinn.simulation import simulate
from ptychopinn.solver import SolverInterrupted, flat_start, photons_of, refine
from ptychopinn.solver.relaxation import decorrelating

SETTINGS = {"object_size_px": 120, "probe_size_px": 32, "step_px": 5, "photons_per_pattern": 1e5, "seed": 11}
VARYING = {"probe_relaxation": 1, "probe_relaxation_power": 0.04}
INDEX = torch.tensor([4, 0, 2])
SIZE = 8


@pytest.fixture(scope="module")
def steady() -> Scan:
    return simulate(SimulationConfig(**SETTINGS))


@pytest.fixture(scope="module")
def varying() -> Scan:
    return simulate(SimulationConfig(**SETTINGS, **VARYING))


def solved(scan: Scan, modes: int, **settings: object) -> Reconstruction:
    config = RefineConfig(iterations=40, probe_relaxation=modes).changed(**settings)
    return refine(flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan), config).reconstruction


@pytest.fixture(scope="module")
def image(varying: Scan) -> Reconstruction:
    return solved(varying, 1)


def amplitude_db(image: Reconstruction, scan: Scan) -> float:
    assert scan.object_guess is not None
    return compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"]


def varying_part(image: Reconstruction) -> NDArray[np.complex128]:
    assert image.relaxation_modes is not None
    assert image.relaxation_weights is not None
    return image.relaxation_weights @ image.relaxation_modes.reshape(len(image.relaxation_modes), -1)


def estimate() -> Estimate:
    """Two incoherent modes that vary together by two others; no symmetry anywhere."""
    draw = torch.Generator().manual_seed(3)

    def waves(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.complex128, generator=draw)

    low, high = torch.tensor([5.0, 5.0]), torch.tensor([16.0, 19.0])
    positions = low + (high - low) * torch.rand(5, 2, dtype=torch.float64, generator=draw)
    weights = torch.randn(5, 2, dtype=torch.float64, generator=draw)
    relaxation = ProbeRelaxation(waves(2, 2, SIZE, SIZE), weights)
    factors = torch.tensor([0.8, 1.1, 1.3, 0.9, 0.9], dtype=torch.float64)
    return Estimate(1 + 0.4 * waves(22, 25), 4 * waves(2, SIZE, SIZE), positions, factors, relaxation)


@pytest.mark.parametrize("blur_px", [0.0, 0.6])
def test_gradients_are_those_of_autograd(blur_px: float) -> None:
    now = estimate()
    assert now.relaxation is not None
    assert now.intensities is not None
    model = DiffractionModel(background=0.7, blur_px=blur_px)
    draw = torch.Generator().manual_seed(4)
    counts = torch.poisson(torch.full((3, SIZE, SIZE), 900.0, dtype=torch.float64), generator=draw)
    measured = torch.rand(3, SIZE, SIZE, generator=draw) > 0.2
    loss = Poisson().value_and_slope
    seen = Counted.of(model.propagator, counts, measured)
    found = gradients(model, now, INDEX, seen, loss=loss, relaxation=True)
    assert found.relaxation is not None

    leaves = [one.clone().requires_grad_() for one in (now.object_, now.probe, now.relaxation.modes)]
    weights = now.relaxation.weights.clone().requires_grad_()
    varied = Estimate(leaves[0], leaves[1], now.positions_px, now.intensities, ProbeRelaxation(leaves[2], weights))
    photons = model(leaves[0], now.positions_px[INDEX], varied.probes(INDEX), now.intensities[INDEX])
    total = (loss(photons, counts)[0] * measured).sum()
    by_object, by_probe, by_modes, by_weights = torch.autograd.grad(total, [*leaves, weights])
    torch.testing.assert_close(found.loss, total.detach(), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.relaxation.weights, by_weights[INDEX], rtol=1e-8, atol=1e-8)
    if blur_px == 0:  # else waves beside dark pixels take shorter steps, see `_Detector.spread`
        torch.testing.assert_close(found.object_, by_object / 2, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(found.probe, by_probe / 2, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(found.relaxation.modes, by_modes / 2, rtol=1e-8, atol=1e-8)

    def photons_with(some: Tensor) -> Tensor:
        assert now.relaxation is not None
        assert now.intensities is not None
        whole = now.relaxation.weights.index_put((INDEX,), some)
        probes = now.probe + ProbeRelaxation(now.relaxation.modes, whole).of(INDEX)
        return model(now.object_, now.positions_px[INDEX], probes, now.intensities[INDEX])

    jacobian = torch.autograd.functional.jacobian(lambda some: photons_with(some).sum(0), weights[INDEX].detach())
    weight = measured / (photons.detach() + SOLVER_PHOTONS)
    expected = torch.einsum("hwna,hwnb,nhw->nab", jacobian, jacobian, weight) / 2
    torch.testing.assert_close(found.relaxation.curvature, expected, rtol=1e-8, atol=1e-8)


def test_gathering_is_the_adjoint_of_combining() -> None:
    known = estimate().relaxation
    assert known is not None
    waves = torch.randn(3, 2, SIZE, SIZE, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    left = (waves.conj() * known.of(INDEX)).sum()
    right = (known.gathered(waves, INDEX).conj() * known.modes).sum()
    torch.testing.assert_close(left, right, rtol=1e-12, atol=0)


def test_decorrelated_modes_and_weights_vary_the_probe_alike() -> None:
    known = estimate().relaxation
    assert known is not None
    of_modes, of_weights = decorrelating(known.modes, known.weights)
    modes = (of_modes.to(known.modes) @ known.modes.flatten(1)).view_as(known.modes)
    weights = known.weights @ of_weights
    every = torch.arange(5)
    torch.testing.assert_close(ProbeRelaxation(modes, weights).of(every), known.of(every), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(weights.mT @ weights / 5, torch.eye(2, dtype=torch.float64), rtol=0, atol=1e-8)
    flat = modes.flatten(1)
    products = (flat.conj() @ flat.mT).real
    assert products[0, 0] > products[1, 1]
    assert abs(products[0, 1]) < 1e-8 * products[0, 0]


def test_a_varying_probe_is_found(steady: Scan, varying: Scan, image: Reconstruction) -> None:
    """Without it the image is 8 dB or more below that of a steady beam; with it near it."""
    assert amplitude_db(image, varying) > amplitude_db(solved(varying, 0), varying) + 8
    assert amplitude_db(image, varying) > amplitude_db(solved(steady, 0), steady) - 2
    truth = np.array(varying.metadata["true_relaxation_weights"])[:, 0]
    assert image.relaxation_weights is not None
    assert abs(np.corrcoef(truth, image.relaxation_weights[:, 0])[0, 1]) > 0.97
    assert image.metadata["refine"]["probe_relaxation"] == pytest.approx(0.04 / 1.04, rel=0.15)


def test_what_can_be_exchanged_is_fixed(varying: Scan, image: Reconstruction) -> None:
    assert image.relaxation_modes is not None
    assert image.relaxation_weights is not None
    assert np.abs(image.relaxation_weights.mean(0)).max() < 1e-6
    assert np.square(image.relaxation_weights).mean(0) == pytest.approx(1, abs=1e-3)
    probe, mode = image.probe.ravel(), image.relaxation_modes[0].ravel()
    assert abs(np.vdot(probe, mode)) < 1e-4 * np.linalg.norm(probe) * np.linalg.norm(mode)
    held = np.square(np.abs(varying.probe), dtype=np.float64).sum()
    assert image.beam_photons == pytest.approx(held, rel=1e-4)


def test_a_mode_without_need_costs_little(steady: Scan) -> None:
    assert amplitude_db(solved(steady, 1), steady) > amplitude_db(solved(steady, 0), steady) - 0.5


def test_a_probe_that_does_not_vary_has_no_modes(steady: Scan) -> None:
    assert solved(steady, 0).relaxation_modes is None


def test_the_predicted_photons_hold_the_varying_part(varying: Scan, image: Reconstruction) -> None:
    """Without the weights the patterns are missed by far more than their counting noise."""
    tensors = ScanTensors(varying)
    counts = varying.patterns.astype(np.float64)
    steady = replace(image, relaxation_modes=None, relaxation_weights=None)
    with_it, without = (np.square(photons_of(one, tensors).numpy() - counts).sum() for one in (image, steady))
    assert with_it < 0.5 * without


def test_several_incoherent_modes_vary_together(varying: Scan) -> None:
    found = solved(replace(varying, probe=np.repeat(varying.probe, 2, 0) * np.float32([[[0.99]], [[0.14]]])), 1)
    assert found.relaxation_modes is not None
    assert found.relaxation_modes.shape == (1, 2, 32, 32)
    assert amplitude_db(found, varying) > 25


def test_an_interrupted_run_goes_on_to_the_same_image(varying: Scan, image: Reconstruction) -> None:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 17:
            raise KeyboardInterrupt

    start, tensors = flat_start(varying, torch.from_numpy(varying.probe)), ScanTensors(varying)
    config = RefineConfig(iterations=40, probe_relaxation=1)
    with pytest.raises(SolverInterrupted) as caught:
        refine(start, tensors, config, on_iteration=stop)
    resumed = refine(start, tensors, config, checkpoint=caught.value.checkpoint).reconstruction
    assert np.array_equal(resumed.object_, image.object_)
    assert np.array_equal(varying_part(resumed), varying_part(image))


def test_a_file_holds_modes_and_weights(image: Reconstruction, tmp_path: Path) -> None:
    read = Reconstruction.load(image.save(tmp_path / "reconstruction.npz"))
    assert np.array_equal(varying_part(read), varying_part(image))
    assert image.relaxation_weights is not None
    some = image.at_positions(np.array([3, 1]))
    assert np.array_equal(some.relaxation_weights, image.relaxation_weights[[3, 1]])
    with pytest.raises(ScanError, match="relaxation_weights has shape"):
        replace(image, relaxation_weights=image.relaxation_weights[:3])
    with pytest.raises(ScanError, match="must be given together"):
        replace(image, relaxation_weights=None)


def test_it_needs_object_and_probe() -> None:
    said = "must be 0 where object or probe is false, got 1; set object and probe to true, or probe_relaxation=0"
    with pytest.raises(ConfigError, match=said):
        RefineConfig().changed(probe_relaxation=1, probe=False)


def test_the_simulated_seed_keeps_object_and_positions(steady: Scan, varying: Scan) -> None:
    assert np.array_equal(steady.positions_px, varying.positions_px)
    assert np.array_equal(np.asarray(steady.object_guess), np.asarray(varying.object_guess))
    assert not np.array_equal(steady.patterns, varying.patterns)
