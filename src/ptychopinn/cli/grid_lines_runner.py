"""One architecture of the grid-lines study, by the flags of legacy PtychoPINN's runner."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ptychopinn.cli.console import set_verbosity
from ptychopinn.cli.grid_lines import grid_lines_config, run_from_files, run_text, show_study, sim_backend_of
from ptychopinn.cli.progress import ProgressDisplay
from ptychopinn.errors import PtychoPINNError

logger = logging.getLogger("ptychopinn.studies")


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code, 2 where something was refused."""
    options = parser().parse_args(argv)
    set_verbosity(False)
    try:
        _work(options)
    except PtychoPINNError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(description="Train one architecture on grid-lines data and score it.")
    made.add_argument("--train-npz", type=Path, help="training part, or a file with both; simulated without it")
    made.add_argument("--test-npz", type=Path, help="test part; by default the file of the training part")
    made.add_argument("--output-dir", type=Path, required=True)
    made.add_argument("--architecture", default="cnn")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--epochs", type=int, default=60)
    made.add_argument("--batch-size", type=int, help="patterns in a step of the optimiser")
    made.add_argument("--nphotons", type=float, help="counts per pattern of simulated data; files state their own")
    made.add_argument("--nll-weight", type=float, help="of the Poisson likelihood; 1, or 0 in the mode mae")
    made.add_argument("--mae-weight", type=float, help="of the amplitude difference; 0, or 1 in the mode mae")
    made.add_argument("--realspace-weight", type=float, default=0.0, help="of the difference to the true windows")
    made.add_argument("--torch-loss-mode", choices=("poisson", "mae"), default="poisson")
    made.add_argument("--sim-backend", default="torch", help="torch or tf")
    made.add_argument("--N", type=int, default=64)
    made.add_argument("--gridsize", type=int, default=1)
    made.add_argument("--baseline", action="store_true", help="add a supervised row")
    made.add_argument("--iterative", action="store_true", help="add a row of pty-chi's solver, where installed")
    made.add_argument("--config", type=Path, help="recipe file, or the name of a recipe")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting of the recipe")
    return made


def overrides_of(options: argparse.Namespace) -> list[str]:
    """Settings of the recipe that the flags stand for.

    >>> overrides_of(parser().parse_args(["--output-dir", "out", "--torch-loss-mode", "mae"]))
    ['model.loss.poisson_weight=0.0', 'model.loss.amplitude_mae_weight=1.0']
    """
    mae = options.torch_loss_mode == "mae"
    nll_weight = float(not mae) if options.nll_weight is None else options.nll_weight
    mae_weight = float(mae) if options.mae_weight is None else options.mae_weight
    made = [f"model.loss.poisson_weight={nll_weight}", f"model.loss.amplitude_mae_weight={mae_weight}"]
    if options.realspace_weight:
        made += [f"model.loss.realspace_weight={options.realspace_weight}", "model.loss.realspace_mae_weight=1.0"]
    if options.batch_size is not None:
        made.append(f"training.patterns_per_step={options.batch_size}")
    return made + options.set


def _work(options: argparse.Namespace) -> None:
    from ptychopinn.studies.grid_lines.study import study_grid_lines

    simulates = sim_backend_of(options.sim_backend)
    photons = [] if options.nphotons is None else [f"nphotons={options.nphotons!r}"]
    settings = grid_lines_config([f"N={options.N}", f"gridsize={options.gridsize}", *photons])
    data = run_from_files(options.train_npz, options.test_npz, settings)
    if photons and data is not settings:
        logger.warning("--nphotons is not used: the files hold the counts that were recorded")
    with ProgressDisplay() as shown:
        done = study_grid_lines(
            data,
            options.output_dir,
            options.config,
            architectures=[options.architecture],
            seeds=[options.seed],
            epochs=options.epochs,
            baseline=options.baseline,
            iterative=options.iterative,
            overrides=overrides_of(options),
            sim_backend=simulates,
            on_run=lambda done, total, run: shown.on_run(done, total, run_text(run)),
            on_epoch=shown.on_epoch,
        )
    show_study(done)
