"""What a chosen backend runs: training, and models that predict. Nothing else imports `ptychopinn.tensorflow`."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ptychopinn.bundle.layouts import obstacle
from ptychopinn.config import Recipe
from ptychopinn.config.backend import Backend, check_installed, loading_backend
from ptychopinn.models import PatchModel, TrainedModel, build_model
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.simulation import record_patterns as record_by_pytorch
from ptychopinn.training import EpochHook, Fit, Prepared
from ptychopinn.training import fit_prepared as fit_by_pytorch


def check_backend(recipe: Recipe) -> None:
    """Refuse a recipe that its backend cannot train, before any work.

    Raises:
        ConfigError: the backend is not installed, or lacks what a setting asks for.
    """
    check_installed(recipe.backend)
    if recipe.backend == "tensorflow":
        from ptychopinn.tensorflow import check_supported

        check_supported(recipe)


def fit_prepared(
    start: Prepared,
    folder: Path | None = None,
    *,
    resume: bool = False,
    on_epoch: EpochHook | None = None,
    ranks: Ranks = ALONE,
) -> Fit:
    """Train a model by the backend of its recipe; see `ptychopinn.training.fit_prepared`.

    Raises:
        ConfigError: see `check_backend`.
    """
    check_backend(start.recipe)
    if start.recipe.backend == "pytorch":
        return fit_by_pytorch(start, folder, resume=resume, on_epoch=on_epoch, ranks=ranks)
    from ptychopinn.tensorflow import train_by_keras

    return fit_by_pytorch(start, folder, resume=resume, on_epoch=on_epoch, backend=train_by_keras, ranks=ranks)


Recorder = Callable[..., NDArray[Any]]
"""Records patterns of an object, a probe, positions and random numbers; see `ptychopinn.simulation.record_patterns`."""


def recorder_of(backend: str) -> Recorder:
    """What simulates the far field by a backend.

    Raises:
        ConfigError: it is not installed.
    """
    check_installed(backend)
    if backend == "pytorch":
        return record_by_pytorch
    from ptychopinn.tensorflow import record_patterns

    return record_patterns


def run_by(trained: TrainedModel, backend: Backend) -> TrainedModel:
    """The same trained model, predicting by a backend; the one that is given stays as it is."""
    if trained.network.generator.backend == backend:
        return replace(trained, recipe=trained.recipe.changed(backend=backend))
    recipe = trained.recipe.changed(backend=backend)
    if backend == "pytorch":
        return replace(trained, network=_by_pytorch(trained), recipe=recipe)
    from ptychopinn.tensorflow import with_keras

    network = deepcopy(trained.network)
    with_keras(network, recipe)
    return replace(trained, network=network.eval(), recipe=recipe)


def as_requested(trained: TrainedModel, given: str | None, archive: tuple[Backend, ...] | None = None) -> TrainedModel:
    """A model that was loaded, or trained in this process, on the backend of `loading_backend`.

    Args:
        trained: the model.
        given: the backend that the caller names.
        archive: whose weights its archive holds; that of its recipe by default.

    Raises:
        ConfigError: see `loading_backend`.
    """
    recipe = trained.recipe
    return run_by(trained, loading_backend(archive or (recipe.backend,), given, obstacle=obstacle(recipe.model)))


def _by_pytorch(trained: TrainedModel) -> PatchModel:
    state = trained.network.state_dict()
    network = build_model(trained.recipe, trained.network.probe.detach())
    if trained.network.shifts is not None:
        network.fit_positions(len(trained.network.shifts.raw))
    network.load_state_dict(state)
    return network.to(trained.network.log_scale.device).eval()
