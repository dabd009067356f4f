"""`ptycho_inference`: reconstruct a scan with a model that `ptycho_train` or `ptychopinn` has saved."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ptycho.backend import loading_backend
from ptycho.commands.flags import Options, field_flags
from ptycho.commands.session import finish, progress
from ptycho.commands.settings import (
    CONFIG,
    INFERENCE_NOTES,
    OLD_SPELLINGS,
    QUIET,
    execution_flags,
    given_values,
    inference_settings,
    needed,
    stitching,
)
from ptycho.config.config import InferenceConfig, PyTorchExecutionConfig
from ptychopinn.cli.console import set_verbosity

if TYPE_CHECKING:
    from pathlib import Path

    from ptychopinn.api.reconstruct import Reconstructed
    from ptychopinn.cli.progress import ProgressDisplay
    from ptychopinn.data import Scan

logger = logging.getLogger("ptychopinn")
FOLLOWED = {
    "config",
    "quiet",
    "debug",
    "model_path",
    "test_data_file",
    "output_dir",
    "n_subsample",
    "subsample_seed",
    "backend",
    "disable_mlflow",
    "torch.accelerator",
    "torch.inference_batch_size",
    "torch.middle_trim",
}
"""Destinations of the flags that change a reconstruction; the others are accepted with a warning."""

OPTIONS = Options(
    "ptycho_inference",
    "Reconstruct a scan with a trained model: pictures, image and metrics.",
    "ptycho_inference --model_path out --test_data scan.npz --output_dir recon",
    {
        "run": [CONFIG, QUIET],
        "inference": field_flags(
            InferenceConfig, INFERENCE_NOTES, names={"test_data_file": "test_data"}, skip=("model", "n_images")
        ),
        "execution": execution_flags(),
        "old spellings": OLD_SPELLINGS,
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns its exit code."""
    return finish(_work, argv)


def _work(argv: Sequence[str]) -> None:
    values = given_values(OPTIONS, argv)
    needed(values, "model_path", "--model_path", "the folder of a trained model")
    needed(values, "test_data_file", "--test_data", "the scan to reconstruct")
    set_verbosity(values.get("debug", False))
    for dest in sorted(set(values) - FOLLOWED):
        logger.warning("%s is not followed: every pattern is reconstructed as the model was trained", dest)
    config, execution = inference_settings(values)
    quiet = values.get("quiet", False)
    with progress(quiet) as shown:
        made = _reconstruct(config, execution, values.get("backend"), shown)
    if not quiet:
        _summarise(made)


def _reconstruct(
    config: InferenceConfig, execution: PyTorchExecutionConfig, backend: str | None, shown: "ProgressDisplay"
) -> "Reconstructed":
    """Reconstruct into the output folder.

    Raises:
        PtychoPINNError: model, scan, a setting or the folder cannot be used; nothing has been written then.
    """
    from ptycho.commands.pictures import save_amplitude_and_phase
    from ptycho.config.to_recipe import recipe_of
    from ptychopinn.api.model_files import load_model
    from ptychopinn.api.reconstruct import reconstruct
    from ptychopinn.api.train import Trained

    wanted = recipe_of(config, execution)
    network, recipe = load_model(config.model_path)
    loading_backend(recipe.backend, backend)
    made = reconstruct(
        _scan(config),
        Trained(network, recipe, history={}, seconds=0.0, paths={}),
        config.output_dir,
        overrides=_overrides(execution),
        device=wanted.training.device,
        on_batch=shown.on_batch,
    )
    amplitude, phase = save_amplitude_and_phase(made.reconstruction, config.output_dir)
    return replace(made, paths={**made.paths, "amplitude": amplitude, "phase": phase})


def _scan(config: InferenceConfig) -> "Path | Scan":
    """The file of the scan, or as many of its patterns as the config wants."""
    if config.n_subsample is None:
        return config.test_data_file
    import numpy as np

    from ptychopinn.data import read_scan, subsample

    seed = 0 if config.subsample_seed is None else config.subsample_seed
    return subsample(read_scan(config.test_data_file), config.n_subsample, "random", np.random.default_rng(seed))


def _overrides(execution: PyTorchExecutionConfig) -> list[str]:
    if execution.inference_batch_size is None:
        return stitching(execution)
    return [*stitching(execution), f"reconstruction.batch_size={execution.inference_batch_size}"]


def _summarise(made: "Reconstructed") -> None:
    from ptychopinn.cli.summary import show_metrics, show_path

    show_metrics(made.metrics)
    show_path("amplitude", made.paths["amplitude"])
    show_path("phase", made.paths["phase"])
    show_path("picture", made.paths["picture"])
