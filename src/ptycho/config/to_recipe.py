"""From the settings of the TensorFlow-era contract to our recipe; docs/config-mapping.md lists every field."""

from __future__ import annotations

import copy
import logging
from typing import Any, TypeVar

from ptycho.config import table
from ptycho.config.arrival import Arrival, ignored
from ptycho.config.config import (
    InferenceConfig,
    ModelConfig,
    PyTorchExecutionConfig,
    TrainingConfig,
    validate_inference_config,
    validate_training_config,
)
from ptycho.config.sections import (
    clip_section,
    device_of,
    devices_of,
    generator_section,
    group_count,
    merged_together,
    optimizer_section,
    probe_section,
    schedule_section,
    with_known_choices,
)
from ptycho.config.validation import one_of
from ptychopinn.config import Recipe

Settings = TypeVar("Settings", bound=ModelConfig | TrainingConfig | InferenceConfig)

logger = logging.getLogger("ptychopinn")

WINDOW_PX = 20
"""Central part of a patch that the earlier stitching keeps."""

TABLES: dict[type, dict[str, Arrival]] = {
    ModelConfig: table.MODEL,
    TrainingConfig: table.TRAINING,
    InferenceConfig: table.INFERENCE,
    PyTorchExecutionConfig: table.EXECUTION,
}
"""Where every field of every class arrives."""

_PRECISIONS = {"32-true": "float32", "16-mixed": "bfloat16", "bf16-mixed": "bfloat16"}
_LOGGERS = {"csv": "csv", "tensorboard": "tensorboard", "none": "none", "mlflow": "csv"}


def recipe_of(
    config: TrainingConfig | InferenceConfig,
    execution: PyTorchExecutionConfig | None = None,
    *,
    n_patterns: int | None = None,
) -> Recipe:
    """The recipe that a configuration means.

    Args:
        config: of a training run, or of a reconstruction (whose training section is our default).
        execution: hardware, arithmetic and bookkeeping; without it our defaults.
        n_patterns: patterns in the scan, where known; then no more of them, or groups, are asked for than it has.

    Raises:
        ConfigError: a value breaks a rule, or asks for what is not there.

    >>> recipe = recipe_of(TrainingConfig(ModelConfig(gridsize=2), batch_size=8, nepochs=3))
    >>> recipe.data.group_size, recipe.training.patterns_per_step, recipe.training.epochs
    (4, 32, 3)
    """
    if isinstance(config, TrainingConfig):
        validate_training_config(config)
    else:
        validate_inference_config(config)
    known, model = with_known_choices(_scheduled(config, execution)), with_known_choices(config.model)
    tree: dict[str, Any] = {
        "backend": known.backend,
        "data": _data_section(known, model, n_patterns),
        "model": _model_section(model),
        "training": {},
        "reconstruction": {"weight": "central", "window_px": WINDOW_PX},
    }
    if known.subsample_seed is not None:
        tree["training"]["seed"] = known.subsample_seed
    if isinstance(known, TrainingConfig):
        _add_training(tree, known)
    if execution is not None:
        _add_execution(tree, execution)
    return Recipe.from_mapping(tree, "ptycho.config")


def ignored_fields(
    config: ModelConfig | TrainingConfig | InferenceConfig | PyTorchExecutionConfig,
) -> list[tuple[str, object, str]]:
    """(field, value, reason) of what is set to something else than its default and has no effect; its model's too."""
    own = ignored(config, TABLES[type(config)])
    if isinstance(config, TrainingConfig | InferenceConfig):
        return own + ignored_fields(config.model)
    return own


def warn_ignored(
    config: ModelConfig | TrainingConfig | InferenceConfig, execution: PyTorchExecutionConfig | None = None
) -> None:
    """Log one warning for each of the `ignored_fields`."""
    for part in (_scheduled(config, execution), execution):
        for name, value, reason in ignored_fields(part) if part is not None else []:
            logger.warning("%s = %r is not followed: %s", name, value, reason)


def _scheduled(config: Settings, execution: PyTorchExecutionConfig | None) -> Settings:
    """The configuration with the scheduler of the execution settings, where these name one."""
    if execution is None or execution.scheduler.casefold() == "default" or not isinstance(config, TrainingConfig):
        return config
    changed = copy.copy(config)
    changed.scheduler = execution.scheduler  # type: ignore[assignment]
    return changed


def _data_section(
    config: TrainingConfig | InferenceConfig, model: ModelConfig, n_patterns: int | None
) -> dict[str, Any]:
    used = config.n_subsample
    if used is not None and n_patterns is not None:
        used = min(used, n_patterns)
    available = n_patterns if used is None else used
    pool = config.neighbor_count if config.neighbor_pool_size is None else config.neighbor_pool_size
    group_size = merged_together(model.gridsize**2, available)
    section: dict[str, Any] = {
        "group_size": group_size,
        "neighbors": max(pool, group_size - 1),
        "n_patterns": used,
        "n_groups": group_count(config.n_groups, available, model.gridsize**2, config.enable_oversampling),
    }
    if isinstance(config, TrainingConfig) and config.sequential_sampling:
        section["sampler"] = "sequential"
    return section


def _model_section(model: ModelConfig) -> dict[str, Any]:
    mask = probe_section(model.probe_mask, model.probe_mask_diameter, model.probe_mask_sigma, model.N)
    return {
        "kind": model.model_type,
        "generator": generator_section(model),
        "merge": {"enabled": model.object_big},
        "probe": {"smoothing_px": model.gaussian_smoothing_sigma} | mask,
    }


def _add_training(tree: dict[str, Any], config: TrainingConfig) -> None:
    tree["model"]["probe"]["trainable"] = config.probe_trainable
    tree["model"]["intensity_scale"] = "trainable" if config.intensity_scale_trainable else "auto"
    tree["model"]["loss"] = _loss_section(config)
    tree["training"] |= {
        "epochs": config.nepochs,
        "patterns_per_step": config.batch_size * config.model.gridsize**2,
        **optimizer_section(config),
        **schedule_section(config, config.scheduler, config.lr_warmup_epochs, config.lr_min_ratio),
    }


def _loss_section(config: TrainingConfig) -> dict[str, float]:
    only_mae = config.torch_loss_mode == "mae"
    return {
        "poisson_weight": 0.0 if only_mae else config.nll_weight,
        "amplitude_mae_weight": (config.mae_weight or 1.0) if only_mae else config.mae_weight,
        "realspace_mae_weight": config.realspace_mae_weight,
        "realspace_weight": config.realspace_weight,
    }


def _add_execution(tree: dict[str, Any], execution: PyTorchExecutionConfig) -> None:
    logger_backend = one_of("logger_backend", execution.logger_backend, tuple(_LOGGERS))
    tree["training"] |= {
        "device": device_of(execution.accelerator),
        "devices": devices_of(execution.devices),
        "deterministic": bool(execution.deterministic),
        "precision": _PRECISIONS[execution.precision],
        "accumulate_steps": execution.accum_steps,
        "learning_rate": execution.learning_rate,
        "logger": _LOGGERS[logger_backend],
        **clip_section(execution),
    }
    if execution.early_stop_patience != PyTorchExecutionConfig.early_stop_patience:
        tree["training"]["early_stop_patience"] = execution.early_stop_patience
    if execution.inference_batch_size is not None:
        tree["reconstruction"]["batch_size"] = execution.inference_batch_size
    if execution.middle_trim:
        tree["reconstruction"]["window_px"] = execution.middle_trim
