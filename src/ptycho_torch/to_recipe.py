"""From the four PyTorch dataclasses to our recipe; docs/config-mapping.md lists every field."""

from __future__ import annotations

import logging
from math import comb
from typing import Any

from ptycho.config.arrival import Arrival, ignored, refuse
from ptycho.config.sections import (
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
from ptycho_torch import config_table as table
from ptycho_torch.config_params import DataConfig, DatagenConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import as_dicts, configs_from, from_dicts
from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError

__all__ = ["TABLES", "as_dicts", "checked", "from_dicts", "ignored_fields", "recipe_of", "warn_ignored"]

logger = logging.getLogger("ptychopinn-torch")

TABLES: dict[type, dict[str, Arrival]] = {
    DataConfig: table.DATA,
    ModelConfig: table.MODEL,
    TrainingConfig: table.TRAINING,
    InferenceConfig: table.INFERENCE,
    DatagenConfig: table.DATAGEN,
}
"""Where every field of every class arrives."""

_KINDS = {"Unsupervised": "pinn", "Supervised": "supervised"}
_RULES = {"Nearest": "nearest", "Min_dist": "min_distance", "4_quadrant": "four_quadrants"}
_MERGES = {"central_mask": "central", "probe": "probe", "uniform": "uniform"}


def recipe_of(
    data_config: Any, model_config: Any, training_config: Any, inference_config: Any, *, n_patterns: int | None = None
) -> Recipe:
    """The recipe that four configurations mean.

    Args:
        data_config: grouping; a `DataConfig`, or a mapping of its fields.
        model_config: a `ModelConfig`, or a mapping.
        training_config: a `TrainingConfig`, or a mapping.
        inference_config: an `InferenceConfig`, or a mapping.
        n_patterns: patterns in the scan, where known; then no more groups are asked for than it has.

    Raises:
        ConfigError: a value breaks a rule, or asks for what is not available.
        TypeError: a mapping holds an unknown name.

    >>> recipe = recipe_of({"C": 9}, {}, {"batch_size": 4}, {})
    >>> recipe.data.group_size, recipe.data.neighbors, recipe.training.patterns_per_step
    (9, 8, 36)
    """
    data, model, training, inference = checked(data_config, model_config, training_config, inference_config)
    section = _training_section(training, data.C)
    if data.subsample_seed is not None:
        section["seed"] = data.subsample_seed
    tree = {
        "data": _data_section(data, training, n_patterns),
        "model": _model_section(data, model, training),
        "training": section,
        "reconstruction": _reconstruction_section(inference),
    }
    return Recipe.from_mapping(tree, "ptycho_torch.config_params")


def checked(
    data_config: Any, model_config: Any, training_config: Any, inference_config: Any
) -> tuple[DataConfig, ModelConfig, TrainingConfig, InferenceConfig]:
    """Copies of the four as objects, every choice of words in its usual spelling.

    Raises:
        ConfigError: an unknown word, or a field that asks for what is not available.
        TypeError: a mapping holds an unknown name.
    """
    four = configs_from(data_config, model_config, training_config, inference_config)
    for config in four:
        refuse(config, TABLES[type(config)])
    data, model, training, inference = four
    if not isinstance(model.probe_mask, bool | None):
        raise ConfigError(
            f"probe_mask is a {type(model.probe_mask).__name__}, but {table.MODEL['probe_mask_tensor'].how}"
        )
    if data.C < 1:
        raise ConfigError(f"C must be positive, got {data.C}")
    return (
        with_known_choices(data),
        with_known_choices(model),
        with_known_choices(training),
        with_known_choices(inference),
    )


def ignored_fields(*configs: Any) -> list[tuple[str, object, str]]:
    """(field, value, reason) of what is set to something else than its default and is not followed.

    Args:
        configs: any of the five dataclasses.
    """
    return [found for config in configs for found in ignored(config, TABLES[type(config)])]


def warn_ignored(data_config: Any, model_config: Any, training_config: Any, inference_config: Any) -> None:
    """Log one warning for each of the `ignored_fields`, and for each field that contradicts `C`."""
    four = configs_from(data_config, model_config, training_config, inference_config)
    for name, value, reason in ignored_fields(*four) + _against_group_size(four[0], four[1]):
        logger.warning("%s = %r is not followed: %s", name, value, reason)


def _against_group_size(data: DataConfig, model: ModelConfig) -> list[tuple[str, object, str]]:
    """(field, value, reason) of what gives another number of patterns in a group than `C`, and is no default."""
    rows, columns = data.grid_size
    numbers = [("grid_size", tuple(data.grid_size), rows * columns)]
    for name in ("C_model", "C_forward", "decoder_last_amp_channels"):
        value = getattr(model, name)
        numbers.append((name, value, data.C if value == getattr(ModelConfig, name) else value))
    reason = f"C = {data.C} patterns make a group; set both to agree"
    return [(name, value, reason) for name, value, number in numbers if number != data.C]


def _data_section(data: DataConfig, training: TrainingConfig, n_patterns: int | None) -> dict[str, Any]:
    group_size = merged_together(data.C, n_patterns)
    n_groups = data.n_groups if training.n_groups is None else training.n_groups
    pool = _first_given(training.neighbor_count, data.neighbor_count, data.K)
    neighbors = max(pool, group_size - 1)
    reachable = neighbors if n_patterns is None else max(min(neighbors, n_patterns - 1), group_size - 1)
    section: dict[str, Any] = {
        "domain": "amplitude" if data.measurement_domain == "normalized_amplitude" else "auto",
        "group_size": group_size,
        "neighbors": neighbors,
        "groups_per_pattern": min(data.n_subsample, comb(reachable, group_size - 1)),
        "n_groups": group_count(n_groups, n_patterns, data.C, oversampling=True),
        "neighbor_rule": _RULES[data.neighbor_function],
        "bounds_x": tuple(data.x_bounds),
        "bounds_y": tuple(data.y_bounds),
    }
    if data.neighbor_function == "Min_dist":
        section |= {"min_distance_px": data.min_neighbor_distance, "max_distance_px": data.max_neighbor_distance}
    return section


def _first_given(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _model_section(data: DataConfig, model: ModelConfig, training: TrainingConfig) -> dict[str, Any]:
    mask = probe_section(bool(model.probe_mask), model.probe_mask_diameter, model.probe_mask_sigma, data.N)
    return {
        "kind": _KINDS[model.mode],
        "generator": generator_section(model),
        "merge": {"enabled": model.object_big, "weight": _MERGES[model.training_patch_weighting]},
        "probe": {"smoothing_px": model.gaussian_smoothing_sigma} | mask,
        "intensity_scale": "trainable" if model.intensity_scale_trainable else "auto",
        "loss": _loss_section(model, training),
    }


def _loss_section(model: ModelConfig, training: TrainingConfig) -> dict[str, float]:
    mae = model.loss_function == "MAE" or not training.nll or training.torch_loss_mode == "mae"
    section = {"poisson_weight": 0.0 if mae else 1.0, "amplitude_mae_weight": 1.0 if mae else 0.0}
    for part, term, weight in (
        ("amplitude", model.amp_loss, model.amp_loss_coeff),
        ("phase", model.phase_loss, model.phase_loss_coeff),
    ):
        if term is not None:
            section[f"{part}_{term.lower()}_weight"] = weight
    return section


def _training_section(training: TrainingConfig, group_size: int) -> dict[str, Any]:
    default = TrainingConfig()
    warmup = training.warmup_epochs or training.lr_warmup_epochs
    ratio = training.min_lr_ratio if training.min_lr_ratio != default.min_lr_ratio else training.lr_min_ratio
    return {
        "epochs": training.epochs + training.epochs_fine_tune,
        "patterns_per_step": training.batch_size * group_size,
        "learning_rate": training.learning_rate,
        "accumulate_steps": training.accum_steps,
        "device": device_of(training.device),
        "devices": devices_of(training.n_devices),
        **optimizer_section(training),
        **schedule_section(training, training.scheduler, warmup, ratio),
    }


def _reconstruction_section(inference: InferenceConfig) -> dict[str, Any]:
    section: dict[str, Any] = {"weight": "probe"}
    if inference.patch_weighting == "uniform":
        section = {"weight": "central", "window_px": inference.middle_trim}
    if inference.batch_size != InferenceConfig.batch_size:
        section["batch_size"] = inference.batch_size
    return section
