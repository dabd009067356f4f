"""The one dictionary of architectures, and how others add to it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig, Recipe
from ptychopinn.errors import ConfigError
from ptychopinn.generators import GroupView, architectures, compose, parts, register, register_part, registry, resolve
from ptychopinn.generators.cnn import NoBottleneck, ResidualBottleneck
from ptychopinn.generators.registry import build_network
from ptychopinn.models import build_model


class Pointwise(nn.Module):
    """An architecture from elsewhere."""

    def __init__(self, channels_in: int, channels_out: int, config: GeneratorConfig) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(image)


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone afterwards."""
    for table in (registry._ARCHITECTURES, *registry._PARTS.values()):
        monkeypatch.setattr(table, "entries", dict(table.entries))


def test_the_names_of_the_earlier_system_are_there() -> None:
    assert {"cnn", "fno", "fno_vanilla", "ffno", "hybrid", "hybrid_resnet", "neuralop_uno"} <= set(architectures())
    assert parts("encoder") == ["convolution", "factorised", "fourier", "fourier_pyramid"]
    assert parts("output") == ["amplitude_phase", "circular_phase", "polar", "real_imaginary"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    register("pointwise", Pointwise)
    with pytest.raises(ConfigError, match=r"architecture = 'unet9' is not registered; choose one of cnn, .*pointwise"):
        resolve("unet9")


@pytest.mark.parametrize("kind", ["input", "encoder", "bottleneck", "decoder", "output"])
def test_a_recipe_with_an_unknown_part_is_refused_with_the_known_ones(kind: registry.Kind) -> None:
    recipe = Recipe().with_overrides([f"model.generator.{kind}=mirror"])
    with pytest.raises(ConfigError, match=rf"generator.{kind} = 'mirror' is not registered; .*{parts(kind)[0]}"):
        build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))


def test_a_recipe_with_an_unknown_name_is_refused_when_the_model_is_built() -> None:
    recipe = Recipe().with_overrides(["model.generator.architecture=unet9"])
    with pytest.raises(ConfigError, match="unet9"):
        build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'cnn' is registered already"):
        register("cnn", Pointwise)
    assert resolve("cnn") is not Pointwise
    with pytest.raises(ConfigError, match="encoder 'fourier' is registered already"):
        register_part("encoder", "fourier", Pointwise)
    with pytest.raises(ConfigError, match="'head' is none of them"):
        register_part("head", "plain", Pointwise)  # type: ignore[arg-type]


def test_a_recipe_replaces_one_part_of_an_architecture() -> None:
    config = GeneratorConfig(architecture="hybrid", width=2, levels=1)
    changed = config.changed(bottleneck="residual")
    with_none = config.changed(bottleneck="none")
    same = GeneratorConfig(architecture="hybrid_resnet", width=2, levels=1)
    names = [list(build_network(2, 2, each).state_dict()) for each in (config, changed, same)]
    assert names[0] != names[1] == names[2]
    assert isinstance(build_network(2, 2, changed).bottleneck, ResidualBottleneck)
    assert isinstance(build_network(2, 2, with_none).bottleneck, NoBottleneck)


def test_a_part_for_an_architecture_without_parts_is_refused() -> None:
    register("pointwise", Pointwise)
    with pytest.raises(ConfigError, match=r"generator.decoder is set, but the architecture 'pointwise' is not made of"):
        build_network(2, 2, GeneratorConfig(architecture="pointwise", decoder="refiner"))


@pytest.mark.parametrize("encoder", parts("encoder"))
@pytest.mark.parametrize("decoder", parts("decoder"))
@pytest.mark.parametrize("bottleneck", parts("bottleneck"))
def test_parts_fit_together(encoder: str, bottleneck: str, decoder: str) -> None:
    config = GeneratorConfig(width=4, levels=2, blocks=1, spectral_modes=3)
    net = compose(encoder=encoder, bottleneck=bottleneck, decoder=decoder)(2, 3, config)
    nn.init.normal_(net.head.weight)
    image = torch.randn(1, 2, 11, 14, generator=torch.Generator().manual_seed(0))
    output = net(image)
    assert output.shape == (1, 3, 11, 14)
    output.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in net.parameters())


def test_a_registered_architecture_is_reached_from_a_recipe(make_view: Callable[..., GroupView]) -> None:
    register("pointwise", Pointwise)
    recipe = Recipe().with_overrides(["model.generator.architecture=pointwise", "data.group_size=4"])
    model = build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))
    assert isinstance(model.generator.network, Pointwise)
    assert model.generator(make_view()).shape == (2, 4, 16, 16)
