"""Between the two families: the legacy dictionary is the same whichever way it is filled."""

from pathlib import Path
from typing import Any

import pytest

from ptycho.config.config import (
    InferenceConfig,
    ModelConfig,
    PyTorchExecutionConfig,
    TrainingConfig,
    update_legacy_dict,
)
from ptycho.config.to_recipe import recipe_of
from ptycho.params import DEFAULT_CFG
from ptycho_torch import config_params as newer
from ptycho_torch.config_bridge import to_inference_config, to_model_config, to_training_config
from ptycho_torch.config_factory import torch_configs
from ptycho_torch.to_recipe import recipe_of as torch_recipe_of
from ptychopinn.errors import ConfigError

SAID: dict[str, Any] = {"nphotons": 1e9, "train_data_file": Path("a/train.npz")}
"""What the bridge does not guess."""

MATRIX: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (  # older model, older training; then the same as data, model, training, overrides
        {"N": 64, "gridsize": 1},
        {"nepochs": 3, "n_groups": 12, "neighbor_count": 4, "nphotons": 1e6},
        {"N": 64, "C": 1, "grid_size": (1, 1), "K": 4, "nphotons": 1e6},
        {"intensity_scale_trainable": True, "amp_activation": "sigmoid"},
        {"epochs": 3, "n_groups": 12},
        {},
    ),
    (
        {"N": 128, "gridsize": 2, "n_filters_scale": 1, "model_type": "supervised", "amp_activation": "swish"},
        {"mae_weight": 1.0, "nll_weight": 0.0, "neighbor_count": 7, "intensity_scale_trainable": False},
        {"N": 128, "grid_size": (2, 2), "K": 6, "neighbor_count": 7, "nphotons": 1e9},
        {"mode": "Supervised", "n_filters_scale": 1},
        {"nll": False},
        {},
    ),
    (
        {"N": 256, "gridsize": 3, "object_big": False, "probe_big": False, "pad_object": False, "probe_mask": True},
        {"batch_size": 6, "optimizer": "sgd", "momentum": 0.5, "scheduler": "WarmupCosine", "lr_warmup_epochs": 2},
        {"N": 256, "grid_size": (3, 3), "K": 4, "nphotons": 1e9},
        {
            "object_big": False,
            "probe_big": False,
            "pad_object": False,
            "probe_mask": True,
            "amp_activation": "sigmoid",
            "intensity_scale_trainable": True,
        },
        {"batch_size": 6, "optimizer": "sgd", "momentum": 0.5, "scheduler": "Cosine", "warmup_epochs": 2},
        {},
    ),
    (
        {"architecture": "fno", "fno_modes": 8, "probe_scale": 2.5, "gaussian_smoothing_sigma": 0.3, "gridsize": 2},
        {
            "train_data_file": Path("a/train.npz"),
            "output_dir": Path("out"),
            "n_subsample": 100,
            "subsample_seed": 3,
            "probe_trainable": True,
            "realspace_weight": 0.5,
            "sequential_sampling": True,
        },
        {"N": 64, "K": 4, "probe_scale": 2.5, "subsample_seed": 3, "nphotons": 1e9},
        {
            "architecture": "fno",
            "fno_modes": 8,
            "gaussian_smoothing_sigma": 0.3,
            "amp_activation": "sigmoid",
            "intensity_scale_trainable": True,
        },
        {"train_data_file": "a/train.npz", "output_dir": "out"},
        {"n_subsample": 100, "probe_trainable": True, "realspace_weight": 0.5, "sequential_sampling": True},
    ),
]


@pytest.mark.parametrize(("model", "training", "data", "pt_model", "pt_training", "overrides"), MATRIX)
@pytest.mark.parametrize("start", [{}, DEFAULT_CFG], ids=["empty", "defaults"])
def test_the_legacy_dictionary_is_the_same_directly_and_through_the_bridge(
    model: dict[str, Any],
    training: dict[str, Any],
    data: dict[str, Any],
    pt_model: dict[str, Any],
    pt_training: dict[str, Any],
    overrides: dict[str, Any],
    start: dict[str, Any],
) -> None:
    directly, bridged = dict(start), dict(start)
    training = {"train_data_file": Path("a/train.npz"), **training}
    pt_training = {"train_data_file": "a/train.npz", **pt_training}
    update_legacy_dict(directly, TrainingConfig(ModelConfig(**model), **training))
    sources = newer.DataConfig(**data), newer.ModelConfig(**pt_model), newer.TrainingConfig(**pt_training)
    update_legacy_dict(bridged, to_training_config(to_model_config(*sources[:2]), *sources, overrides))
    assert bridged == directly


def test_a_reconstruction_is_bridged_with_its_two_files() -> None:
    directly: dict[str, Any] = {}
    bridged: dict[str, Any] = {}
    files = {"model_path": Path("m"), "test_data_file": Path("t.npz")}
    update_legacy_dict(directly, InferenceConfig(ModelConfig(), n_groups=5, neighbor_count=6, **files))
    data = newer.DataConfig(N=64, n_groups=5)
    update_legacy_dict(bridged, to_inference_config(ModelConfig(), data, newer.InferenceConfig(), files))
    assert bridged == directly
    with pytest.raises(ConfigError, match="model_path and test_data_file"):
        to_inference_config(ModelConfig(), data, newer.InferenceConfig())


def test_a_grid_that_is_not_square_is_refused_unless_overridden() -> None:
    data = newer.DataConfig(grid_size=(2, 3), C=6)
    with pytest.raises(ConfigError, match="2 x 3"):
        to_model_config(data, newer.ModelConfig())
    assert to_model_config(data, newer.ModelConfig(), {"gridsize": 2}).gridsize == 2


def test_groups_per_position_are_not_taken_for_a_number_of_patterns() -> None:
    """`n_subsample` counts groups in one family and patterns in the other."""
    four = newer.DataConfig(n_subsample=7), newer.ModelConfig(), newer.TrainingConfig()
    assert to_training_config(ModelConfig(), *four, SAID).n_subsample is None
    assert to_training_config(ModelConfig(), *four, {**SAID, "n_subsample": 50}).n_subsample == 50


def test_overrides_win_and_unknown_ones_raise_type_error() -> None:
    model = to_model_config(newer.DataConfig(), newer.ModelConfig(), {"N": 32, "amp_activation": "relu"})
    assert (model.N, model.amp_activation) == (32, "relu")
    with pytest.raises(TypeError, match="nonsense"):
        to_model_config(newer.DataConfig(), newer.ModelConfig(), {"nonsense": 1})


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="Unsupervised"):
        to_model_config(newer.DataConfig(), newer.ModelConfig(mode="PINN"))  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{"nll": False}, {"torch_loss_mode": "mae"}, {}])
def test_both_families_mean_the_same_losses(asked: dict[str, Any]) -> None:
    four = newer.DataConfig(), newer.ModelConfig(), newer.TrainingConfig(**asked)
    older = recipe_of(to_training_config(to_model_config(*four[:2]), *four, SAID))
    assert older.model.loss == torch_recipe_of(*four, newer.InferenceConfig()).model.loss


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(ModelConfig()),
        TrainingConfig(ModelConfig(gridsize=2, object_big=False), batch_size=3, nepochs=4, neighbor_count=9),
        TrainingConfig(ModelConfig(N=32, model_type="supervised", amp_activation="swish", probe_mask=True)),
        TrainingConfig(ModelConfig(), mae_weight=1.0, nll_weight=0.0, n_groups=9, optimizer="adamw", weight_decay=0.1),
    ],
)
def test_the_four_configurations_made_of_older_settings_mean_the_same_recipe(config: TrainingConfig) -> None:
    execution = PyTorchExecutionConfig(learning_rate=3e-4, deterministic=False, accum_steps=2, gradient_clip_val=0.5)
    assert torch_recipe_of(**torch_configs(config, execution)) == recipe_of(config, execution)


def test_what_the_four_configurations_cannot_hold_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    torch_configs(TrainingConfig(ModelConfig(), probe_trainable=True, nll_weight=0.5))
    assert "probe_trainable, the ratio of nll_weight and mae_weight" in caplog.text


def test_dangerous_bridges_are_refused() -> None:
    four = newer.DataConfig(), newer.ModelConfig(), newer.TrainingConfig()
    with pytest.raises(ConfigError, match=r"amp_activation 'tanh'. Expected one of \['sigmoid'"):
        to_model_config(four[0], newer.ModelConfig(amp_activation="tanh"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"100000 by default here but 1e\+09 there"):
        to_training_config(ModelConfig(), *four)
    with pytest.raises(ConfigError, match="no training file was named"):
        to_training_config(ModelConfig(), *four, {"nphotons": 1e5})
    assert to_training_config(ModelConfig(), *four, SAID).nphotons == 1e9


def test_a_mask_given_as_an_array_becomes_the_switch() -> None:
    masked = newer.ModelConfig(probe_mask_tensor=[[1.0]])
    assert to_model_config(newer.DataConfig(), masked).probe_mask
    assert not to_model_config(newer.DataConfig(), newer.ModelConfig()).probe_mask
