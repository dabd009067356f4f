"""`ptycho_inference`: reconstruct a scan with a model that `ptycho_train` or `ptychopinn` has saved."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptycho.backend import requested_backend
from ptycho.commands import settings
from ptycho.commands.flags import Flag, Options, field_flags
from ptycho.commands.session import command, progress, save_amplitude_and_phase
from ptycho.config.config import InferenceConfig
from ptychopinn.cli.console import set_verbosity
from ptychopinn.data.io import check_output_folder

if TYPE_CHECKING:
    from ptychopinn.data import Scan

logger = logging.getLogger("ptychopinn")
FOLLOWED = {
    *("config", "quiet", "debug", "model_path", "test_data_file", "output_dir", "n_subsample", "subsample_seed"),
    *("backend", "disable_mlflow", "torch.accelerator", "torch.inference_batch_size", "torch.middle_trim", "verbose"),
    *("comparison_plot", "phase_vmin", "phase_vmax", "debug_dump"),
}
"""Destinations of the flags that change a reconstruction; the others are accepted with a warning."""


def options(prog: str, example: str, *further: Flag) -> Options:
    """The options of `ptycho_inference`, under a name, with further spellings."""
    return Options(
        prog,
        "Reconstruct a scan with a trained model: figures, image and metrics.",
        example,
        {
            "run": [settings.CONFIG, settings.QUIET, settings.VERBOSE, *PICTURES],
            "inference": field_flags(InferenceConfig, settings.NOTES, {"test_data_file": "test_data"}),
            "execution": settings.EXECUTION_FLAGS,
            "old spellings": [*settings.OLD_SPELLINGS, *further],
        },
    )


PICTURES = [
    Flag("comparison_plot", "comparison_plot", bool, "Draw the image beside the object of the scan: comparison.png."),
    Flag("phase_vmin", "phase_vmin", float, "Lowest phase of the colours, rad."),
    Flag("phase_vmax", "phase_vmax", float, "Highest phase of the colours, rad."),
    Flag("debug_dump", "debug_dump", Path, "Folder for the arrays of the image, as reconstruction.npz."),
]
OPTIONS = options("ptycho_inference", "ptycho_inference --model_path out --test_data scan.npz --output_dir recon")


@command
def main(argv: Sequence[str]) -> None:
    """Do what the words say; as an entry point it returns the exit code."""
    run(argv, OPTIONS)


def run(argv: Sequence[str], known: Options) -> None:
    """Reconstruct as the words say, which are among the known options.

    Raises:
        PtychoPINNError: a bad word, or a model or data that cannot be used.
    """
    values = settings.given_values(known, argv)
    settings.needed(values, "model_path", "--model_path", "the folder of a trained model")
    settings.needed(values, "test_data_file", "--test_data", "the scan to reconstruct")
    set_verbosity(values.get("debug", False) or values.get("verbose", False))
    for dest in sorted(set(values) - FOLLOWED):
        logger.warning("%s is not followed: every pattern is reconstructed as the model was trained", dest)

    from ptycho.config.to_recipe import recipe_of
    from ptychopinn.api.reconstruct import reconstruct
    from ptychopinn.cli.comparison_figure import comparison_figure, phase_limits
    from ptychopinn.cli.summary import show_metrics, show_path

    config, execution = settings.inference_settings(values)
    overrides, batch = settings.stitching(execution), execution.inference_batch_size
    if batch is not None:
        overrides.append(f"reconstruction.batch_size={batch}")
    device = recipe_of(config, execution).training.device
    if backend := requested_backend(values.get("backend")):
        overrides.append(f"backend={backend}")
    with progress(values.get("quiet", False)) as shown:
        made = reconstruct(
            _scan(config),
            config.model_path,
            config.output_dir,
            overrides=overrides,
            device=device,
            on_batch=shown.on_batch,
        )
        limits = phase_limits(values.get("phase_vmin"), values.get("phase_vmax"))
        amplitude, phase = save_amplitude_and_phase(made.reconstruction, config.output_dir, limits)
    if "debug_dump" in values:
        made.reconstruction.save(check_output_folder(values["debug_dump"]) / "reconstruction.npz")
    compared = (
        comparison_figure(made.reconstruction, config.test_data_file, config.output_dir)
        if values.get("comparison_plot", False)
        else None
    )
    if values.get("quiet", False):
        return
    show_metrics(made.metrics)
    show_path("amplitude", amplitude)
    show_path("phase", phase)
    show_path("figure", made.paths["figure"])
    show_path("comparison", compared)


def _scan(config: InferenceConfig) -> "Path | Scan":
    """The file of the scan, or as many of its patterns as the config wants."""
    if config.n_subsample is None:
        return config.test_data_file
    import numpy as np

    from ptychopinn.data import read_scan, subsample

    seed = 0 if config.subsample_seed is None else config.subsample_seed
    return subsample(read_scan(config.test_data_file), config.n_subsample, "random", np.random.default_rng(seed))
