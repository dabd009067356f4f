"""From the settings of `ptycho.config.config` to the four PyTorch dataclasses."""

from __future__ import annotations

import logging
from typing import Any

from ptycho.config.config import PyTorchExecutionConfig
from ptycho.config.config import TrainingConfig as LegacyTrainingConfig
from ptycho_torch.config_bridge import MODEL_STEPS, TRAINING_STEPS
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig

logger = logging.getLogger("ptychopinn-torch")

_NO_PLACE = {
    "n_subsample": None,
    "enable_oversampling": False,
    "neighbor_pool_size": None,
    "probe_trainable": False,
    "sequential_sampling": False,
    "realspace_mae_weight": 0.0,
    "realspace_weight": 0.0,
}
"""Fields of the older settings for which the four have no field, and the values that lose nothing."""


def torch_configs(config: LegacyTrainingConfig, execution: PyTorchExecutionConfig | None = None) -> dict[str, Any]:
    """The four configurations `data_config`, `model_config`, `training_config`, `inference_config`.

    Args:
        config: model and training run.
        execution: hardware and bookkeeping; their defaults without it.

    >>> from ptycho.config.config import ModelConfig as LegacyModelConfig
    >>> configs = torch_configs(LegacyTrainingConfig(LegacyModelConfig(gridsize=3), nepochs=2))
    >>> configs["data_config"].C, configs["training_config"].epochs
    (9, 2)
    """
    lost = [name for name, harmless in _NO_PLACE.items() if getattr(config, name) != harmless]
    if {config.nll_weight, config.mae_weight} != {0.0, 1.0}:
        lost.append("the ratio of nll_weight and mae_weight")
    if lost:
        logger.warning("the PyTorch settings have no field for %s", ", ".join(lost))
    return {
        "data_config": _data_config(config),
        "model_config": _model_config(config),
        "training_config": _training_config(config, execution or PyTorchExecutionConfig()),
        "inference_config": _inference_config(execution or PyTorchExecutionConfig()),
    }


def _data_config(config: LegacyTrainingConfig) -> DataConfig:
    size = config.model.gridsize
    return DataConfig(
        N=config.model.N,
        C=size**2,
        grid_size=(size, size),
        K=config.neighbor_count,
        n_subsample=1,
        n_groups=config.n_groups,
        nphotons=config.nphotons,
        probe_scale=config.model.probe_scale,
        subsample_seed=config.subsample_seed,
        x_bounds=(0.0, 1.0),
        y_bounds=(0.0, 1.0),
    )


def _model_config(config: LegacyTrainingConfig) -> ModelConfig:
    model = config.model
    size = model.gridsize**2
    same = {name: getattr(model, name) for name, step in MODEL_STEPS[ModelConfig].items() if step.field == name}
    return ModelConfig(
        **same | {"amp_activation": "silu" if model.amp_activation == "swish" else model.amp_activation},
        mode="Supervised" if model.model_type == "supervised" else "Unsupervised",
        C_model=size,
        C_forward=size,
        decoder_last_amp_channels=size,
        training_patch_weighting="probe",
        intensity_scale_trainable=config.intensity_scale_trainable,
        loss_function="Poisson" if config.nll_weight > 0 else "MAE",
    )


def _training_config(config: LegacyTrainingConfig, execution: PyTorchExecutionConfig) -> TrainingConfig:
    names = (name for name, step in TRAINING_STEPS[TrainingConfig].items() if step.field == name)
    same = {name: getattr(config, name) for name in names if name not in ("neighbor_count", "n_groups")}
    paths = {
        name: None if same[name] is None else str(same[name])
        for name in ("output_dir", "train_data_file", "test_data_file")
    }
    clipped = {"gradient_clip_algorithm": execution.gradient_clip_algorithm} if execution.gradient_clip_val else {}
    return TrainingConfig(
        **same | paths | clipped | {"gradient_clip_val": execution.gradient_clip_val or config.gradient_clip_val},
        epochs=config.nepochs,
        nll=config.nll_weight > 0,
        device="cuda" if execution.accelerator in ("auto", "gpu") else execution.accelerator,
        n_devices=execution.devices,
        strategy=execution.strategy,
        learning_rate=execution.learning_rate,
        num_workers=execution.num_workers,
        accum_steps=execution.accum_steps,
    )


def _inference_config(execution: PyTorchExecutionConfig) -> InferenceConfig:
    return InferenceConfig(
        patch_weighting="uniform",
        middle_trim=execution.middle_trim or 20,
        batch_size=execution.inference_batch_size or InferenceConfig.batch_size,
        pad_eval=execution.pad_eval,
    )
