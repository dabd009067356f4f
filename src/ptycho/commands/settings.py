"""Settings of the commands: which flags there are, what a YAML file adds, and the configs that follow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ptycho.commands.flags import Flag, Options, field_flags
from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptychopinn.errors import ConfigError

Values = dict[str, Any]
"""Destination of a flag -> value."""

QUIET = Flag("quiet", "quiet", bool, "Show warnings and errors only.")
CONFIG = Flag("config", "config", Path, "YAML file; its keys are the names of the flags, which win over it.")
BACKEND = "pytorch; other backends are refused. PTYCHOPINN_BACKEND says the same."

TRAINING_NOTES: Mapping[str, str] = {
    "train_data_file": "The scan to train on (NPZ).",
    "test_data_file": "A scan to reconstruct afterwards.",
    "output_dir": "Folder for all results.",
    "nepochs": "Passes over the scan.",
    "batch_size": "Groups in one step.",
    "n_groups": "Groups in one pass; every pattern by default.",
    "n_subsample": "Patterns to use; all by default.",
    "subsample_seed": "Fixes which ones.",
    "neighbor_count": "Candidate neighbours of a pattern (K).",
    "nphotons": "Photons per pattern.",
    "probe_trainable": "Fit the probe as well.",
    "backend": BACKEND,
}
INFERENCE_NOTES: Mapping[str, str] = {
    "model_path": "Folder of the training, or its wts.h5.zip.",
    "test_data_file": "The scan to reconstruct (NPZ).",
    "output_dir": "Folder for all results.",
    "n_subsample": "Patterns to use; all by default.",
    "subsample_seed": "Fixes which ones.",
    "debug": "Say what is done and why.",
    "backend": BACKEND,
}
MODEL_NOTES: Mapping[str, str] = {
    "N": "Rows and columns of a pattern; taken from the scan, and checked where given.",
    "gridsize": "A group has gridsize x gridsize patterns.",
    "architecture": "Network; those that exist are named when another one is asked for.",
    "model_type": "Self-supervised, or trained on labels.",
}
EXECUTION_NOTES: Mapping[str, str] = {
    "accelerator": "Where it runs.",
    "logger_backend": "Where losses go: csv, tensorboard or none.",
    "learning_rate": "Peak learning rate.",
    "early_stop_patience": "Epochs without improvement before training stops.",
    "inference_batch_size": "Patterns predicted at once.",
}
EXECUTION_NAMES: Mapping[str, str] = {
    "logger_backend": "logger",
    "accum_steps": "accumulate_grad_batches",
    "checkpoint_monitor_metric": "checkpoint_monitor",
}
OLD_SPELLINGS = [
    Flag("n_images", "n_groups", int, "Now --n_groups.", replaced_by="write --n_groups"),
    Flag("device", "torch.accelerator", str, "Now --torch-accelerator.", replaced_by="write --torch-accelerator"),
    Flag(
        "disable_mlflow",
        "disable_mlflow",
        bool,
        "Not needed: nothing is written to MLflow.",
        replaced_by="nothing is written to MLflow; leave it out",
    ),
]
"""Names of earlier versions, with the destination of the new ones."""


def execution_flags() -> list[Flag]:
    """One flag for every execution setting."""
    return field_flags(PyTorchExecutionConfig, EXECUTION_NOTES, section="torch", names=EXECUTION_NAMES)


def given_values(options: Options, argv: Sequence[str]) -> Values:
    """What the flags say, and below them what the file of `--config` says.

    Raises:
        ConfigError: an unknown key or flag, or a bad value.
    """
    values = options.parse(argv)
    path = values.pop("config", None)
    return {**options.from_mapping(_read_yaml(path), str(path)), **values} if path else values


def training_settings(values: Values) -> tuple[TrainingConfig, PyTorchExecutionConfig]:
    """The configs of a training run.

    Raises:
        ConfigError: a value breaks a rule.
    """
    own = {name: value for name, value in values.items() if name in TrainingConfig.__dataclass_fields__}
    config = TrainingConfig(model=ModelConfig(**_section(values, "model")), **own)
    return config, execution_settings(values)


def inference_settings(values: Values) -> tuple[InferenceConfig, PyTorchExecutionConfig]:
    """The configs of a reconstruction; the model's own settings are those of the archive.

    Raises:
        ConfigError: a value breaks a rule.
    """
    own = {name: value for name, value in values.items() if name in InferenceConfig.__dataclass_fields__}
    return InferenceConfig(model=ModelConfig(), **own), execution_settings(values)


def execution_settings(values: Values) -> PyTorchExecutionConfig:
    """How the run is carried out.

    Raises:
        ConfigError: a value breaks a rule.
    """
    return PyTorchExecutionConfig(**_section(values, "torch"))


def stitching(execution: PyTorchExecutionConfig) -> list[str]:
    """Overrides of a recipe: patches weighted by the probe, or the central window that was asked for.

    The workflows stitch central windows because clients name one; here nobody does, and the probe's weights give the
    better image.
    """
    if execution.middle_trim:
        return ["reconstruction.weight=central", f"reconstruction.window_px={execution.middle_trim}"]
    return ["reconstruction.weight=probe", "reconstruction.window_px=null"]


def needed(values: Values, dest: str, flag: str, what: str) -> Any:
    """A value that must have been given.

    Raises:
        ConfigError: it was not.
    """
    if values.get(dest) is None:
        raise ConfigError(f"{flag} is missing; it names {what}")
    return values[dest]


def _section(values: Values, section: str) -> Values:
    prefix = f"{section}."
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give the path of a YAML file to --config") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: the rule is a mapping such as 'nepochs: 40'")
    return tree
