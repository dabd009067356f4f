"""From the four PyTorch dataclasses to a recipe; docs/config-mapping.md lists every field."""

import logging
from math import comb
from typing import Any, cast

from ptycho.config.checks import with_known_choices
from ptycho.config.field_mapping import FieldMapping, ignored, marks, recipe_values, refuse
from ptycho.config.shared import group_count, mask_radius, merged_together
from ptycho_torch.config_params import DataConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import Four, configs_from
from ptycho_torch.plain_configs import as_dicts as as_dicts
from ptycho_torch.plain_configs import from_dicts as from_dicts
from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn-torch")


def recipe_of(
    data_config: Any, model_config: Any, training_config: Any, inference_config: Any, *, n_patterns: int | None = None
) -> Recipe:
    """The recipe that four configurations mean; each is an object of its class, or a mapping of its fields.

    Where `n_patterns`, the patterns of the scan, is given, no more groups are asked for than it has.

    Raises:
        ConfigError: a value breaks a rule, or asks for what is not available.
        TypeError: a mapping holds an unknown name.

    >>> recipe = recipe_of({"C": 9}, {}, {"batch_size": 4}, {})
    >>> recipe.data.group_size, recipe.data.neighbors, recipe.training.patterns_per_step
    (9, 8, 36)
    """
    four = checked(data_config, model_config, training_config, inference_config)
    data, model, training, _ = four
    values = {
        **recipe_values(*four),
        **_grouping(data, training, n_patterns),
        **mask_radius(bool(model.probe_mask), model.probe_mask_diameter, data.N),
        **_losses(model, training),
        **training.betas(),
        "training.patterns_per_step": training.batch_size * data.C,
    }
    return Recipe.from_dotted(values, "ptycho_torch.config_params")


def checked(*four: Any) -> Four:
    """Copies of the four as objects, every choice of words in its usual spelling.

    Raises:
        ConfigError: an unknown word, or a field that asks for what is not available.
        TypeError: a mapping holds an unknown name.
    """
    configs = configs_from(*four)
    for config in configs:
        refuse(config)
    mask, only_disk = configs[1].probe_mask, marks(ModelConfig, FieldMapping)["probe_mask_tensor"].how
    if not isinstance(mask, bool | None):
        raise ConfigError(f"probe_mask is a {type(mask).__name__}, but {only_disk}")
    if configs[0].C < 1:
        raise ConfigError(f"C must be positive, got {configs[0].C}")
    return cast(Four, tuple(map(with_known_choices, configs)))


def ignored_fields(*configs: Any) -> list[tuple[str, object, str]]:
    """(field, value, reason) of what differs from its default and has no effect, in any of the five dataclasses."""
    return [found for config in configs for found in ignored(config)]


def warn_ignored(*four: Any) -> None:
    """Log one warning for each of the `ignored_fields`, and for each field that contradicts `C`."""
    configs = configs_from(*four)
    for name, value, reason in ignored_fields(*configs) + _against_group_size(configs[0], configs[1]):
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


def _grouping(data: DataConfig, training: TrainingConfig, n_patterns: int | None) -> dict[str, Any]:
    group_size = merged_together(data.C, n_patterns)
    n_groups = data.n_groups if training.n_groups is None else training.n_groups
    pools = (training.neighbor_count, data.neighbor_count, data.K)
    neighbors = max(next(pool for pool in pools if pool is not None), group_size - 1)
    reachable = neighbors if n_patterns is None else max(min(neighbors, n_patterns - 1), group_size - 1)
    return {
        "data.group_size": group_size,
        "data.neighbors": neighbors,
        "data.groups_per_pattern": min(data.n_subsample, comb(reachable, group_size - 1)),
        "data.n_groups": group_count(n_groups, n_patterns, data.C, oversampling=True),
    }


def _losses(model: ModelConfig, training: TrainingConfig) -> dict[str, float]:
    mae = model.loss_function == "MAE" or not training.nll or training.torch_loss_mode == "mae"
    values = {"model.loss.poisson_weight": float(not mae), "model.loss.amplitude_mae_weight": float(mae)}
    if model.amp_loss is not None:
        values[f"model.loss.amplitude_{model.amp_loss.lower()}_weight"] = model.amp_loss_coeff
    if model.phase_loss is not None:
        values[f"model.loss.phase_{model.phase_loss.lower()}_weight"] = model.phase_loss_coeff
    return values
