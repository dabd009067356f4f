"""Every registered architecture of parts: any size, a silent start that can learn, export, both precisions."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators import GroupView, SinglePass, architectures, resolve
from ptychopinn.generators.registry import Composition

NAMES = [name for name in architectures() if isinstance(resolve(name), Composition)]


def make_net(name: str, awake: bool = True, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    small = {"width": 4, "levels": 2, "blocks": 2, "spectral_modes": 3, **settings}
    net = resolve(name)(2, 3, GeneratorConfig.model_validate({"architecture": name, **small}))
    if awake:
        nn.init.normal_(net.head.weight, std=0.5)
    return net


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (5, 4), (16, 16), (37, 30), (64, 64)])
def test_the_output_has_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    output = make_net(name)(noise(2, 2, *size))
    assert output.shape == (2, 3, *size)
    assert output.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_first_output_is_zero_and_the_second_gradient_reaches_every_layer(name: str) -> None:
    net, image, goal = make_net(name, awake=False), noise(2, 2, 16, 16), noise(2, 3, 16, 16)
    assert not net(image).any()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (net(image) - goal).square().mean().backward()
        optimizer.step()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in net.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_the_scale_of_the_features_is_kept(name: str) -> None:
    """At the usual size: neither faint nor bright at the start, so that one learning rate fits all."""
    net = make_net(name, width=8, levels=3, blocks=4, spectral_modes=12)
    features: list[Tensor] = []
    net.head.register_forward_pre_hook(lambda module, given: features.append(given[0]))
    net(noise(2, 2, 64, 64))
    assert 0.3 < float(features[0].detach().std()) < 4


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_network_gives_the_same(name: str) -> None:
    net, image = make_net(name).eval(), noise(2, 2, 15, 16)
    exported = torch.export.export(net, (image,)).module()
    torch.testing.assert_close(exported(image), net(image))


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_stays_near_float32(name: str, make_view: Callable[..., GroupView]) -> None:
    view, config = make_view(), GeneratorConfig(architecture=name, width=4, levels=2, blocks=2, spectral_modes=3)
    patches = []
    for precision in (torch.float32, torch.bfloat16):
        torch.manual_seed(4)
        generator = SinglePass(config, 4, precision)
        nn.init.normal_(generator.network.head.weight, std=0.1)
        patches.append(generator(view))
    exact, rough = patches
    assert 0 < float(((rough - exact).abs().mean() / (exact - 1).abs().mean()).detach()) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_fixes_the_weights(name: str) -> None:
    first, again = make_net(name).state_dict(), make_net(name).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
