"""From the settings of `ptycho.config.config` to the four PyTorch dataclasses."""

import logging
from typing import Any

from ptycho.config.config import ModelConfig as LegacyModelConfig
from ptycho.config.config import PyTorchExecutionConfig
from ptycho.config.config import TrainingConfig as LegacyTrainingConfig
from ptycho_torch.config_bridge import steps
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig

logger = logging.getLogger("ptychopinn-torch")

_NO_PLACE = (
    *("n_subsample", "enable_oversampling", "neighbor_pool_size", "probe_trainable", "sequential_sampling"),
    *("realspace_mae_weight", "realspace_weight"),
)
"""Fields of the older settings for which the four have no field; their defaults lose nothing."""


def torch_configs(config: LegacyTrainingConfig, execution: PyTorchExecutionConfig | None = None) -> dict[str, Any]:
    """The four configurations `data_config`, `model_config`, `training_config`, `inference_config`.

    Args:
        config: model and training run.
        execution: hardware and bookkeeping; their defaults without it.

    >>> configs = torch_configs(LegacyTrainingConfig(LegacyModelConfig(gridsize=3), nepochs=2))
    >>> configs["data_config"].C, configs["training_config"].epochs
    (9, 2)
    """
    lost = [name for name in _NO_PLACE if getattr(config, name) != getattr(LegacyTrainingConfig, name)]
    if {config.nll_weight, config.mae_weight} != {0.0, 1.0}:
        lost.append("the ratio of nll_weight and mae_weight")
    if lost:
        logger.warning("the PyTorch settings have no field for %s", ", ".join(lost))
    run, model = execution or PyTorchExecutionConfig(), config.model
    size = model.gridsize**2
    data = {
        "C": size,
        "grid_size": (model.gridsize, model.gridsize),
        "K": config.neighbor_count,
        "n_subsample": 1,
        "neighbor_count": None,
        "x_bounds": (0.0, 1.0),
        "y_bounds": (0.0, 1.0),
    }
    network = {
        "amp_activation": "silu" if model.amp_activation == "swish" else model.amp_activation,
        "mode": "Supervised" if model.model_type == "supervised" else "Unsupervised",
        "C_model": size,
        "C_forward": size,
        "decoder_last_amp_channels": size,
        "training_patch_weighting": "probe",
        "loss_function": "Poisson" if config.nll_weight > 0 else "MAE",
    }
    clipped = run if run.gradient_clip_val else config
    paths = {name: getattr(config, name) for name in ("output_dir", "train_data_file", "test_data_file")}
    training = {
        **{name: None if path is None else str(path) for name, path in paths.items()},
        "n_groups": None,
        "neighbor_count": None,
        "epochs": config.nepochs,
        "nll": config.nll_weight > 0,
        "gradient_clip_val": clipped.gradient_clip_val,
        "gradient_clip_algorithm": clipped.gradient_clip_algorithm,
        "device": "cuda" if run.accelerator in ("auto", "gpu") else run.accelerator,
        "n_devices": run.devices,
        "strategy": run.strategy,
        "learning_rate": run.learning_rate,
        "num_workers": run.num_workers,
        "accum_steps": run.accum_steps,
    }
    return {
        "data_config": DataConfig(**_same(DataConfig, config, model) | data),
        "model_config": ModelConfig(**_same(ModelConfig, config, model) | network),
        "training_config": TrainingConfig(**_same(TrainingConfig, config) | training),
        "inference_config": InferenceConfig(
            patch_weighting="uniform",
            middle_trim=run.middle_trim or 20,
            batch_size=run.inference_batch_size or InferenceConfig.batch_size,
            pad_eval=run.pad_eval,
        ),
    }


def _same(kind: type, *sources: LegacyTrainingConfig | LegacyModelConfig) -> dict[str, Any]:
    """The fields that a PyTorch dataclass shares with the older ones."""
    return {
        name: getattr(source, name)
        for source in sources
        for name, step in steps(kind, type(source)).items()
        if step.field == name
    }
