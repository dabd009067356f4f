"""How a network's output becomes an object: 1 at zero, finite gradients, and what each part means."""

import pytest
import torch

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators.outputs import OUTPUTS
from ptychopinn.generators.registry import build_network


def values(kind: str, scale: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(2)
    return scale * torch.randn(2, 3, OUTPUTS[kind].channels, 5, 4, generator=random)


STARTING = [kind for kind in OUTPUTS if kind != "polar"]
"""Outputs that training can start from; `polar` is for networks that bound amplitude and phase themselves."""


@pytest.mark.parametrize("kind", STARTING)
def test_zero_is_exactly_one(kind: str) -> None:
    patches = OUTPUTS[kind].patches(values(kind, 0))
    assert torch.equal(patches, torch.ones(2, 3, 5, 4, dtype=torch.complex64))


@pytest.mark.parametrize("kind", STARTING)
def test_every_channel_moves_the_object_from_the_start(kind: str) -> None:
    start = values(kind, 0).double().requires_grad_()
    goal = torch.full((2, 3, 5, 4), 0.6 - 0.3j, dtype=torch.complex128)
    (OUTPUTS[kind].patches(start) - goal).abs().square().sum().backward()
    assert start.grad is not None
    assert start.grad.isfinite().all()
    assert (start.grad.abs().amax((0, 1, 3, 4)) > 0.1).sum() >= 2


@pytest.mark.parametrize("kind", OUTPUTS)
def test_gradients_are_those_of_the_function(kind: str) -> None:
    given = values(kind, 0.7).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda raw: torch.view_as_real(OUTPUTS[kind].patches(raw)), given)


@pytest.mark.parametrize("kind", ["amplitude_phase", "circular_phase"])
def test_the_first_channel_is_an_amplitude_that_is_never_negative(kind: str) -> None:
    raw = values(kind, 0.5)
    raw[..., 0, :, :] = torch.tensor([-50.0, -1.0, 0.5, 30.0])
    amplitude = OUTPUTS[kind].patches(raw).abs()
    expected = torch.tensor([0.0, torch.e**-1, 1.5, 31.0]).expand_as(amplitude)
    torch.testing.assert_close(amplitude, expected, atol=1e-6, rtol=1e-5)


def test_polar_takes_amplitude_and_phase_as_they_are() -> None:
    raw = values("polar", 0.5)
    patches = OUTPUTS["polar"].patches(raw)
    torch.testing.assert_close(patches, raw[..., 0, :, :] * torch.exp(1j * raw[..., 1, :, :]))
    with pytest.raises(ConfigError, match="from which training cannot start; set it to amplitude_phase"):
        build_network(2, 2, GeneratorConfig(output="polar"))


def test_the_second_channel_is_the_phase() -> None:
    raw = values("amplitude_phase", 0.5)
    torch.testing.assert_close(OUTPUTS["amplitude_phase"].patches(raw).angle(), raw[..., 1, :, :])


def test_a_circular_phase_is_that_of_a_direction_and_has_bounded_gradients() -> None:
    raw = values("circular_phase", 0)
    raw[..., 1, :, :], raw[..., 2, :, :] = -1, 0.5
    patches = OUTPUTS["circular_phase"].patches(raw)
    torch.testing.assert_close(patches, torch.full_like(patches, 1j))
    nowhere = values("circular_phase", 0)
    nowhere[..., 1, :, :] = -1
    nowhere.requires_grad_()
    torch.view_as_real(OUTPUTS["circular_phase"].patches(nowhere)).sum().backward()
    assert nowhere.grad is not None
    assert nowhere.grad.abs().max() <= 1e3
