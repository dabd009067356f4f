"""From the PyTorch dataclasses to those of `ptycho.config.config`, field by field, for scripts that fill the legacy
dictionary: `update_legacy_dict(ptycho.params.cfg, to_training_config(...))`.

What the PyTorch side has no field for comes from `overrides`, which win over everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ptycho.config import config as legacy
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.errors import ConfigError

Target = TypeVar("Target")


class Step(NamedTuple):
    """The field of the older dataclass that a field becomes, how, and which others follow from it."""

    field: str
    translate: Callable[[Any], Any] = lambda value: value
    also: tuple[str, ...] = ()


def _square(grid_size: tuple[int, int]) -> int:
    rows, columns = grid_size
    if rows != columns:
        raise ConfigError(
            f"grid_size is {rows} x {columns}, but gridsize is one number; give a square grid, or override gridsize"
        )
    return rows


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _same(*names: str) -> dict[str, Step]:
    return {name: Step(name) for name in names}


_KINDS = {"unsupervised": "pinn", "supervised": "supervised"}
_SCHEDULERS = {"cosine": "WarmupCosine"}

MODEL_STEPS: dict[type, dict[str, Step]] = {
    DataConfig: {**_same("N", "probe_scale"), "grid_size": Step("gridsize", _square)},
    ModelConfig: {
        "mode": Step("model_type", lambda mode: _KINDS[mode.casefold()]),
        "amp_activation": Step("amp_activation", lambda name: "swish" if name.casefold() == "silu" else name),
        "probe_mask": Step("probe_mask", lambda mask: mask if isinstance(mask, bool) else mask is not None),
        **_same(
            "architecture",
            "fno_modes",
            "fno_width",
            "fno_blocks",
            "fno_cnn_blocks",
            "learned_input_channels",
            "fno_input_transform",
            "max_hidden_channels",
            "resnet_width",
            "generator_output_mode",
            "n_filters_scale",
            "probe_mask_sigma",
            "probe_mask_diameter",
            "object_big",
            "probe_big",
            "pad_object",
            "gaussian_smoothing_sigma",
        ),
    },
}
"""Fields that become fields of `ptycho`'s `ModelConfig`."""

_GROUPING = {"K": Step("neighbor_count"), "neighbor_count": Step("neighbor_count"), "n_groups": Step("n_groups")}

TRAINING_STEPS: dict[type, dict[str, Step]] = {
    DataConfig: {**_GROUPING, **_same("nphotons", "subsample_seed")},
    ModelConfig: {
        "loss_function": Step("nll_weight", lambda name: float(name.casefold() != "mae"), ("mae_weight",)),
        **_same("intensity_scale_trainable"),
    },
    TrainingConfig: {
        "epochs": Step("nepochs"),
        "epochs_fine_tune": Step("nepochs"),
        "nll": Step("nll_weight", float, ("mae_weight",)),
        "scheduler": Step("scheduler", lambda name: _SCHEDULERS.get(name.casefold(), name)),
        "output_dir": Step("output_dir", Path),
        "train_data_file": Step("train_data_file", _path),
        "test_data_file": Step("test_data_file", _path),
        **_same(
            "batch_size",
            "n_groups",
            "neighbor_count",
            "torch_loss_mode",
            "torch_mae_pred_l2_match_target",
            "gradient_clip_val",
            "gradient_clip_algorithm",
            "optimizer",
            "momentum",
            "weight_decay",
            "adam_beta1",
            "adam_beta2",
            "lr_warmup_epochs",
            "lr_min_ratio",
            "plateau_factor",
            "plateau_patience",
            "plateau_min_lr",
            "plateau_threshold",
        ),
        "warmup_epochs": Step("lr_warmup_epochs"),
        "min_lr_ratio": Step("lr_min_ratio"),
    },
}
"""Fields that become fields of `ptycho`'s `TrainingConfig`."""

INFERENCE_STEPS: dict[type, dict[str, Step]] = {DataConfig: {**_GROUPING, **_same("subsample_seed")}}
"""Fields that become fields of `ptycho`'s `InferenceConfig`."""


def to_model_config(
    data: DataConfig, model: ModelConfig, overrides: Mapping[str, Any] | None = None
) -> legacy.ModelConfig:
    """The older model settings.

    Args:
        data: pattern size and grid.
        model: network and probe.
        overrides: fields of the older class.

    Raises:
        ConfigError: a grid that is not square, or an unknown mode.
        TypeError: an override that is no field.
    """
    if model.mode.casefold() not in _KINDS:
        raise ConfigError(f"Invalid mode {model.mode!r}. Expected one of ['Supervised', 'Unsupervised'].")
    return _build(legacy.ModelConfig, _values(MODEL_STEPS, (data, model), overrides), overrides)


def to_training_config(
    model_config: legacy.ModelConfig,
    data: DataConfig,
    pt_model: ModelConfig,
    training: TrainingConfig,
    overrides: Mapping[str, Any] | None = None,
) -> legacy.TrainingConfig:
    """The older training settings; `loss_function="MAE"` and `nll=False` both give `nll_weight` 0, `mae_weight` 1.

    Args:
        model_config: what `to_model_config` made.
        data: grouping.
        pt_model: losses and scale.
        training: budget and optimiser.
        overrides: fields of the older class; `n_subsample` among them, which counts patterns there, and not groups.

    Raises:
        TypeError: an override that is no field.
    """
    values = _values(TRAINING_STEPS, (data, pt_model, training), overrides)
    likelihood = training.nll and pt_model.loss_function.casefold() == "poisson"
    values |= {
        "model": model_config,
        "nepochs": training.epochs + training.epochs_fine_tune,
        "nll_weight": float(likelihood),
        "mae_weight": float(not likelihood),
    }
    return _build(legacy.TrainingConfig, values, overrides)


def to_inference_config(
    model_config: legacy.ModelConfig,
    data: DataConfig,
    inference: InferenceConfig,
    overrides: Mapping[str, Any] | None = None,
) -> legacy.InferenceConfig:
    """The older settings of a reconstruction.

    Args:
        model_config: what `to_model_config` made.
        data: grouping.
        inference: has no field that the older class knows.
        overrides: fields of the older class; `model_path` and `test_data_file` must be among them.

    Raises:
        ConfigError: one of these two is missing.
        TypeError: an override that is no field.
    """
    missing = [name for name in ("model_path", "test_data_file") if name not in (overrides or {})]
    if missing:
        raise ConfigError(f"the PyTorch settings do not know {' and '.join(missing)}; give them in overrides")
    values = _values(INFERENCE_STEPS, (data, inference), overrides)
    return _build(legacy.InferenceConfig, {"model": model_config, **values}, overrides)


def _values(
    steps: Mapping[type, Mapping[str, Step]], sources: tuple[Any, ...], overrides: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Field -> value; of two fields with one target the later one wins where it is not at its default."""
    values: dict[str, Any] = {}
    for source in sources:
        default = type(source)()
        for name, step in steps.get(type(source), {}).items():
            value = getattr(source, name)
            if step.field in (overrides or {}) or (step.field in values and value == getattr(default, name)):
                continue
            values[step.field] = step.translate(value)
    return values


def _build(kind: type[Target], values: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> Target:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(overrides or {}) - known)
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {', '.join(unknown)}; overrides name fields of that class")
    return kind(**{**values, **(overrides or {})})
