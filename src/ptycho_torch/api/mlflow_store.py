"""Models of the high-level API in MLflow: the archive and the configurations as plain files, never a pickled model."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ptycho_torch.api.config_manager import ConfigManager
from ptycho_torch.plain_configs import Four, as_dicts, from_dicts

if TYPE_CHECKING:
    from ptycho_torch.model import PtychoPINN_Lightning
    from ptychopinn.config import Recipe
    from ptychopinn.models import TrainedModel
    from ptychopinn.training.mlflow_runs import MlflowRun

CONFIGS = "configs.json"
"""File of a run with the four configurations."""


def save_run(trained: "TrainedModel", four: Four, place: str | Path, earlier: "MlflowRun | None" = None) -> str:
    """Write a trained model as a finished run of MLflow; returns its number.

    Args:
        trained: the model.
        four: its configurations.
        place: folder of the store, or its address.
        earlier: the run in which the training was recorded; its parameters and metrics of every epoch are copied.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: a store cannot be used.
    """
    from ptychopinn.training.mlflow_runs import MlflowRun, copy_numbers
    from ptychopinn.training.tracking import flat_settings

    recipe, training = trained.recipe, four[2]
    run = MlflowRun.begin(recipe.training.experiment, training.model_name, place, tags={"backend": recipe.backend})
    if earlier is None:
        run.log_settings(flat_settings(recipe.model_dump(mode="json")))
    else:
        copy_numbers(earlier, run)
    with files_of(trained, four) as paths:
        for path in paths:
            run.add_file(path)
    run.end("finished")
    return run.run_id


@contextmanager
def files_of(trained: "TrainedModel", four: Four) -> Iterator[list[Path]]:
    """The archive and the configurations of a trained model, in a folder that is removed after the block."""
    from ptychopinn.api.model_files import BUNDLE_NAME, save_model

    with tempfile.TemporaryDirectory() as folder:
        archive = save_model(Path(folder) / BUNDLE_NAME, trained)
        configs = Path(folder) / CONFIGS
        configs.write_text(json.dumps(as_dicts(*four), indent=2), encoding="utf-8")
        yield [configs, archive]


def load_run(run_id: str | None, place: str | Path | None) -> "tuple[PtychoPINN_Lightning, str | None]":
    """The network module of a run, and the number of the run if it is known.

    Args:
        run_id: the newest run with a model by default.
        place: folder or address of the store; MLflow's own by default.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: there is no such run or store, or the run holds no model.
        BundleError: the archive is damaged or has been changed.
    """
    from ptychopinn.training.mlflow_runs import model_files

    with model_files(run_id, place) as folder:
        return model_of_folder(folder), run_id


def model_of_folder(folder: Path) -> "PtychoPINN_Lightning":
    """The network module of a folder with `wts.h5.zip`, and `configs.json` where it was written too.

    Raises:
        FileNotFoundError: there is no archive.
        BundleError: it is damaged or has been changed.
    """
    import torch

    from ptycho_torch.model import PtychoPINN_Lightning
    from ptychopinn.api.model_files import BUNDLE_NAME, load_model

    archive = folder / BUNDLE_NAME
    if not archive.exists():
        raise FileNotFoundError(f"{folder}: holds neither a checkpoint nor {BUNDLE_NAME}; give the file of a model")
    trained = load_model(archive, "pytorch")
    data, model, training, inference = _configs(folder / CONFIGS, trained.recipe)
    module = PtychoPINN_Lightning(model, data, training, inference)
    unseen = None if trained.unseen is None else torch.from_numpy(trained.unseen)
    module.take(trained.network, trained.recipe, unseen)
    return module


def _configs(path: Path, recipe: "Recipe") -> Four:
    """Those of the run; for a training by `ptychopinn train`, which has none, the defaults with its group size."""
    if path.is_file():
        return from_dicts(json.loads(path.read_text(encoding="utf-8")))
    manager = ConfigManager()
    manager.update(C=recipe.data.group_size, architecture=recipe.model.generator.architecture)
    return manager.four
