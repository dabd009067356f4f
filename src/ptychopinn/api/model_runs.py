"""Trained models as finished runs of MLflow."""

from collections.abc import Mapping
from pathlib import Path

from ptychopinn.api.model_files import files_of
from ptychopinn.models import TrainedModel
from ptychopinn.training.mlflow_runs import MlflowRun, check_store, copy_numbers, open_run
from ptychopinn.training.tracking import flat_settings


def save_run(
    trained: TrainedModel,
    place: str | Path,
    *,
    name: str,
    notes: Mapping[str, str] | None = None,
    recorded_in: tuple[str, str | Path | None] | None = None,
) -> str:
    """Write a trained model as a finished run of MLflow; returns its number.

    Args:
        trained: the model.
        place: folder of the store, or its address.
        name: of the run.
        notes: texts by file name that are kept with the archive.
        recorded_in: number and store of the run in which the training was recorded; its parameters and the metrics of
            every epoch are copied.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: a store cannot be used, or there is no such run.
    """
    check_store(place)
    recipe = trained.recipe
    earlier = None if recorded_in is None else open_run(*recorded_in)
    run = MlflowRun.begin(recipe.training.experiment, name, place, tags={"backend": recipe.backend})
    if earlier is None:
        run.log_settings(flat_settings(recipe.model_dump(mode="json")))
    else:
        copy_numbers(earlier, run)
    with files_of(trained, notes) as paths:
        for path in paths:
            run.add_file(path)
    run.end("finished")
    return run.run_id
