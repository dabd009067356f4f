"""The fields of both families: those of the earlier system and those that ptychodus 1.7.0 passes."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from ptycho.config import config as older
from ptycho.config.field_mapping import default_of
from ptycho.config.to_recipe import ignored_fields as ignored_by_older
from ptycho.config.to_recipe import recipe_of
from ptycho_torch import config_params as newer
from ptycho_torch.to_recipe import ignored_fields as ignored_by_torch

MODULES: dict[str, Any] = {"ptycho.config.config": older, "ptycho_torch.config_params": newer}
OTHER_DEFAULTS = {
    ("TrainingConfig", "backend"),
    ("InferenceConfig", "backend"),
    ("DataConfig", "N"),
    ("ModelConfig", "probe_mask"),
    ("ModelConfig", "decoder_last_amp_channels"),
    ("TrainingConfig", "strategy"),
    ("TrainingConfig", "orchestrator"),
}
"""Defaults that the client's contract overrules."""


def earlier_default(value: Any) -> Any:
    if isinstance(value, dict):
        key, inner = next(iter(value.items()))
        kinds = {"__required__": lambda _: MISSING, "__path__": Path, "__tuple__": tuple, "__factory__": list}
        return kinds[key](inner)
    return value


@pytest.mark.shared_data
@pytest.mark.parametrize("module", MODULES)
def test_every_field_of_the_earlier_system_is_there_with_its_default(shared_dir: Path, module: str) -> None:
    recorded = json.loads((shared_dir / "parity" / "config_fields.json").read_text())[module]
    for kind, entry in recorded.items():
        ours = {item.name: default_of(item) for item in fields(getattr(MODULES[module], kind))}
        for field in entry["fields"]:
            assert field["name"] in ours, f"{kind}.{field['name']}"
            if (kind, field["name"]) not in OTHER_DEFAULTS:
                assert ours[field["name"]] == earlier_default(field["default"]), f"{kind}.{field['name']}"


@pytest.mark.optional("ptychodus")
def test_the_clients_own_settings_are_our_defaults() -> None:
    """ptychodus builds the five PyTorch configurations; every field that it passes exists and has its default."""
    from ptychodus.api.settings import SettingsRegistry
    from ptychodus.model.ptychopinn_torch import reconstructor, settings

    registry = SettingsRegistry()
    sections = [
        getattr(settings, f"PtychoPINNTorch{part}Settings")(registry)
        for part in ("Data", "Model", "Training", "Inference")
    ]
    built = reconstructor._build_configs("Unsupervised", *sections)
    assert list(built) == [type(config)() for config in built]
    assert ignored_by_torch(*built) == []


@pytest.mark.optional("ptychodus")
@pytest.mark.parametrize("name", ["PINN", "Supervised"])
def test_the_clients_older_settings_need_no_warning(name: str) -> None:
    from ptychodus.api.settings import SettingsRegistry
    from ptychodus.model.ptychopinn import reconstructor, settings

    registry = SettingsRegistry()
    model, training = settings.PtychoPINNModelSettings(registry), settings.PtychoPINNTrainingSettings(registry)
    config = reconstructor._build_training_config(model, training, name)
    inference = reconstructor._build_inference_config(model, name, 64, is_developer_mode_enabled=True)
    assert ignored_by_older(config) == ignored_by_older(inference) == []
    assert recipe_of(config).model.kind == recipe_of(inference).model.kind == name.lower()


def test_an_unknown_name_raises_type_error() -> None:
    for kind in (newer.DataConfig, newer.ModelConfig, newer.TrainingConfig, newer.InferenceConfig, older.ModelConfig):
        with pytest.raises(TypeError):
            kind(no_such_setting=1)


@pytest.mark.parametrize("name", ["n_groups", "neighbor_count"])
def test_the_names_of_the_next_client_are_accepted(name: str) -> None:
    assert getattr(newer.DataConfig(**{name: 5}), name) == 5
