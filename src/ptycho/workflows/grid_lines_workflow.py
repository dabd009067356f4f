"""The grid-lines study under the legacy names."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from ptychopinn.errors import ConfigError
from ptychopinn.studies.grid_lines import artifacts
from ptychopinn.studies.grid_lines.config import GridLinesConfig as DataSettings

logger = logging.getLogger("ptychopinn.ptycho")
ROWS = ("pinn", "baseline")


class GridLinesConfig(DataSettings):
    """What the data are made of, and how the study trains on them."""

    output_dir: Path | None = None
    """Folder below which `datasets/N{N}/gs{gridsize}` is made."""
    probe_npz: Path | None = None  # type: ignore[assignment]
    """File that holds the probe; without it the ideal disk."""
    outer_offset_train: int = Field(default=8, ge=2, multiple_of=2)
    """Twice the distance of neighbouring groups in the training data, px."""
    nimgs_test: int = Field(default=2, ge=1)
    """Objects in the test data; `run_grid_lines_workflow` scores one."""
    probe_source: Literal["custom", "ideal_disk"] = "custom"
    """`ideal_disk` draws the probe, whatever `probe_npz` says."""
    seed: int | None = Field(default=None, ge=0)  # type: ignore[assignment]
    """Fixes objects and counts; 42 where None."""
    nepochs: int = Field(default=60, ge=1)
    """Epochs of training."""
    batch_size: int = Field(default=16, ge=1)
    """Groups in a batch."""
    nll_weight: float = Field(default=0.0, ge=0)
    """Weight of the Poisson term."""
    mae_weight: float = Field(default=1.0, ge=0)
    """Weight of the mean error of the amplitudes."""
    realspace_weight: float = Field(default=0.0, ge=0)
    """Weight of the real-space terms."""

    def data(self) -> DataSettings:
        """The part that the core's simulator takes."""
        values = self.model_dump(include=set(DataSettings.model_fields))
        probe = None if self.probe_npz is None or self.probe_source == "ideal_disk" else str(self.probe_npz)
        seed = DataSettings.model_fields["seed"].default if self.seed is None else self.seed
        return DataSettings.model_validate(values | {"probe_npz": probe, "seed": seed})


def run_grid_lines_workflow(cfg: GridLinesConfig, tf_models: Sequence[str] = ROWS) -> dict[str, Any]:
    """Simulate, train the rows asked for, reconstruct one test object and score it: `ptychopinn study grid-lines`.

    Args:
        cfg: `output_dir` is needed.
        tf_models: `pinn`, with or without `baseline`; the network is the CNN, the backend that of the environment.

    Returns:
        `metrics` (row -> scores), `paths`, `trials`, `backend`.

    Raises:
        ConfigError: no folder, or another row.
        PtychoPINNError: data or folder cannot be used.
    """
    from ptychopinn.config.backend import training_backend
    from ptychopinn.studies.grid_lines.study import study_grid_lines

    if cfg.output_dir is None:
        raise ConfigError("no folder for the study was named; give GridLinesConfig(output_dir=...)")
    if "pinn" not in tf_models or set(tf_models) - set(ROWS):
        raise ConfigError(f"tf_models is {tuple(tf_models)}; must be ('pinn',) or {ROWS}")
    if cfg.nimgs_test != 1:
        logger.warning("nimgs_test is %d, but the study scores one test object", cfg.nimgs_test)
    backend = training_backend(None)
    weights = {
        "model.loss.poisson_weight": cfg.nll_weight,
        "model.loss.amplitude_mae_weight": cfg.mae_weight,
        "model.loss.realspace_weight": cfg.realspace_weight,
        "training.patterns_per_step": cfg.batch_size * cfg.gridsize**2,
    }
    done = study_grid_lines(
        cfg.data().changed(nimgs_test=1),
        cfg.output_dir,
        seeds=(cfg.data().seed,),
        epochs=cfg.nepochs,
        baseline="baseline" in tf_models,
        iterative=False,
        overrides=[f"{key}={value}" for key, value in weights.items()],
        backends=(backend,),
    )
    metrics = {trial.recipe: trial.report for trial in done.trials}
    return {"metrics": metrics, "paths": done.paths, "trials": done.trials, "backend": backend}


def save_recon_artifact(output_dir: str | Path, label: str, recon_complex: NDArray[Any]) -> Path:
    """Write an image (Y, X) as `recons/<label>/recon.npz` below a folder; returns its path.

    Raises:
        ScanError: not one complex image.
        OutputError: the file cannot be written.
    """
    return artifacts.save_recon_artifact(output_dir, label, recon_complex)


def render_grid_lines_visuals(output_dir: str | Path, order: Sequence[str] | None = None) -> dict[str, str]:
    """Draw the saved images beside the truth, `gt`: `compare` and `frc`, paths of the figures.

    Raises:
        ScanError: the truth or an image is missing, or they do not fit.
        OutputError: a figure cannot be written.
    """
    return {name: str(path) for name, path in artifacts.render_grid_lines_visuals(output_dir, order).items()}
