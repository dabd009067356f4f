"""The five configurations of a run, held together."""

import logging
from pathlib import Path
from typing import Any

from ptycho_torch.api.task_log import CLIENT
from ptycho_torch.config_params import DataConfig, DatagenConfig, InferenceConfig, ModelConfig, TrainingConfig
from ptycho_torch.plain_configs import KINDS, Four
from ptycho_torch.to_recipe import recipe_of
from ptychopinn.api.client_settings import change_fields, differing_fields, flat_fields, read_sections
from ptychopinn.config import Recipe

logger = logging.getLogger(CLIENT)
SECTIONS = (*KINDS, "datagen_config")
"""Attributes of a manager."""
ARCHITECTURE = (
    *(f"data_config.{name}" for name in ("N", "C", "grid_size")),
    *(f"model_config.{name}" for name in ("architecture", "n_filters_scale")),
    *(f"model_config.fno_{name}" for name in ("modes", "width", "blocks", "cnn_blocks")),
)
"""Fields that decide whether weights fit a network."""


class ConfigManager:
    """Holds the configurations under the names of its arguments; each may be changed at any time.

    Each has its defaults where none is given.
    """

    def __init__(
        self,
        data_config: DataConfig | None = None,
        model_config: ModelConfig | None = None,
        training_config: TrainingConfig | None = None,
        inference_config: InferenceConfig | None = None,
        datagen_config: DatagenConfig | None = None,
    ) -> None:
        self.data_config = data_config or DataConfig()
        self.model_config = model_config or ModelConfig()
        self.training_config = training_config or TrainingConfig()
        self.inference_config = inference_config or InferenceConfig()
        self.datagen_config = datagen_config or DatagenConfig()

    @classmethod
    def _from_json(cls, json_path: str | Path) -> "ConfigManager":
        """The configurations of a JSON file: any of the five by name, each a mapping of its fields.

        Raises:
            FileNotFoundError: no such file.
            ConfigError: it is no JSON object.
            TypeError: an unknown name.
        """
        manager = cls()
        manager.read(json_path)
        return manager

    def read(self, json_path: str | Path) -> None:
        """Change what a JSON file names; errors are those of `_from_json`."""
        self.update(**read_sections(json_path, SECTIONS))

    @classmethod
    def from_configs(
        cls,
        model_config: ModelConfig | None = None,
        data_config: DataConfig | None = None,
        training_config: TrainingConfig | None = None,
        inference_config: InferenceConfig | None = None,
        datagen_config: DatagenConfig | None = None,
    ) -> "ConfigManager":
        """As the constructor, the model first."""
        return cls(data_config, model_config, training_config, inference_config, datagen_config)

    def to_tuple(self) -> tuple[DataConfig, ModelConfig, TrainingConfig, InferenceConfig, DatagenConfig]:
        """All five."""
        return (*self.four, self.datagen_config)

    @classmethod
    def from_loaded_model(cls, ptycho_model: Any) -> "ConfigManager":
        """The configurations that a model was saved with."""
        return cls(**{name: getattr(ptycho_model, name) for name in KINDS})

    def recipe(self, n_patterns: int | None = None) -> Recipe:
        """What the configurations mean, see `ptycho_torch.to_recipe`.

        Raises:
            ValueError: values that contradict each other, or that no setting may have.
        """
        return recipe_of(*self.four, n_patterns=n_patterns)

    @property
    def four(self) -> Four:
        """All but the simulation's, in the order in which they are always given."""
        return self.data_config, self.model_config, self.training_config, self.inference_config

    @property
    def named(self) -> dict[str, Any]:
        """The same by name."""
        return dict(zip(KINDS, self.four, strict=True))

    def update(
        self,
        data_config: Any = None,
        model_config: Any = None,
        training_config: Any = None,
        inference_config: Any = None,
        datagen_config: Any = None,
        **fields: Any,
    ) -> None:
        """Change fields by name, or those of one configuration by a mapping.

        `update(N=64)` finds the configuration that has the field; `update(training_config={"batch_size": 8})` names it,
        which is needed where two have it; a configuration object takes the place of the old one.

        Raises:
            TypeError: no configuration has such a field.
            ValueError: several have it.
        """
        given = (data_config, model_config, training_config, inference_config, datagen_config)
        sections = {name: value for name, value in zip(SECTIONS, given, strict=True) if value is not None}
        change_fields(self, SECTIONS, {**sections, **fields})

    def flat(self) -> dict[str, Any]:
        """Every field as `section.field`."""
        return flat_fields(self, SECTIONS)

    def validate_arch_compatibility(self, ptycho_model: Any) -> None:
        """Refuse a model whose network these configurations do not describe.

        Raises:
            ValueError: which fields differ, with both values.
        """
        theirs = ConfigManager.from_loaded_model(ptycho_model).flat()
        differing = differing_fields(self.flat(), theirs, ARCHITECTURE)
        if differing:
            raise ValueError(
                f"the configuration does not describe the loaded network: {', '.join(differing)}; "
                "take ConfigManager.from_loaded_model(model), or train a model with this configuration"
            )
