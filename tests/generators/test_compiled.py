"""A compiled network gives the same, and where the compilation fails the network runs as it is and the log says so."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ptychopinn.generators import GroupView, SinglePass
from ptychopinn.generators.compiled import compile_network

MakeView = Callable[..., GroupView]
MakeGenerator = Callable[..., SinglePass]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def gradients(generator: SinglePass, view: GroupView) -> list[torch.Tensor]:
    generator.zero_grad()
    (generator(view) - 1j).abs().square().sum().backward()
    return [value.grad.clone() for value in generator.parameters() if value.grad is not None]


@pytest.mark.slow
def test_a_compiled_network_gives_the_same(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.GELU())
    image = torch.randn(2, 2, 8, 8)
    expected = network(image)
    compile_network(network)
    made = network(image)
    made.sum().backward()
    torch.testing.assert_close(made, expected)
    assert network[0].weight.grad is not None
    assert network._compiled_call_impl is not None
    assert warnings_of(caplog) == []


def test_a_failed_compilation_is_said_once_and_the_network_runs(
    make_view: MakeView,
    make_generator: MakeGenerator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(function: Any, **options: Any) -> Any:
        def call(*arguments: Any) -> Any:
            raise RuntimeError("no triton here\nand more")

        return call

    view, generator = make_view(), make_generator()
    expected = gradients(generator, view)
    monkeypatch.setattr(torch, "compile", broken)
    generator.compile_networks()
    for _ in range(2):
        for made, other in zip(gradients(generator, view), expected, strict=True):
            assert torch.equal(made, other)
    said = "training.compile: the network runs without torch.compile, which failed: RuntimeError: no triton here"
    assert warnings_of(caplog) == [said]


def test_an_error_of_the_network_itself_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise ValueError("7 channels")

    network = Wrong()
    compile_network(network)
    with pytest.raises(ValueError, match="7 channels"):
        network(torch.ones(1))
    assert warnings_of(caplog) == []


def test_the_mode_is_passed_on(make_generator: MakeGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    monkeypatch.setattr(torch, "compile", lambda function, mode: modes.append(mode) or function)
    generator = make_generator()
    for mode in ("default", "reduce-overhead", "max-autotune"):
        generator.compile_networks(mode)
    assert modes == [None, "reduce-overhead", "max-autotune"]
