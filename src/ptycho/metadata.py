"""NPZ files that carry metadata, under the legacy name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptycho.config.config import ModelConfig, TrainingConfig
from ptychopinn.data import provenance
from ptychopinn.data.io import atomic_path
from ptychopinn.data.io.door import ObjectArray, open_npz
from ptychopinn.errors import ConfigError, OutputError, ScanError

KEY = "_metadata"
"""Where the JSON text stands in a file."""
SCHEMA_VERSION = "1.0"


class MetadataManager:
    """Metadata are plain JSON values; nothing is pickled or unpickled."""

    @staticmethod
    def save_with_metadata(file_path: str | Path, data_dict: Mapping[str, Any], metadata: Mapping[str, Any]) -> Path:
        """Write arrays and metadata whole or not at all; returns the path.

        An `OutputError` for metadata that JSON cannot hold, arrays of Python objects, or a file that cannot be written.

        Raises:
            OutputError: metadata that JSON cannot hold, arrays of Python objects, or a file that cannot be written.
        """
        arrays = {key: np.asarray(value) for key, value in data_dict.items()}
        objects = [key for key, array in arrays.items() if array.dtype.hasobject]
        if objects:
            raise OutputError(f"{file_path}: {', '.join(objects)} are no arrays of numbers or text; convert them")
        try:
            text = json.dumps(dict(metadata))
        except (TypeError, ValueError) as error:
            raise OutputError(f"{file_path}: the metadata are no plain JSON values ({error}); convert them") from None
        with atomic_path(file_path) as temporary, temporary.open("wb") as file:
            np.savez(file, **{**arrays, KEY: np.array(text)})  # type: ignore[arg-type]
        return Path(file_path)

    @staticmethod
    def load_with_metadata(file_path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
        """The arrays, and the metadata or None.

        A `ScanError` for arrays of Python objects, which are never unpickled, or metadata that are no JSON object.

        Raises:
            FileNotFoundError: no such file.
            ScanError: arrays of Python objects, which are never unpickled, or metadata that are no JSON object.
        """
        if not Path(file_path).exists():
            raise FileNotFoundError(f"{file_path}: no such file; give the path of an NPZ file")
        arrays: dict[str, NDArray[Any]] = {}
        with open_npz(file_path) as archive:
            for key in archive.files:
                try:
                    arrays[key] = archive[key]
                except ObjectArray:
                    if (text := archive.object_text(key)) is None:
                        if archive.header(key)[0] == ():
                            continue  # None, as the tools of legacy PtychoPINN write for what is not there
                        raise
                    arrays[key] = np.array(text)
        if KEY not in arrays:
            return arrays, None
        try:
            metadata = json.loads(str(arrays.pop(KEY)))
        except (ValueError, RecursionError):
            metadata = None
        if not isinstance(metadata, dict):
            raise ScanError(f"{file_path}: {KEY} is no JSON object; correct it or drop the key")
        return arrays, metadata

    @staticmethod
    def create_metadata(config: TrainingConfig, script_name: str, **additional_params: Any) -> dict[str, Any]:
        """What a simulated or transformed file says of its making: settings, dose, and further plain values.

        Args:
            config: settings of the run; `nphotons`, `gridsize` and `N` are what later runs are compared with.
            script_name: what wrote the file.
            additional_params: kept under `additional_parameters`.
        """
        physics = {"nphotons": config.nphotons, "gridsize": config.model.gridsize, "N": config.model.N}
        return {
            "schema_version": SCHEMA_VERSION,
            "creation_info": {"script": script_name},
            "training_config": json.loads(json.dumps(asdict(config), default=str)),
            "physics_parameters": physics,
            "data_transformations": [],
            "additional_parameters": additional_params,
        }

    @staticmethod
    def validate_parameters(metadata: Mapping[str, Any] | None, current_config: TrainingConfig) -> list[str]:
        """One sentence for each of `nphotons`, `gridsize`, `N` in which metadata and a configuration differ."""
        model = current_config.model
        ours = {"nphotons": current_config.nphotons, "gridsize": model.gridsize, "N": model.N}
        return provenance.differences(metadata or {}, ours)

    @staticmethod
    def add_transformation_record(
        metadata: Mapping[str, Any], tool_name: str, operation: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A copy of metadata with one more step in `data_transformations`."""
        return provenance.with_step(metadata, tool_name, operation, parameters)

    @staticmethod
    def get_nphotons(metadata: Mapping[str, Any] | None, default: float = 1e9) -> float:
        """The photons per pattern that metadata state, else the default."""
        stated = metadata or {}
        return float((stated.get(provenance.PHYSICS) or stated).get("nphotons", default))

    @staticmethod
    def merge_metadata(
        metadata_list: Sequence[Mapping[str, Any]], merge_strategy: str = "preserve_first"
    ) -> dict[str, Any]:
        """As `ptychopinn.data.provenance.merged`."""
        return provenance.merged(metadata_list, merge_strategy)


def load_config_from_metadata(metadata: Mapping[str, Any]) -> TrainingConfig:
    """The `TrainingConfig` of `MetadataManager.create_metadata`; unknown names are left out.

    Raises:
        ConfigError: the metadata hold no settings.
    """
    stored = metadata.get("training_config")
    if not isinstance(stored, Mapping):
        raise ConfigError("the metadata hold no training_config; they were not made by MetadataManager.create_metadata")
    model = {item.name: stored["model"][item.name] for item in fields(ModelConfig) if item.name in stored["model"]}
    paths = ("train_data_file", "test_data_file", "output_dir")
    own: dict[str, Any] = {
        item.name: Path(stored[item.name]) if item.name in paths and stored[item.name] else stored[item.name]
        for item in fields(TrainingConfig)
        if item.name in stored and item.name not in ("model", "n_images")
    }
    return TrainingConfig(model=ModelConfig(**model), **own)
