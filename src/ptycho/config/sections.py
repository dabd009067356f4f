"""Sections of a recipe that both older families of settings translate alike."""

from __future__ import annotations

import copy
import types
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ptycho.config.validation import one_of
from ptychopinn.config import DataConfig
from ptychopinn.errors import ConfigError

Config = TypeVar("Config")

SCHEDULES = {
    "Default": None,
    "Constant": "constant",
    "Exponential": "exponential",
    "Cosine": "cosine",
    "WarmupCosine": "cosine",
    "ReduceLROnPlateau": "plateau",
}
"""Scheduler of the older settings -> ours; None leaves our default."""


def with_known_choices(config: Config) -> Config:
    """A copy of a dataclass in which every choice of words has its usual spelling.

    Raises:
        ConfigError: a word that is none of a field's choices; the message lists them.
    """
    known = copy.copy(config)
    hints = get_type_hints(type(config))
    for item in fields(config):  # type: ignore[arg-type]
        words, may_be_none = _choices(hints[item.name])
        value = getattr(config, item.name)
        if words and not (may_be_none and str(value).casefold() == "none"):
            setattr(known, item.name, one_of(item.name, value, words))
        elif words:
            setattr(known, item.name, None)
    return known


def _choices(hint: Any) -> tuple[tuple[str, ...], bool]:
    """Words that a `Literal` field may take, and whether it may be None."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return tuple(words) if len(parts) - (type(None) in parts) == 1 else (), type(None) in parts


def generator_section(model: Any) -> dict[str, Any]:
    """Architecture, sizes and output of `model.generator`, from a `ModelConfig` of either family."""
    return {
        "architecture": model.architecture,
        "width": 4 * model.n_filters_scale,
        "blocks": model.fno_blocks,
        "spectral_modes": model.fno_modes,
        "output": "real_imaginary" if model.generator_output_mode == "real_imag" else "amplitude_phase",
    }


def probe_section(enabled: bool, diameter_px: float | None, edge_px: float, pattern_size: int) -> dict[str, Any]:
    """The support mask of `model.probe`: a disk of a quarter of the pattern's size, or of the diameter given."""
    if not enabled:
        return {}
    radius = 0.5 if diameter_px is None or not pattern_size else min(diameter_px / pattern_size, 1.0)
    return {"mask_radius": radius, "mask_edge_px": edge_px}


def schedule_section(config: Any, scheduler: str, warmup_epochs: float, min_lr_ratio: float) -> dict[str, Any]:
    """The learning rate's schedule in `training`; what the schedule does not use keeps our default."""
    ours = SCHEDULES[one_of("scheduler", scheduler, tuple(SCHEDULES))]
    if ours is None:
        return {}
    if ours == "cosine":
        return {"scheduler": ours, "warmup_epochs": warmup_epochs, "min_lr_ratio": min_lr_ratio}
    if ours == "plateau":
        names = ("plateau_factor", "plateau_patience", "plateau_min_lr", "plateau_threshold")
        return {"scheduler": ours} | {name: getattr(config, name) for name in names}
    return {"scheduler": ours}


def optimizer_section(config: Any) -> dict[str, Any]:
    """Optimiser and gradient limit in `training`."""
    section: dict[str, Any] = {"optimizer": config.optimizer, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        section["momentum"] = config.momentum
    else:
        section["betas"] = (config.adam_beta1, config.adam_beta2)
    return section | clip_section(config)


def clip_section(config: Any) -> dict[str, Any]:
    """Gradient limit in `training`; none given leaves ours."""
    if config.gradient_clip_val is None:
        return {}
    return {
        "gradient_clip": config.gradient_clip_val,
        "gradient_clip_algorithm": one_of(
            "gradient_clip_algorithm", config.gradient_clip_algorithm, ("norm", "value", "agc")
        ),
    }


def device_of(name: str) -> str:
    """Our name of a device: a GPU where there is one, else the CPU, for the names that ask for any GPU.

    >>> device_of("cuda"), device_of("cuda:1"), device_of("cpu")
    ('auto', 'cuda:1', 'cpu')
    """
    return "auto" if name.casefold() in ("auto", "cuda", "gpu") else name.casefold()


def devices_of(count: int | str) -> int:
    """Number of devices; `auto` is one.

    Raises:
        ConfigError: neither a number nor `auto`.
    """
    if str(count).casefold() == "auto":
        return 1
    try:
        return int(count)
    except ValueError:
        raise ConfigError(f"devices must be a positive integer or 'auto', got {count!r}") from None


def merged_together(patterns: int, available: int | None) -> int:
    """Patterns that one group merges.

    The earlier system shows so many patterns to its network at once, and merges those. Ours sees one at a time, so
    that 1 leaves the merging to our default, which a good image needs.

    >>> merged_together(1, None), merged_together(1, 9), merged_together(4, None)
    (16, 9, 4)
    """
    if patterns > 1:
        return patterns
    usual = DataConfig().group_size
    return usual if available is None else max(1, min(usual, available))


def group_count(n_groups: int | None, n_patterns: int | None, group_size: int, oversampling: bool) -> int | None:
    """Groups that a scan of `n_patterns` patterns can give, as the earlier system counts them.

    Single patterns are never repeated. Larger groups may be more than the patterns only with oversampling.

    Raises:
        ConfigError: more groups than patterns without oversampling.
    """
    if n_groups is None or n_patterns is None or n_groups <= n_patterns:
        return n_groups
    if group_size == 1:
        return n_patterns
    if not oversampling:
        raise ConfigError(
            f"n_groups is {n_groups} but the scan has {n_patterns} patterns to start groups of {group_size} from; "
            "set enable_oversampling=True, lower n_groups, or leave it None for one group for every pattern"
        )
    return n_groups
