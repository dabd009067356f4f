"""The one dictionary of architectures, and how others add to it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ptychopinn.config import GeneratorConfig, Recipe
from ptychopinn.errors import ConfigError
from ptychopinn.generators import GroupView, architectures, register, registry, resolve
from ptychopinn.generators.cnn import UNet
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
    monkeypatch.setattr(registry, "_ARCHITECTURES", dict(registry._ARCHITECTURES))


def test_cnn_is_registered() -> None:
    assert "cnn" in architectures()
    assert resolve("cnn") is UNet


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    register("pointwise", Pointwise)
    with pytest.raises(ConfigError, match=r"architecture = 'unet9' is not registered; choose one of cnn, pointwise"):
        resolve("unet9")


def test_a_recipe_with_an_unknown_name_is_refused_when_the_model_is_built() -> None:
    recipe = Recipe().with_overrides(["model.generator.architecture=unet9"])
    with pytest.raises(ConfigError, match="unet9"):
        build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="'cnn' is registered already"):
        register("cnn", Pointwise)
    assert resolve("cnn") is UNet


def test_a_registered_architecture_is_reached_from_a_recipe(make_view: Callable[..., GroupView]) -> None:
    register("pointwise", Pointwise)
    recipe = Recipe().with_overrides(["model.generator.architecture=pointwise", "data.group_size=4"])
    model = build_model(recipe, torch.ones(1, 16, 16, dtype=torch.complex64))
    assert isinstance(model.generator.network, Pointwise)
    assert model.generator(make_view()).shape == (2, 4, 16, 16)
