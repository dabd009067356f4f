"""Runs of MLflow: the only place that imports it.

A run holds parameters, metrics by epoch, figures, and the archive of the model as a plain file: no model of MLflow,
which would be a pickled Python object. The store is that of MLflow itself: the one that `MLFLOW_TRACKING_URI` names,
else `mlflow.db` and the folder `mlruns` where the command runs.
"""

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ptychopinn.data.io.atomic import write_text_atomically
from ptychopinn.errors import ConfigError, MissingExtraError, one_line
from ptychopinn.plotting import save_figure
from ptychopinn.training.figure_names import FIGURES, IMAGE, figure_name

logger = logging.getLogger("ptychopinn.training")

PIP_LINE = "pip install 'ptychopinn[mlflow]'"
RUN_FILE = "mlflow_run.json"
"""In the folder of a training: the store and the number of its run, so that a resumed training goes on with it."""
MODEL = "model"
"""Folder of the model among a run's artifacts."""
MODEL_TAG = "ptychopinn.model"
"""Tag of a run that holds a model: the name of its file."""
BATCH = 100
"""Parameters that MLflow takes in one request."""
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def store_of(place: str | Path | None = None) -> str:
    """The address of a store.

    Args:
        place: an address with `://`, `databricks`, or a folder, whose `mlflow.db` is meant; MLflow's own by default.
    """
    if place is None:
        return str(_mlflow().get_tracking_uri())
    text = str(place)
    return text if "://" in text or text.startswith("databricks") else f"sqlite:///{Path(text).absolute()}/mlflow.db"


def check_store(place: str | Path | None = None) -> None:
    """Refuse a store whose packages are missing; nothing is written.

    Raises:
        MissingExtraError: MLflow is missing, or the packages by which it keeps a local store.
    """
    _mlflow()
    if store_of(place).startswith("sqlite"):
        for name in ("sqlalchemy", "alembic"):
            _imported(name)


class MlflowRun:
    """One run, to be written.

    Args:
        client: of its store.
        run_id: 32 hexadecimal digits.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    @classmethod
    def begin(
        cls, experiment: str, name: str, place: str | Path | None = None, tags: Mapping[str, str] | None = None
    ) -> "MlflowRun":
        """A new run of an experiment, which is made if need be.

        Raises:
            ConfigError: the store cannot be used; the message holds what MLflow says.
            MissingExtraError: see `check_store`.
        """
        check_store(place)
        uri = store_of(place)
        with _reporting(uri):
            client = _client(uri)
            found = client.get_experiment_by_name(experiment)
            if found is None:
                inside = uri.removeprefix("sqlite:///").removesuffix("mlflow.db") + "mlruns"
                own = None if place is None or not uri.startswith("sqlite") else Path(inside).as_uri()
                experiment_id = client.create_experiment(experiment, artifact_location=own)
            else:
                experiment_id = found.experiment_id
            run = client.create_run(experiment_id, run_name=name, tags={**_source(), **(tags or {})})
        logger.info("MLflow run %s of the experiment %s in %s", run.info.run_id, experiment, uri)
        return cls(client, run.info.run_id)

    @classmethod
    def resume(cls, folder: Path) -> "MlflowRun | None":
        """The run that a training in a folder began; None where it is unknown to the present store."""
        try:
            stored = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            uri, run_id = str(stored["store"]), str(stored["run_id"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if uri != store_of() or not _RUN_ID.fullmatch(run_id):
            return None
        with _reporting(uri):
            client = _client(uri)
            try:
                client.update_run(run_id, status="RUNNING")
            except _mlflow().exceptions.MlflowException:
                return None
        logger.info("MLflow run %s in %s goes on", run_id, uri)
        return cls(client, run_id)

    def remember(self, folder: Path) -> None:
        """Write `mlflow_run.json`, from which `resume` finds the run again."""
        content = {"store": self._client.tracking_uri, "run_id": self.run_id}
        write_text_atomically(folder / RUN_FILE, json.dumps(content, indent=2) + "\n")

    def log_settings(self, settings: Mapping[str, str]) -> None:
        """Keep them as parameters; a run that goes on keeps those that it was begun with."""
        kept = self._client.get_run(self.run_id).data.params
        kinds = _mlflow().entities
        new = [kinds.Param(key, value) for key, value in settings.items() if key not in kept]
        for first in range(0, len(new), BATCH):
            self._client.log_batch(self.run_id, params=new[first : first + BATCH])

    def log_numbers(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep them as metrics, with the epoch as their step."""
        now, kinds = int(time.time() * 1000), _mlflow().entities
        self._client.log_batch(self.run_id, metrics=[kinds.Metric(key, v, now, epoch) for key, v in numbers.items()])

    def log_figure(self, epoch: int, figure: Any, name: str = IMAGE) -> None:
        """Keep it as `figures/epoch_0010.png`."""
        with tempfile.TemporaryDirectory() as folder:
            path = save_figure(figure, Path(folder) / figure_name(epoch, name))
            self._client.log_artifact(self.run_id, str(path), FIGURES)

    def add_file(self, path: Path) -> None:
        """Keep a file as it is in the folder `model` of the run."""
        self._client.log_artifact(self.run_id, str(path), MODEL)
        if path.suffix == ".zip":
            self._client.set_tag(self.run_id, MODEL_TAG, path.name)

    def end(self, outcome: str) -> None:
        """Close the run."""
        self._client.set_terminated(self.run_id, _STATUS[outcome])


@contextmanager
def model_files(run_id: str | None = None, place: str | Path | None = None) -> Iterator[Path]:
    """A folder with copies of the files of a run's model, for as long as the block runs.

    Args:
        run_id: the run; the newest one that holds a model by default.
        place: its store, see `store_of`.

    Raises:
        ConfigError: there is no such run, or it holds no model.
        MissingExtraError: see `check_store`.
    """
    check_store(place)
    uri = store_of(place)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).is_file():
        raise ConfigError(f"{uri}: there is no such store of MLflow; name the folder or the address of one")
    with tempfile.TemporaryDirectory() as folder:
        with _reporting(uri):
            client = _client(uri)
            wanted = _newest(client, uri) if run_id is None else run_id
            if MODEL_TAG not in client.get_run(wanted).data.tags:
                raise ConfigError(f"the MLflow run {wanted} in {uri} holds no model; name a run that was trained")
            client.download_artifacts(wanted, MODEL, folder)
        yield Path(folder) / MODEL


def copy_numbers(source: MlflowRun, target: MlflowRun) -> None:
    """Copy parameters and metrics, all epochs, from one run to another, which may be in another store."""
    data = source._client.get_run(source.run_id).data
    target.log_settings(data.params)
    for key in data.metrics:
        for entry in source._client.get_metric_history(source.run_id, key):
            target.log_numbers(entry.step, {key: entry.value})


def open_run(run_id: str, place: str | Path | None = None) -> MlflowRun:
    """A run that exists.

    Raises:
        ConfigError: there is no such run in the store.
        MissingExtraError: see `check_store`.
    """
    check_store(place)
    with _reporting(store_of(place)):
        client = _client(store_of(place))
        client.get_run(run_id)
    return MlflowRun(client, run_id)


def _newest(client: Any, uri: str) -> str:
    experiments = [one.experiment_id for one in client.search_experiments()]
    order = ["attributes.start_time DESC"]
    found = client.search_runs(experiments, f"tags.`{MODEL_TAG}` != ''", max_results=1, order_by=order)
    if not found:
        raise ConfigError(f"no MLflow run in {uri} holds a model; name another store")
    return str(found[0].info.run_id)


def _source() -> dict[str, str]:
    return {"mlflow.source.name": "ptychopinn", "mlflow.source.type": "LOCAL", "ptychopinn": version("ptychopinn")}


def _client(uri: str) -> Any:
    if uri.startswith("sqlite:////"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return _mlflow().MlflowClient(tracking_uri=uri)


@contextmanager
def _reporting(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one sentence, and keep its notes on a new database out of the log."""
    names = ("mlflow", "alembic")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    except (_mlflow().exceptions.MlflowException, OSError) as error:
        raise ConfigError(
            f"{uri}: MLflow cannot use this store ({one_line(str(error), 300)}); set MLFLOW_TRACKING_URI to another "
            "one, such as sqlite:///mlflow.db"
        ) from error
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _mlflow() -> Any:
    """MLflow, without its reports of usage to its makers, unless the environment allows them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return _imported("mlflow")


def _imported(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(f"MLflow needs the package {name}, which is not installed; {PIP_LINE}") from None
