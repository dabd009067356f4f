"""Which settings of a trained model may still be changed when a scan is reconstructed with it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptychopinn.api.inputs import RecipeSource, stated_recipe
from ptychopinn.config import Recipe
from ptychopinn.config.text import leaves
from ptychopinn.errors import ConfigError

_READING = [
    "fftshift",
    "domain",
    "axis_order",
    "position_origin",
    "position_unit",
    "position_scale",
    "entry",
    "detector",
    "position_names",
    "source_distance_m",
    "energy_eV",
    "distance_m",
    "detector_pixel_m",
    "mask_bits",
    "dark",
    "drop_frames",
    "invert_mask",
    "mask_pixels",
    "flip_patterns",
    "transpose_patterns",
    "flip_positions",
    "swap_positions",
    "reverse_positions",
    "shift_positions",
    "conjugate_probe",
]
OPEN = (*(f"data.{name}" for name in _READING), "training.threads")
"""How the scan is read, and the number of threads; all of `reconstruction` is open too."""
OPEN_SECTION = "reconstruction."
_FILLED_BY_TRAINING = ("fitted", "training.epochs", "training.stages.data_loss")
"""Null or `auto` in a recipe until training writes a value."""
_NAMED = 5
"""Settings that an error names."""


def with_open_settings(trained: Recipe, recipe: RecipeSource, overrides: Sequence[str]) -> Recipe:
    """The recipe of a trained model with those settings of another recipe, and of overrides, that training left open.

    A setting that training fixed may be repeated with the model's own value. Settings that the other recipe does not
    mention keep the model's values.

    Raises:
        ConfigError: a setting that training fixed has another value; the message names it with both values.
    """
    if recipe is not None:
        given = stated_recipe(recipe)
        asked = leaves(given.model_dump(mode="json", exclude_unset=True))
        where = str(recipe) if isinstance(recipe, str | Path) else "recipe"
        _refuse_fixed(asked, trained, where)
        overrides = [*(f"{key}={json.dumps(asked[key])}" for key in asked if _is_open(key)), *overrides]
    if not overrides:
        return trained
    changed = trained.with_overrides(overrides)
    _refuse_fixed(leaves(changed.model_dump(mode="json")), trained, "override")
    return changed


def _refuse_fixed(asked: Mapping[str, Any], trained: Recipe, where: str) -> None:
    fixed = leaves(trained.model_dump(mode="json"))
    wrong = [
        f"{key} is {value!r} here but {fixed.get(key)!r} in the model"
        for key, value in asked.items()
        if not _is_open(key)
        and value != fixed.get(key)
        and not (value in (None, "auto") and key in _FILLED_BY_TRAINING)
    ]
    if wrong:
        more = f", and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise ConfigError(
            f"{where}: {', '.join(wrong[:_NAMED])}{more}; a trained model has fixed "
            f"{'this setting' if len(wrong) == 1 else 'these settings'}; only {OPEN_SECTION}*, how the scan is read "
            "and training.threads may be changed; remove what differs, or train a model with it"
        )


def _is_open(key: str) -> bool:
    return key in OPEN or key.startswith(OPEN_SECTION)
