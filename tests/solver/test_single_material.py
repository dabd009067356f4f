"""A sample of one material: its penalty, how an image tells it, and what it is worth where photons are few."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.losses.single_material import material_direction, single_material_gradient
from ptychopinn.metrics import compare
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.solver import flat_start, refine

DIRECTION = complex(math.cos(1.9), math.sin(1.9))
"""Of a sample that absorbs where it delays: ln|O| falls while the phase rises."""


def thickness(*shape: int) -> Tensor:
    """Smooth and without symmetry."""
    rows, columns = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in shape), indexing="ij")
    return torch.sin(rows / 5) * torch.cos(columns / 7) + 0.3 * torch.sin(columns / 4 + rows / 9)


def one_material(*shape: int) -> Tensor:
    return torch.exp(DIRECTION * 0.6 * thickness(*shape))


def two_materials(height: int, width: int) -> Tensor:
    """Stripes of amplitude across those of phase."""
    rows, columns = torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64)
    return torch.polar(1 + 0.2 * torch.sin(rows / 4).unsqueeze(1), 0.5 * torch.sin(columns / 5).expand(height, width))


def test_an_image_tells_its_material_whatever_its_global_factor() -> None:
    object_ = one_material(60, 52)
    for factor in (1, 3 * np.exp(2.5j)):
        direction, correlation = material_direction(factor * object_, torch.ones(60, 52))
        assert direction == pytest.approx(DIRECTION, abs=0.01)
        assert correlation == pytest.approx(-1, abs=1e-3)


def test_noise_where_no_light_fell_does_not_count() -> None:
    object_, power = one_material(60, 52), torch.ones(60, 52, dtype=torch.float64)
    power[30:] = 0
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 30, 52)))
    object_[30:] = torch.complex(noise[0], noise[1])
    assert material_direction(object_, power)[0] == pytest.approx(DIRECTION, abs=0.01)


def test_independent_amplitude_and_phase_have_no_correlation() -> None:
    assert abs(material_direction(two_materials(64, 64), torch.ones(64, 64))[1]) < 0.2
    assert material_direction(torch.ones(16, 16, dtype=torch.complex64), torch.ones(16, 16))[1] == 0


def test_the_penalty_is_none_for_one_material() -> None:
    object_ = 2 * np.exp(1j) * one_material(20, 24)
    assert single_material_gradient(object_, DIRECTION).abs().max() < 1e-12
    assert single_material_gradient(object_, DIRECTION * 1j).abs().max() > 0.05


def test_the_penalty_is_the_derivative_of_its_sum() -> None:
    generator = torch.Generator().manual_seed(1)
    turned = 0.3 * torch.randn(2, 9, 7, generator=generator, dtype=torch.float64)
    object_ = (torch.exp(torch.complex(turned[0], turned[1]))).requires_grad_()
    weight = object_.detach().abs()
    total = torch.zeros((), dtype=torch.float64)
    for axis in (0, 1):
        last = object_.shape[axis] - 1
        after, before = object_.narrow(axis, 1, last), object_.narrow(axis, 0, last)
        logarithm = torch.complex((after.abs() / before.abs()).log(), (after / before).angle())
        across = (logarithm * DIRECTION.conjugate()).imag
        lesser = torch.minimum(weight.narrow(axis, 1, last), weight.narrow(axis, 0, last))
        total = total + (lesser.square() * across.square()).sum()
    (by_autograd,) = torch.autograd.grad(total, object_)
    torch.testing.assert_close(2 * single_material_gradient(object_.detach(), DIRECTION), by_autograd)


@pytest.fixture(scope="module")
def dim() -> Scan:
    """Few photons on a sample of one material."""
    drawn = simulate(SimulationConfig(object_size_px=80, probe_size_px=16, step_px=4, seed=2, photons_per_pattern=2000))
    object_ = torch.exp(DIRECTION * 0.35 * thickness(*drawn.object_guess.shape)).to(torch.complex64).numpy()
    patterns = record_patterns(object_, drawn.probe, drawn.positions_px, np.random.default_rng(3))
    return replace(drawn, patterns=patterns, object_guess=object_)


def test_few_photons_give_a_better_image_of_one_material(dim: Scan, caplog: pytest.LogCaptureFixture) -> None:
    def amplitude_psnr(config: RefineConfig) -> float:
        made = refine(flat_start(dim, torch.from_numpy(dim.probe)), ScanTensors(dim), config).reconstruction
        if config.single_material:
            told = made.metadata["refine"]
            assert told["material_angle_rad"] == pytest.approx(1.9, abs=0.15)
            assert told["material_correlation"] < -0.9
        return float(compare(made.object_, dim.object_guess, region=(14, 66, 14, 66))["psnr_amplitude"])

    plain = RefineConfig(iterations=30, smoothness=10)
    with caplog.at_level(logging.INFO, "ptychopinn"):
        assert amplitude_psnr(plain.changed(single_material=300)) > amplitude_psnr(plain) + 3
    assert "single-material" in caplog.text
    assert "several" not in caplog.text


def test_several_materials_are_doubted(dim: Scan, caplog: pytest.LogCaptureFixture) -> None:
    shape = dim.object_guess.shape
    object_ = two_materials(*shape).to(torch.complex64).numpy()
    patterns = record_patterns(object_, dim.probe, dim.positions_px, None)
    scan = replace(dim, patterns=patterns, object_guess=object_)
    config = RefineConfig(iterations=12, smoothness=0, single_material=1)
    refine(flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan), config)
    assert "several" in caplog.text
