"""`ptycho_torch.generators`: the registry of the core under the earlier names."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ptychopinn
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.config.to_recipe import recipe_of
from ptycho_torch import generators
from ptycho_torch.config_factory import torch_configs
from ptycho_torch.generators.cnn import CnnGenerator
from ptycho_torch.generators.fno import CascadedFNOGenerator, FnoGenerator, HybridGenerator, HybridUNOGenerator
from ptycho_torch.generators.registry import resolve_generator
from ptycho_torch.model import PtychoPINN_Lightning
from ptychopinn.config import GeneratorConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.errors import ConfigError
from ptychopinn.generators import registry

N = 16


def settings(architecture: Any = "cnn") -> TrainingConfig:
    return TrainingConfig(model=ModelConfig(architecture=architecture, N=N, gridsize=1, n_filters_scale=1))


def test_cnn_resolves_to_a_trainable_module() -> None:
    config = settings()
    generator = resolve_generator(config)
    module = generator.build_model(torch_configs(config))

    assert isinstance(generator, CnnGenerator)
    assert generator.name == "cnn"
    assert isinstance(module, PtychoPINN_Lightning)
    assert sum(value.numel() for value in module.parameters() if value.requires_grad) > 10_000
    assert module.network is not None
    assert module.network.probe.shape == (1, N, N)


@pytest.mark.parametrize(("name", "kind"), [("fno", FnoGenerator), ("hybrid", HybridGenerator)])
def test_fourier_networks_resolve_to_trainable_modules(name: str, kind: type) -> None:
    config = settings(name)
    generator = resolve_generator(config)
    module = generator.build_model(torch_configs(settings("cnn")))
    assert isinstance(generator, kind)
    assert getattr(generators, kind.__name__) is kind
    assert module.network is not None
    assert module.network.config.generator.architecture == name
    assert any("spectral" in key for key, _ in module.named_parameters())


@pytest.mark.parametrize("kind", [CascadedFNOGenerator, HybridUNOGenerator])
def test_fourier_networks_by_their_earlier_names(kind: type) -> None:
    net = kind(in_channels=1, out_channels=2, hidden_channels=8, fno_blocks=2, cnn_blocks=4, modes=4, C=4)
    image = torch.randn(2, 4, 20, 24, generator=torch.Generator().manual_seed(0))
    one = torch.zeros(2, 20, 24, 4, 2)
    one[..., 0] = 1
    assert torch.equal(net(image), one)
    nn.init.normal_(net.network.head.weight)
    assert net(image)[..., 1].abs().max() > 0
    assert net.architecture in {"fno", "hybrid"}
    with pytest.raises(AttributeError, match="no attribute 'VitGenerator'"):
        generators.VitGenerator  # noqa: B018


def test_blocks_and_modes_of_output_act() -> None:
    def size(**more: Any) -> int:
        small = {"hidden_channels": 4, "fno_blocks": 1, "modes": 2, "C": 1, **more}
        return sum(value.numel() for value in CascadedFNOGenerator(**small).parameters())

    assert size() < size(fno_blocks=2)
    assert size() < size(cnn_blocks=4)
    assert size() < size(hidden_channels=8)
    image = torch.rand(1, 1, 8, 8)
    for transform in ("sqrt", "log1p", "instancenorm"):
        for mode in ("amp_phase", "amp_phase_logits"):
            net = CascadedFNOGenerator(
                hidden_channels=4, fno_blocks=1, modes=2, C=1, input_transform=transform, output_mode=mode
            )
            assert net(image).shape == (1, 8, 8, 1, 2)
    with pytest.raises(ConfigError, match="none, sqrt, log1p, instancenorm"):
        CascadedFNOGenerator(input_transform="cube")


def test_widths_of_the_older_settings_act() -> None:
    def width(**fields: Any) -> int:
        return recipe_of(TrainingConfig(model=ModelConfig(N=N, **fields))).model.generator.width

    assert width() == 8
    assert width(architecture="fno") == 32
    assert width(architecture="fno", fno_width=16) == 16
    assert width(architecture="hybrid_resnet", resnet_width=128) == 16
    assert width(architecture="cnn", fno_width=16, n_filters_scale=1) == 4
    fields = {"architecture": "fno", "fno_blocks": 3, "fno_cnn_blocks": 6}
    generator = recipe_of(TrainingConfig(model=ModelConfig(N=N, **fields))).model.generator
    assert (generator.blocks, generator.refiner_blocks) == (3, 3)


def test_layers_follow_their_equations() -> None:
    block, image = generators.PtychoBlock(3, 4), torch.randn(2, 3, 12, 13)
    expected = image + torch.nn.functional.gelu(block.spectral(image) + block.local(image))
    torch.testing.assert_close(block(image), expected)
    lifter = generators.SpatialLifter(3, 5, hidden_channels=7)
    assert [type(layer).__name__ for layer in lifter.layers] == ["Conv2d", "GELU", "Conv2d", "GELU"]
    assert lifter(image).shape == (2, 5, 12, 13)


def test_the_module_learns() -> None:
    overrides = ["simulation.object_size_px=36", "simulation.probe_size_px=16", "simulation.step_px=4"]
    scan = ptychopinn.simulate(overrides=overrides).scan
    tensors = ScanTensors(scan, torch.device("cpu")).with_probe(torch.from_numpy(scan.probe))
    config = settings()
    module = resolve_generator(config).build_model(torch_configs(config))
    model = module.trained()
    batch = tensors.gather(np.arange(len(scan))[:, None])
    mean_count = float(scan.counts().mean())
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)

    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        total = torch.stack(list(model.losses(batch, mean_count).values())).sum()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < losses[0]


def test_the_core_lists_what_exists_when_a_name_is_unknown() -> None:
    known = ", ".join(registry.architectures())
    with pytest.raises(ConfigError, match=f"'resnet' is not registered; choose one of {known}"):
        resolve_generator(settings("resnet"))


def test_an_architecture_of_the_core_resolves_without_a_second_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(channels_in: int, channels_out: int, config: GeneratorConfig) -> nn.Module:
        return nn.Conv2d(channels_in, channels_out, 1)

    monkeypatch.setattr(registry._ARCHITECTURES, "entries", {"cnn": registry.resolve("cnn")})
    registry.register("neuralop_uno", make)
    config = settings("neuralop_uno")
    generator = resolve_generator(config)
    module = generator.build_model(torch_configs(settings("cnn")))

    assert generator.name == "neuralop_uno"
    assert isinstance(module.trained().generator.network, nn.Conv2d)


def test_a_missing_config_is_named() -> None:
    configs = torch_configs(settings())
    del configs["data_config"]
    with pytest.raises(KeyError, match="data_config"):
        resolve_generator(settings()).build_model(configs)
