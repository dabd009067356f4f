"""`ptycho_train`: train on a scan by the settings of legacy PtychoPINN, and reconstruct another one if it is given."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ptycho import params
from ptycho.backend import training_backend
from ptycho.commands import settings
from ptycho.commands.flags import Flag, Options, field_flags
from ptycho.commands.session import command, progress, save_amplitude_and_phase
from ptycho.config.config import ModelConfig, PyTorchExecutionConfig, TrainingConfig, update_legacy_dict
from ptychopinn.cli.console import set_verbosity
from ptychopinn.errors import ConfigError, ScanError

if TYPE_CHECKING:
    from ptychopinn.api.train import Trained
    from ptychopinn.cli.progress import ProgressDisplay
    from ptychopinn.data import Scan


def options(prog: str, example: str, *further: Flag) -> Options:
    """The options of `ptycho_train`, under a name, with further spellings."""
    return Options(
        prog,
        "Train a network on a scan by the settings of legacy PtychoPINN, and reconstruct a second one if it is given.",
        example,
        {
            "run": [settings.CONFIG, settings.QUIET, settings.VERBOSE, STITCHING],
            "training": field_flags(TrainingConfig, settings.NOTES),
            "model": field_flags(ModelConfig, settings.NOTES, section="model"),
            "execution": [
                *settings.EXECUTION_FLAGS,
                Flag("learning_rate", "torch.learning_rate", float, "The same as --torch-learning-rate."),
                *settings.PLATEAU,
            ],
            "old spellings": [*settings.OLD_SPELLINGS, *further],
        },
    )


STITCHING = Flag(
    "do_stitching", "do_stitching", bool, "Reconstruct the scan of --test_data_file after the training (default true)."
)
OPTIONS = options("ptycho_train", "ptycho_train --train_data_file scan.npz --output_dir out")


@command
def main(argv: Sequence[str]) -> None:
    """Do what the words say; as an entry point it returns the exit code."""
    run(argv, OPTIONS)


def run(argv: Sequence[str], known: Options) -> None:
    """Train as the words say, which are among the known options.

    Raises:
        PtychoPINNError: a bad word, or data or settings that cannot be used.
    """
    values = settings.given_values(known, argv)
    settings.needed(values, "train_data_file", "--train_data_file", "the scan to train on")
    set_verbosity(values.get("verbose", False))
    backend = training_backend(values.get("backend"))
    if not values.get("do_stitching", True):
        values.pop("test_data_file", None)
    config, execution = settings.training_settings(values)

    from ptychopinn.api.reconstruct import reconstruct
    from ptychopinn.cli.console import results
    from ptychopinn.cli.summary import show_metrics, show_path

    quiet, folder, made = values.get("quiet", False), config.output_dir, None
    with progress(quiet) as shown:
        trained, test = _train(config, execution, backend, values.get("model.N"), shown)
        if test is not None:
            made = reconstruct(test, trained, folder, device=trained.recipe.training.device, on_batch=shown.on_batch)
            save_amplitude_and_phase(made.reconstruction, folder)
    if quiet:
        return
    results.print(f"trained {len(trained.history['epoch'])} epochs in {trained.seconds:.1f} s", highlight=False)
    if made is not None:
        show_metrics(made.metrics)
    show_path("model", trained.paths["model"])
    show_path("figure", trained.paths["history_figure"] if made is None else made.paths["figure"])


def _train(
    config: TrainingConfig,
    execution: PyTorchExecutionConfig,
    backend: str,
    size: int | None,
    shown: "ProgressDisplay",
) -> "tuple[Trained, Scan | None]":
    """Train into the output folder, and read the scan that will be reconstructed; `config.model.N` is filled in.

    The bundle is written again with what clients find in `ptycho.params.cfg`.
    """
    from ptycho.config.to_recipe import recipe_of, warn_ignored
    from ptycho.model import TrainedModel
    from ptycho.model_manager import save_trained_model
    from ptychopinn.api.backends import fit_prepared
    from ptychopinn.api.inputs import RunLog
    from ptychopinn.api.train import Trained, begin, record_model, write_training

    with RunLog() as log:
        scan, test = _scans(config, size)
        config.model.N = scan.pattern_size
        warn_ignored(config, execution)
        recipe = recipe_of(config, execution, n_patterns=len(scan))
        recipe = recipe.with_overrides([*settings.stitching(execution), f"backend={backend}"])
        start, folder = begin(scan, config.output_dir, recipe, log)
        assert folder is not None
        started = time.perf_counter()
        result = fit_prepared(start, folder, on_epoch=shown.on_epoch)
        seconds = time.perf_counter() - started
        paths = write_training(result, folder)
        update_legacy_dict(params.cfg, config)
        save_trained_model(TrainedModel(result.trained), paths["model"])
        record_model(result, paths["model"])
    return Trained(result.trained, result.history, seconds, paths), test


def _scans(config: TrainingConfig, size: int | None) -> "tuple[Scan, Scan | None]":
    """The scan to train on and the one to reconstruct, whose patterns have one size."""
    from ptychopinn.data import read_scan
    from ptychopinn.data.dose import with_photons

    assert config.train_data_file is not None
    scan = with_photons(read_scan(config.train_data_file), config.nphotons)
    if size not in (None, 0, scan.pattern_size):
        raise ConfigError(f"--N is {size} but the patterns of {scan.source} are {scan.pattern_size} px; leave --N out")
    test = None if config.test_data_file is None else with_photons(read_scan(config.test_data_file), config.nphotons)
    if test is not None and test.pattern_size != scan.pattern_size:
        raise ScanError(
            f"{test.source}: its patterns are {test.pattern_size} px but those of {scan.source} are "
            f"{scan.pattern_size} px; a model reconstructs patterns of the size that it was trained on"
        )
    return scan, test
