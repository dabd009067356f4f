"""Settings of the commands: which flags there are, what a YAML file adds, and the configs that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptycho.commands.flags import Flag, Options, field_flags
from ptycho.config.config import InferenceConfig, ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptychopinn.config.recipe import read_yaml
from ptychopinn.errors import ConfigError

Values = dict[str, Any]
"""Destination of a flag -> value."""

QUIET = Flag("quiet", "quiet", bool, "Show warnings and errors only.")
VERBOSE = Flag("verbose", "verbose", bool, "Show what is done and why.")
CONFIG = Flag("config", "config", Path, "YAML file; its keys are the names of the flags, which win over it.")

NOTES: Mapping[str, str] = {
    "train_data_file": "The scan to train on.",
    "test_data_file": "The scan to reconstruct; by ptycho_train after the training.",
    "model_path": "Folder of the training, or its wts.h5.zip.",
    "output_dir": "Folder for all results.",
    "nepochs": "Passes over the scan.",
    "batch_size": "Groups in one step.",
    "N": "Rows and columns of a pattern; taken from the scan, and checked where given.",
    "debug": "Show what is done and why.",
    "backend": "pytorch or tensorflow, which is an extra. PTYCHOPINN_BACKEND has the same effect.",
}
"""Help of the fields that every user needs; the others have what stands on them."""
EXECUTION_FLAGS = field_flags(
    PyTorchExecutionConfig,
    NOTES,
    {
        "logger_backend": "logger",
        "accum_steps": "accumulate_grad_batches",
        "checkpoint_monitor_metric": "checkpoint_monitor",
    },
    section="torch",
)
NO_MLFLOW = "MLflow is used only where --torch-logger is mlflow; leave both out"
OLD_SPELLINGS = [
    Flag("n_images", "n_groups", int, "Now --n_groups.", replaced_by="write --n_groups"),
    Flag("device", "torch.accelerator", str, "Now --torch-accelerator.", replaced_by="write --torch-accelerator"),
    Flag("disable_mlflow", "disable_mlflow", bool, "Not needed: see --torch-logger.", replaced_by=NO_MLFLOW),
]
"""Names of earlier versions, with the destination of the new ones."""
PLATEAU = [
    Flag(f"torch-plateau-{name.replace('_', '-')}", f"plateau_{name}", kind, f"The same as --plateau_{name}.")
    for name, kind in (("factor", float), ("patience", int), ("min_lr", float), ("threshold", float))
]


def unprefixed(words: Mapping[str, str]) -> list[Flag]:
    """The execution flags without `torch-`, as `python -m ptycho_torch.train` spells them, and further `words`."""
    own = [flag for flag in EXECUTION_FLAGS if flag.name.removeprefix("torch-") not in ("scheduler", *_SHARED)]
    short = [replace(flag, name=flag.name.removeprefix("torch-"), others=()) for flag in own]
    return [*short, *(Flag(word, dest, int, f"The same as --{dest}.") for word, dest in words.items())]


_SHARED = ("gradient-clip-val", "gradient-clip-algorithm", "learning-rate")
"""Fields of the execution settings whose bare names belong to the training settings, or are there already."""


def given_values(options: Options, argv: Sequence[str]) -> Values:
    """The values of the flags, which win, and of the file of `--config`.

    Raises:
        ConfigError: an unknown key or flag, or a bad value.
    """
    values = options.parse(argv)
    path = values.pop("config", None)
    return {**options.from_mapping(read_yaml(path), str(path)), **values} if path else values


def training_settings(values: Values) -> tuple[TrainingConfig, PyTorchExecutionConfig]:
    """The configs of a training run.

    Raises:
        ConfigError: a value breaks a rule.
    """
    model, own = ModelConfig(**_section(values, "model")), _own(values, TrainingConfig)
    execution = PyTorchExecutionConfig(**_section(values, "torch"))
    if values.get("disable_mlflow") and str(execution.logger_backend).casefold() == "mlflow":
        execution.logger_backend = "csv"
    return TrainingConfig(model=model, **own), execution


def inference_settings(values: Values) -> tuple[InferenceConfig, PyTorchExecutionConfig]:
    """The configs of a reconstruction; the model's own settings are those of the archive.

    Raises:
        ConfigError: a value breaks a rule.
    """
    config = InferenceConfig(model=ModelConfig(), **_own(values, InferenceConfig))
    return config, PyTorchExecutionConfig(**_section(values, "torch"))


def stitching(execution: PyTorchExecutionConfig) -> list[str]:
    """Overrides of a recipe: patches weighted by the probe, or the central window that was asked for.

    The workflows stitch central windows because clients name one. Without one the probe's weights give the better
    image.
    """
    if execution.middle_trim:
        return ["reconstruction.weight=central", f"reconstruction.window_px={execution.middle_trim}"]
    return ["reconstruction.weight=probe", "reconstruction.window_px=null"]


def needed(values: Values, dest: str, flag: str, what: str) -> Any:
    """A value that must have been given; a `ConfigError` where it was not.

    Raises:
        ConfigError: it was not.
    """
    if values.get(dest) is None:
        raise ConfigError(f"{flag} is missing; it names {what}")
    return values[dest]


def _own(values: Values, kind: type[TrainingConfig | InferenceConfig]) -> Values:
    return {name: value for name, value in values.items() if name in kind.__dataclass_fields__}


def _section(values: Values, section: str) -> Values:
    prefix = f"{section}."
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
