"""What single values of `ptycho.config.config` mean in a recipe, beyond what the table of fields says."""

import logging
from pathlib import Path
from typing import Any

import pytest

from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptycho.config.to_recipe import recipe_of, warn_ignored
from ptychopinn.config import Recipe
from ptychopinn.config import TrainingConfig as OurTraining
from ptychopinn.errors import ConfigError


def training(model: dict[str, Any] | None = None, **values: Any) -> Recipe:
    return recipe_of(TrainingConfig(ModelConfig(**(model or {})), **values))


def execution(**values: Any) -> Recipe:
    return recipe_of(TrainingConfig(ModelConfig()), PyTorchExecutionConfig(**values))


def test_a_step_holds_batch_size_groups() -> None:
    recipe = training({"gridsize": 3}, batch_size=5)
    assert (recipe.data.group_size, recipe.training.patterns_per_step) == (9, 45)


def test_neighbours_are_raised_to_what_a_group_needs() -> None:
    alone = training({"gridsize": 1}, batch_size=5)
    assert (alone.data.group_size, alone.training.patterns_per_step) == (Recipe().data.group_size, 5)
    assert training({"gridsize": 3}, neighbor_count=4).data.neighbors == 8
    assert training({"gridsize": 2}, neighbor_count=7).data.neighbors == 7


def test_default_width_is_our_default_width() -> None:
    assert training().model.generator.width == Recipe().model.generator.width == 8
    assert training({"n_filters_scale": 3}).model.generator.width == 12


@pytest.mark.parametrize(("diameter", "radius"), [(None, 0.5), (16.0, 0.25), (64.0, 1.0), (80.0, 1.0)])
def test_the_probe_mask_is_a_disk_in_units_of_half_the_pattern(diameter: float | None, radius: float) -> None:
    probe = training({"N": 64, "probe_mask": True, "probe_mask_diameter": diameter}).model.probe
    assert (probe.mask_radius, probe.mask_edge_px) == (radius, 1.0)


def test_a_pattern_size_of_zero_is_no_obstacle() -> None:
    assert training({"N": 0, "probe_mask": True, "probe_mask_diameter": 16.0}).model.probe.mask_radius == 0.5


def test_the_default_scheduler_is_our_cosine_and_constant_is_constant() -> None:
    ours = OurTraining()
    recipe = training()
    assert (recipe.training.scheduler, recipe.training.warmup_epochs) == (ours.scheduler, ours.warmup_epochs)
    assert training(scheduler="constant").training.scheduler == "constant"


def test_warmup_cosine_brings_its_own_warmup_and_end() -> None:
    made = training(scheduler="WarmupCosine", lr_warmup_epochs=3, lr_min_ratio=0.2).training
    assert (made.scheduler, made.warmup_epochs, made.min_lr_ratio) == ("cosine", 3, 0.2)


def test_no_gradient_limit_given_leaves_ours() -> None:
    assert training().training.gradient_clip == OurTraining().gradient_clip
    assert training(gradient_clip_val=0.1, gradient_clip_algorithm="value").training.gradient_clip == 0.1


def test_the_mode_mae_leaves_only_the_amplitude_error() -> None:
    loss = training(torch_loss_mode="mae").model.loss
    assert (loss.poisson_weight, loss.amplitude_mae_weight) == (0.0, 1.0)
    assert training(torch_loss_mode="mae", mae_weight=0.3).model.loss.amplitude_mae_weight == 0.3


def test_a_loss_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="weight 0"):
        training(nll_weight=0.0)


def test_groups_of_one_are_no_more_than_the_patterns_of_the_scan() -> None:
    """As the earlier system counts them; it refuses more of larger groups, unless oversampling is enabled."""
    config = TrainingConfig(ModelConfig(), n_groups=512)
    assert recipe_of(config, n_patterns=441).data.n_groups == 441
    assert recipe_of(config).data.n_groups == 512
    config = TrainingConfig(ModelConfig(gridsize=2), n_groups=512)
    with pytest.raises(ConfigError, match="512 but the scan has 441"):
        recipe_of(config, n_patterns=441)
    config.enable_oversampling = True
    assert recipe_of(config, n_patterns=441).data.n_groups == 512


def test_a_sub_sample_is_no_larger_than_the_scan_and_bounds_the_groups() -> None:
    config = TrainingConfig(ModelConfig(), n_subsample=500, n_groups=480)
    data = recipe_of(config, n_patterns=441).data
    assert (data.n_patterns, data.n_groups) == (441, 441)


def test_a_reconstruction_stitches_the_central_twenty_pixels() -> None:
    recipe = recipe_of(InferenceConfig(ModelConfig(), Path("m"), Path("t")))
    assert (recipe.reconstruction.weight, recipe.reconstruction.window_px) == ("central", 20)


def test_the_backend_of_the_settings_is_that_of_the_recipe() -> None:
    assert training(backend="tensorflow").backend == "tensorflow"
    assert training().backend == "pytorch"


@pytest.mark.parametrize(
    ("field", "value"),
    [("amp_activation", "bogus"), ("architecture", "vit"), ("model_type", "magic"), ("fno_input_transform", "cube")],
)
def test_an_unknown_word_is_refused_with_the_known_ones(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"Invalid {field} '{value}'\. Expected one of"):
        training({field: value})


def test_words_may_be_written_in_any_case() -> None:
    assert training({"model_type": "PINN", "architecture": "CNN"}, optimizer="AdamW").training.optimizer == "adamw"


@pytest.mark.parametrize("name", ["cuda", "gpu", "auto"])
def test_any_gpu_means_the_cpu_where_there_is_none(name: str) -> None:
    assert execution(accelerator=name).training.device == "auto"


def test_half_precision_is_bfloat16_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert execution(precision="16-mixed").training.precision == "bfloat16"
    with caplog.at_level(logging.WARNING):
        warn_ignored(TrainingConfig(ModelConfig()), PyTorchExecutionConfig(precision="16-mixed"))
    assert "precision = '16-mixed' is not followed: bfloat16" in caplog.text


def test_execution_settings_win_over_those_of_the_training() -> None:
    config = TrainingConfig(ModelConfig(), scheduler="Exponential", gradient_clip_val=3.0)
    made = recipe_of(config, PyTorchExecutionConfig(scheduler="Constant", gradient_clip_val=0.5)).training
    assert (made.scheduler, made.gradient_clip) == ("constant", 0.5)
    made = recipe_of(config, PyTorchExecutionConfig()).training
    assert (made.scheduler, made.gradient_clip) == ("exponential", 3.0)


def test_untouched_patience_never_stops_a_run() -> None:
    assert execution().training.early_stop_patience is None
    assert execution(early_stop_patience=7).training.early_stop_patience == 7


@pytest.mark.parametrize(("backend", "logger"), [(None, "none"), ("csv", "csv"), ("MLflow", "mlflow")])
def test_where_losses_are_logged(backend: str | None, logger: str) -> None:
    assert execution(logger_backend=backend).training.logger == logger


def test_an_unknown_logger_is_refused() -> None:
    with pytest.raises(ConfigError, match="logger_backend"):
        execution(logger_backend="comet")


def test_each_setting_without_effect_gives_one_warning_under_the_clients_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = TrainingConfig(ModelConfig(amp_activation="relu"), positions_provided=False)
    warn_ignored(config, PyTorchExecutionConfig(checkpoint_mode="max"))
    assert [record.name for record in caplog.records] == ["ptychopinn"] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    for name in ("amp_activation", "positions_provided", "checkpoint_mode"):
        assert sum(record.getMessage().startswith(name) for record in caplog.records) == 1


def test_a_schedule_named_by_the_execution_settings_needs_no_warning() -> None:
    from ptycho.config.to_recipe import ignored_fields

    config = TrainingConfig(ModelConfig(), lr_warmup_epochs=2)
    assert [name for name, *_ in ignored_fields(config)] == ["lr_warmup_epochs"]
    recipe = recipe_of(config, PyTorchExecutionConfig(scheduler="WarmupCosine"))
    assert recipe.training.warmup_epochs == 2
