"""From the settings of the TensorFlow-era contract to a recipe; docs/config-mapping.md lists every field."""

import copy
import logging
from typing import Any, TypeVar

from ptycho.config.checks import check, with_known_choices
from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptycho.config.field_mapping import ignored, recipe_values
from ptycho.config.shared import group_count, mask_radius, merged_together
from ptychopinn.config import Recipe

Settings = TypeVar("Settings", bound=ModelConfig | TrainingConfig | InferenceConfig)

logger = logging.getLogger("ptychopinn")

WINDOW_PX = 20
"""Central part of a patch that legacy PtychoPINN stitches."""


def recipe_of(
    config: TrainingConfig | InferenceConfig,
    execution: PyTorchExecutionConfig | None = None,
    *,
    n_patterns: int | None = None,
) -> Recipe:
    """The recipe that a configuration means; `ConfigError` where a value breaks a rule or cannot be followed.

    Args:
        config: of a training run, or of a reconstruction (whose training section is the default).
        execution: hardware, arithmetic and bookkeeping; the defaults of the recipe without it.
        n_patterns: patterns in the scan, where known; then no more of them, or groups, are asked for than it has.

    Raises:
        ConfigError: a value breaks a rule, or asks for what is not there.

    >>> recipe = recipe_of(TrainingConfig(ModelConfig(gridsize=2), batch_size=8, nepochs=3))
    >>> recipe.data.group_size, recipe.training.patterns_per_step, recipe.training.epochs
    (4, 32, 3)
    """
    check(config)
    known, model = with_known_choices(_scheduled(config, execution)), with_known_choices(config.model)
    values = {
        "reconstruction.weight": "central",
        "reconstruction.window_px": WINDOW_PX,
        **recipe_values(model, known, *([] if execution is None else [with_known_choices(execution)])),
        **_grouping(known, model, n_patterns),
        **mask_radius(model.probe_mask, model.probe_mask_diameter, model.N),
    }
    if isinstance(known, TrainingConfig):
        only_mae = known.torch_loss_mode == "mae"
        values |= known.betas()
        values["model.loss.poisson_weight"] = 0.0 if only_mae else known.nll_weight
        values["model.loss.amplitude_mae_weight"] = (known.mae_weight or 1.0) if only_mae else known.mae_weight
        values["training.patterns_per_step"] = known.batch_size * model.gridsize**2
    return Recipe.from_dotted(values, "ptycho.config")


def ignored_fields(
    config: ModelConfig | TrainingConfig | InferenceConfig | PyTorchExecutionConfig,
) -> list[tuple[str, object, str]]:
    """(field, value, reason) of what differs from its default and has no effect; its model's too."""
    inner = ignored(config.model) if isinstance(config, TrainingConfig | InferenceConfig) else []
    return ignored(config) + inner


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


def _grouping(config: TrainingConfig | InferenceConfig, model: ModelConfig, n_patterns: int | None) -> dict[str, Any]:
    used = config.n_subsample
    if used is not None and n_patterns is not None:
        used = min(used, n_patterns)
    available = n_patterns if used is None else used
    pool = config.neighbor_count if config.neighbor_pool_size is None else config.neighbor_pool_size
    group_size = merged_together(model.gridsize**2, available)
    return {
        "data.group_size": group_size,
        "data.neighbors": max(pool, group_size - 1),
        "data.n_patterns": used,
        "data.n_groups": group_count(config.n_groups, available, model.gridsize**2, config.enable_oversampling),
    }
