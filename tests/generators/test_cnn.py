"""The U-Net: any square size, a silent start that can learn."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import resolve
from ptychopinn.generators.cnn import group_count

DOUBLE = ("0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias")


def make_net(levels: int = 3, width: int = 2, awake: bool = True) -> nn.Module:
    torch.manual_seed(0)
    net = resolve("cnn")(2, 2, GeneratorConfig(width=width, levels=levels))
    if awake:
        nn.init.normal_(net.head.weight, std=0.5)
    return net


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [8, 37, 64, 100, 128, 255, 256])
def test_the_output_has_the_size_of_the_input(size: int) -> None:
    output = make_net()(noise(1, 2, size, size))
    assert output.shape == (1, 2, size, size)
    assert output.abs().amin() < output.abs().amax()


@pytest.mark.parametrize(("size", "padded"), [(37, 40), (100, 104), (17, 24)])
def test_other_sizes_are_padded_with_zeros_at_the_end_and_cropped_back(size: int, padded: int) -> None:
    net, image = make_net(), noise(1, 2, size, size)
    whole = net(functional.pad(image, (0, padded - size, 0, padded - size)))
    assert whole.shape[-1] == padded
    torch.testing.assert_close(net(image), whole[..., :size, :size])


def test_a_pattern_smaller_than_the_pyramid_is_padded() -> None:
    assert make_net(levels=5)(noise(2, 2, 9, 9)).shape == (2, 2, 9, 9)


def test_the_first_output_is_zero() -> None:
    assert not make_net(awake=False)(noise(2, 2, 16, 16)).any()


def test_the_first_gradient_is_not_zero_and_the_second_reaches_every_layer() -> None:
    net, image, goal = make_net(awake=False), noise(2, 2, 16, 16), noise(2, 2, 16, 16)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (net(image) - goal).square().mean().backward()
        assert net.head.weight.grad is not None
        assert net.head.weight.grad.abs().max() > 0
        optimizer.step()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_every_level_doubles_the_channels() -> None:
    net = make_net(levels=3, width=4)
    assert [block[0].out_channels for block in net.encoder] == [4, 8, 16, 32]
    assert [block[0].out_channels for block in net.decoder] == [16, 8, 4]


def test_weights_have_the_names_that_bundles_hold() -> None:
    names = list(make_net(levels=1).state_dict())
    assert names == [
        *(f"encoder.{level}.{layer}" for level in (0, 1) for layer in DOUBLE),
        *(f"decoder.0.{layer}" for layer in DOUBLE),
        "head.weight",
        "head.bias",
    ]


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 1), (4, 1), (8, 2), (64, 16)])
def test_normalisation_groups_divide_the_channels(channels: int, groups: int) -> None:
    assert group_count(channels) == groups
