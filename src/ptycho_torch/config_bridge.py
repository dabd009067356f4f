"""From the PyTorch dataclasses to those of `ptycho.config.config`, field by field, such as for `update_legacy_dict`.

What the PyTorch side has no field for comes from `overrides`, which win over everything.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ptycho.config import config as legacy
from ptycho.config.checks import one_of
from ptycho_torch.config_params import DataConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptychopinn.errors import ConfigError

Target = TypeVar("Target")
Overrides = Mapping[str, Any] | None


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


def _kind(mode: str) -> str:
    return "supervised" if one_of("mode", mode, ("Supervised", "Unsupervised")) == "Supervised" else "pinn"


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _activation(name: str) -> str:
    return "swish" if name.casefold() == "silu" else one_of("amp_activation", name, ACTIVATIONS)


ACTIVATIONS = ("sigmoid", "swish", "softplus", "relu")
_OTHERWISE = {
    "grid_size": Step("gridsize", _square),
    "mode": Step("model_type", _kind),
    "amp_activation": Step("amp_activation", _activation),
    "probe_mask": Step("probe_mask", lambda mask: mask if isinstance(mask, bool) else mask is not None),
    "probe_mask_tensor": Step("probe_mask", lambda mask: mask is not None),
    "K": Step("neighbor_count"),
    "loss_function": Step("nll_weight", also=("mae_weight",)),
    "nll": Step("nll_weight", also=("mae_weight",)),
    "epochs": Step("nepochs"),
    "epochs_fine_tune": Step("nepochs"),
    "scheduler": Step("scheduler", lambda name: "WarmupCosine" if name.casefold() == "cosine" else name),
    "output_dir": Step("output_dir", Path),
    "train_data_file": Step("train_data_file", _path),
    "test_data_file": Step("test_data_file", _path),
    "warmup_epochs": Step("lr_warmup_epochs"),
    "min_lr_ratio": Step("lr_min_ratio"),
    "n_subsample": Step(""),
}
"""Fields with another name or value; `n_subsample` counts groups in one family and patterns in the other."""


def steps(source: type, target: type) -> dict[str, Step]:
    """Fields of a PyTorch dataclass that become fields of an older one: those of the same name, and `_OTHERWISE`."""
    known = {item.name for item in fields(target)}
    pairs = ((item.name, _OTHERWISE.get(item.name, Step(item.name))) for item in fields(source))
    return {name: step for name, step in pairs if step.field in known}


def to_model_config(data: DataConfig, model: ModelConfig, overrides: Overrides = None) -> legacy.ModelConfig:
    """The older model settings; `overrides` are fields of the older class, here and below.

    A mask given as an array (`probe_mask_tensor`) has no field there: it becomes `probe_mask=True`.

    Raises:
        ConfigError: a grid that is not square, or an unknown mode or activation.
        TypeError: an override that is no field.
    """
    return _build(legacy.ModelConfig, (data, model), {}, overrides)


def to_training_config(
    model_config: legacy.ModelConfig,
    data: DataConfig,
    pt_model: ModelConfig,
    training: TrainingConfig,
    overrides: Overrides = None,
) -> legacy.TrainingConfig:
    """The older training settings; `loss_function="MAE"` and `nll=False` both give `nll_weight` 0, `mae_weight` 1.

    `n_subsample` of the overrides counts patterns, and not groups.

    Raises:
        ConfigError: no training file, or the default of `nphotons`, which differs in the two families, here and not in
            the overrides.
        TypeError: an override that is no field.
    """
    given = overrides or {}
    if "nphotons" not in given and data.nphotons == DataConfig.nphotons != legacy.TrainingConfig.nphotons:
        raise ConfigError(
            f"nphotons is {data.nphotons:g} by default here but {legacy.TrainingConfig.nphotons:g} there; say which by "
            "overrides={'nphotons': ...}"
        )
    if given.get("train_data_file", training.train_data_file) is None:
        raise ConfigError("no training file was named; give train_data_file in the settings or in overrides")
    likelihood = training.nll and pt_model.loss_function.casefold() == "poisson"
    values = {
        "model": model_config,
        "nepochs": training.epochs + training.epochs_fine_tune,
        "nll_weight": float(likelihood),
        "mae_weight": float(not likelihood),
    }
    return _build(legacy.TrainingConfig, (data, pt_model, training), values, overrides)


def to_inference_config(
    model_config: legacy.ModelConfig, data: DataConfig, inference: InferenceConfig, overrides: Overrides = None
) -> legacy.InferenceConfig:
    """The older settings of a reconstruction; `overrides` must have `model_path` and `test_data_file`.

    Raises:
        ConfigError: one of these two is missing.
        TypeError: an override that is no field.
    """
    missing = [name for name in ("model_path", "test_data_file") if name not in (overrides or {})]
    if missing:
        raise ConfigError(f"the PyTorch settings have no {' and '.join(missing)}; give them in overrides")
    return _build(legacy.InferenceConfig, (data, inference), {"model": model_config}, overrides)


def _build(kind: type[Target], sources: tuple[Any, ...], values: Mapping[str, Any], overrides: Overrides) -> Target:
    """The older dataclass; of two fields with one target the later one wins where it is not at its default."""
    given = {**values, **(overrides or {})}
    unknown = sorted(set(given) - {item.name for item in fields(kind)})  # type: ignore[arg-type]
    if unknown:
        raise TypeError(f"{kind.__name__} has no field {', '.join(unknown)}; overrides name fields of that class")
    found: dict[str, Any] = {}
    for source in sources:
        default = type(source)()
        for name, step in steps(type(source), kind).items():
            value = getattr(source, name)
            if step.field not in given and (step.field not in found or value != getattr(default, name)):
                found[step.field] = step.translate(value)
    return kind(**found, **given)
