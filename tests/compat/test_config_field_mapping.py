"""Every field of every family, set to another value, is found where docs/config-mapping.md says, and nowhere else."""

import importlib.util
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from ptycho.config import to_recipe as older
from ptycho.config.config import (
    InferenceConfig,
    ModelConfig,
    PyTorchExecutionConfig,
    TrainingConfig,
    dataclass_to_legacy_dict,
)
from ptycho.config.field_mapping import ANY, FieldMapping, default_of, marks
from ptycho_torch import config_params as newer
from ptycho_torch import to_recipe as torch_side
from ptycho_torch.config_bridge import to_model_config, to_training_config
from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "config-mapping.md"

OTHER_VALUES: dict[str, Any] = {
    "architecture": "fno",
    "accelerator": "cpu",
    "scheduler": "Exponential",
    "device": "cpu",
    "precision": "bf16-mixed",
    "logger_backend": "tensorboard",
    "grid_size": (3, 3),
    "x_bounds": (0.2, 0.5),
    "y_bounds": (0.2, 0.5),
    "measurement_domain": "normalized_amplitude",
    "n_groups": 150,
    "n_images": 150,
    "probe_mask": True,
    "probe_mask_diameter": 16.0,
    "probe_mask_tensor": [[1.0]],
    "recon_log_fixed_indices": [1],
    "adam_beta1": 0.5,
    "adam_beta2": 0.5,
    "momentum": 0.5,
    "plateau_factor": 0.25,
    "mae_weight": 0.5,
    "nll_weight": 0.5,
    "realspace_mae_weight": 0.5,
    "realspace_weight": 0.5,
    "n_subsample": 2,
    "strategy": "fsdp",
    "num_workers": 3,
    "nphotons": 123.0,
    "lr_min_ratio": 0.5,
    "min_lr_ratio": 0.5,
    "checkpoint_mode": "max",
    "checkpoint_monitor_metric": "train_loss",
    "finetune_val_split": 0.2,
    "neighbor_function": "4_quadrant",
    "neighbor_count": 8,
}
"""Where the rule of `another_value` would give one that is not allowed, or needs no warning."""

GIVEN: dict[str, Any] = {
    "gradient_clip_val": 2.0,
    "amp_loss": "Mean_Deviation",
    "phase_loss": "Mean_Deviation",
    "n_groups": 150,
    "N": 64,
    "recon_log_every_n_epochs": 2,
    "stage_3_epochs": 5,
}
"""Values that stand for `ANY` in the conditions of a field."""


OTHERWISE: dict[str, Any] = {
    "optimizer": "sgd",
    "torch_loss_mode": "mae",
    "architecture": "fno",
    "enable_checkpointing": False,
    "stage_1_epochs": 5,
    "stage_2_epochs": 5,
    "stage_3_epochs": 5,
}
"""Values of fields whose default meets the condition of others."""


def another_value(kind: type, name: str) -> Any:
    """An allowed value of a field that is not its default."""
    item = kind.__dataclass_fields__[name]
    default, hint = default_of(item), get_type_hints(kind)[name]
    if name in OTHER_VALUES and OTHER_VALUES[name] != default:
        return OTHER_VALUES[name]
    words = [
        word for part in (hint, *get_args(hint)) if str(get_origin(part)).endswith("Literal") for word in get_args(part)
    ]
    if words and not isinstance(default, bool | int):
        return next(word for word in words if word != default)
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        return default + 1
    if isinstance(default, Path) or default is MISSING or "Path" in str(hint):
        return Path("other.npz")
    return {int: 3, float: 0.5, str: "other"}.get(next(iter(get_args(hint)), hint), ["other"])


@dataclass(frozen=True)
class Field:
    """One field of one class, and how to make a recipe and a legacy dictionary of a value."""

    kind: type
    name: str
    entry: FieldMapping

    @property
    def context(self) -> dict[str, Any]:
        """Values of other fields with which this one acts."""
        return {
            other: GIVEN.get(other) if values == (ANY,) else values[0] for other, values in self.entry.given.items()
        }

    def made(self, values: dict[str, Any]) -> Any:
        """The configuration of this class with some values."""
        if self.kind is TrainingConfig:
            return TrainingConfig(**{"model": ModelConfig(gridsize=2), **values})
        if self.kind is InferenceConfig:
            start = {"model": ModelConfig(gridsize=2), "model_path": Path("m"), "test_data_file": Path("t")}
            return InferenceConfig(**start | values)
        return self.kind(**values)

    def recipe(self, config: Any) -> Recipe:
        """What a configuration of this class means, all others at their defaults."""
        if self.kind in OLDER_KINDS:
            return self._older_recipe(config)
        four = [config if isinstance(config, kind) else kind() for kind in TORCH_KINDS]
        return torch_side.recipe_of(*four)

    def _older_recipe(self, config: Any) -> Recipe:
        if self.kind is PyTorchExecutionConfig:
            return older.recipe_of(TrainingConfig(ModelConfig()), config)
        return older.recipe_of(TrainingConfig(config) if self.kind is ModelConfig else config)

    def legacy(self, config: Any) -> dict[str, Any]:
        """The legacy dictionary that it fills; through the bridge for the PyTorch family."""
        if self.kind in OLDER_KINDS:
            return {} if self.kind is PyTorchExecutionConfig else dataclass_to_legacy_dict(config)
        data, model, training, _ = (config if isinstance(config, kind) else kind() for kind in TORCH_KINDS)
        said = {} if data.nphotons != newer.DataConfig.nphotons else {"nphotons": newer.DataConfig.nphotons}
        if training.train_data_file is None:
            said["train_data_file"] = Path("train.npz")
        return dataclass_to_legacy_dict(to_training_config(to_model_config(data, model), data, model, training, said))


TORCH_KINDS = (newer.DataConfig, newer.ModelConfig, newer.TrainingConfig, newer.InferenceConfig)
OLDER_KINDS = (ModelConfig, TrainingConfig, InferenceConfig, PyTorchExecutionConfig)
KINDS = (*OLDER_KINDS, *TORCH_KINDS, newer.DatagenConfig)
FIELDS = [
    pytest.param(
        Field(kind, item.name, marks(kind, FieldMapping).get(item.name, FieldMapping())),
        id=f"{kind.__module__.split('.')[0]}.{kind.__name__}.{item.name}",
    )
    for kind in KINDS
    for item in fields(kind)
    if item.name != "model" and kind is not newer.DatagenConfig
]


def differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted keys whose values differ."""
    found = set()
    for key in before.keys() | after.keys():
        one, two = before.get(key), after.get(key)
        if isinstance(one, dict) and isinstance(two, dict):
            found |= differences(one, two, f"{prefix}{key}.")
        elif one != two:
            found.add(prefix + key)
    return found


@cache
def mapping_page() -> Any:
    """The script that writes the page, as a module."""
    spec = importlib.util.spec_from_file_location("make_config_mapping", PAGE.with_name("make_config_mapping.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_an_entry_and_every_entry_a_field(kind: type) -> None:
    assert is_dataclass(kind)
    assert set(marks(kind, FieldMapping)) == {item.name for item in fields(kind)}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.filterwarnings("ignore:Parameter 'n_images':DeprecationWarning")
def test_a_field_set_to_another_value_arrives_where_the_table_says(field: Field) -> None:
    value = another_value(field.kind, field.name)
    before, after = field.made(field.context), field.made({**field.context, field.name: value})
    assert before != after
    ignored = (older.ignored_fields if field.kind in OLDER_KINDS else torch_side.ignored_fields)(after)
    complained = [name for name, *_ in ignored if name == field.name]
    if field.entry.refused:
        with pytest.raises(ConfigError, match=field.name):
            field.recipe(after)
        return
    if field.name == "enable_oversampling":
        with pytest.raises(ConfigError, match="enable_oversampling=True"):
            older.recipe_of(before, n_patterns=100)
        assert older.recipe_of(after, n_patterns=100).data.n_groups == 150
        return
    changed = differences(field.recipe(before).model_dump(mode="json"), field.recipe(after).model_dump(mode="json"))
    assert changed <= set(field.entry.paths)
    assert bool(changed) == bool(field.entry.paths)
    quiet = field.entry.quiet == (ANY,) or value in field.entry.quiet
    assert bool(complained) == (not field.entry.has_effect and not quiet)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.filterwarnings("ignore:Parameter 'n_images':DeprecationWarning")
def test_a_field_set_to_another_value_arrives_in_the_legacy_dictionary(field: Field) -> None:
    family = field.kind.__module__.split(".")[0]
    value = another_value(field.kind, field.name)
    before, after = field.made({}), field.made({field.name: value})
    keys = set(mapping_page().legacy_keys(field.kind, field.name))
    changed = differences(field.legacy(before), field.legacy(after))
    assert changed == keys | ({"n_groups"} if field.name == "n_images" else set())
    if family == "ptycho" and keys:
        expected = value if "data_file" not in field.name and field.name != "output_dir" else str(value)
        assert field.legacy(after)[keys.pop()] == expected


@pytest.mark.parametrize("field", [param for param in FIELDS if param.values[0].entry.given])
def test_a_field_whose_condition_is_not_met_is_named_with_its_condition(field: Field) -> None:
    """Set without the value of another field that it needs, it changes nothing and says what it needs."""
    unmet = {
        other: default_of(field.kind.__dataclass_fields__[other])
        for other, values in field.entry.given.items()
        if values != (ANY,)
    }
    if any(unmet[other] in field.entry.given[other] for other in unmet):
        unmet |= {name: OTHERWISE[name] for name in unmet}
    if field.kind is ModelConfig:
        unmet |= {"N": 64}
    before, after = field.made(unmet), field.made({**unmet, field.name: another_value(field.kind, field.name)})
    assert field.recipe(before) == field.recipe(after)
    ignored = (older.ignored_fields if field.kind in OLDER_KINDS else torch_side.ignored_fields)(after)
    assert [field.entry.condition in reason for name, _, reason in ignored if name == field.name] == [True]


def test_defaults_are_never_named_as_ignored() -> None:
    assert older.ignored_fields(TrainingConfig(ModelConfig())) == []
    assert older.ignored_fields(PyTorchExecutionConfig()) == []
    assert torch_side.ignored_fields(*(kind() for kind in (*TORCH_KINDS, newer.DatagenConfig))) == []


def test_settings_of_simulated_data_are_read_where_data_are_made() -> None:
    for item in fields(newer.DatagenConfig):
        assert "datagen" in marks(newer.DatagenConfig, FieldMapping)[item.name].read_by
        changed = newer.DatagenConfig(**{item.name: another_value(newer.DatagenConfig, item.name)})
        assert torch_side.ignored_fields(changed) == []


def test_the_page_of_the_mapping_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == mapping_page().page(), "run: python docs/make_config_mapping.py"
