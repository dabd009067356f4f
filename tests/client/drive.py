"""Drives ptychodus without a display: `python drive.py FOLDER JOB.json REPORT.json`.

The folder holds `diffraction.h5` and the products. The job names the reconstructors, the client's settings and the
steps, which are taken in order for each reconstructor within one ptychodus process. The report says of every step
what came back or how it failed, what was logged meanwhile, and which modules this process then held. Everything goes
through the client's own classes; every training and reconstruction is its own child process.

Training reads `in` and writes `out` in a folder of each reconstructor; with "one_folder" in the job all of them read
and write the same folder `data`, which is what the client's window makes of its button "Train".
"""

import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

WATCHED = ("torch", "lightning", "tensorflow", "mlflow", "ptycho", "ptycho_torch")


class Remember(logging.Handler):
    """Keeps what the client's process logs, its children's records included."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelname, record.getMessage()))


class Client:
    """One open ptychodus, and the steps that a person would take in it."""

    def __init__(self, model: Any, folder: Path, one_folder: bool) -> None:
        self.model = model
        self.folder = folder
        self.one_folder = one_folder
        self.processing = model.processing_core.processing_api
        self.patterns = model.workflow_api.load_assembled_diffraction_data(folder / "diffraction.h5")

    def discover(self, algorithm: str) -> list[str]:
        return list(self.model.workflow_api.available_reconstructors())

    def without_model(self, algorithm: str) -> None:
        self._reconstruct(algorithm, "product", "never")

    def export(self, algorithm: str) -> dict[str, Any]:
        return self._export(algorithm, "product", self._data(algorithm), "train_data.npz", "test_data.npz")

    def export_one_file(self, algorithm: str) -> dict[str, Any]:
        return self._export(algorithm, "product", self._data(algorithm), "train_data.npz")

    def train_on_flat_object(self, algorithm: str) -> None:
        place = self._place(algorithm, "flat")
        self._export(algorithm, "flat", place, "train_data.npz", "test_data.npz")
        self._train(algorithm, place, self._place(algorithm, "flat_out"))

    def train(self, algorithm: str) -> list[dict[str, Any]]:
        data = self._data(algorithm)
        return self._train(algorithm, data, data if self.one_folder else self._place(algorithm, "out"))

    def reconstruct(self, algorithm: str) -> str:
        return self._reconstruct(algorithm, "product", "trained")

    def save(self, algorithm: str) -> str:
        path = self._place(algorithm) / f"model{self.processing.get_model_file_extension(algorithm=algorithm)}"
        self.processing.save_model_to_file(path, algorithm)
        return path.name

    def load_and_reconstruct(self, algorithm: str) -> str:
        path = self._place(algorithm) / f"model{self.processing.get_model_file_extension(algorithm=algorithm)}"
        self.processing.load_model_from_file(path, algorithm)
        return self._reconstruct(algorithm, "product", "loaded")

    def reconstruct_wide(self, algorithm: str) -> str:
        return self._reconstruct(algorithm, "wide", "wide")

    def reconstruct_without_a_model_file(self, algorithm: str) -> None:
        path = self.folder / f"letter{self.processing.get_model_file_extension(algorithm=algorithm)}"
        self.processing.load_model_from_file(path, algorithm)
        self._reconstruct(algorithm, "product", "never")

    def _data(self, algorithm: str) -> Path:
        return self._place("data") if self.one_folder else self._place(algorithm, "in")

    def _place(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _open(self, product: str) -> Any:
        return self.model.workflow_api.load_product(self.folder / f"{product}.h5", diffraction=self.patterns)

    def _export(self, algorithm: str, product: str, place: Path, *names: str) -> dict[str, Any]:
        from numpy import load

        for name in names:
            self._open(product).export_training_data(place / name, algorithm=algorithm)
        with load(place / names[0]) as written:
            return {key: [str(written[key].dtype), *written[key].shape] for key in written.files}

    def _train(self, algorithm: str, source: Path, target: Path) -> list[dict[str, Any]]:
        self.processing.set_reconstructor_if_provided(algorithm)
        trainer = self.model.processing_core.algorithm_parameter.get_current_reconstructor()
        return [
            {
                "goal": trainer.get_progress_goal(),
                "progress": output.progress,
                "training_loss": [(loss.epoch, loss.value) for loss in output.training_loss],
                "validation_loss": [(loss.epoch, loss.value) for loss in output.validation_loss],
            }
            for output in trainer.train(source, target)
        ]

    def _reconstruct(self, algorithm: str, product: str, to: str) -> str:
        handle = self._open(product).reconstruct_local(algorithm=algorithm, block=True)
        self.model.run_tasks()
        path = self._place(algorithm) / f"{to}.h5"
        handle.save_product(path)
        return path.name


def take(client: Client, step: str, algorithm: str, remember: Remember) -> dict[str, Any]:
    """Take one step and say how it went."""
    before = len(remember.records)
    value, error = None, None
    try:
        value = getattr(client, step)(algorithm)
    except Exception:
        error = traceback.format_exc()
    return {
        "value": value,
        "error": error,
        "log": remember.records[before:],
        "modules": [name for name in WATCHED if name in sys.modules],
        "cuda": "libcuda" in Path("/proc/self/maps").read_text() if sys.platform == "linux" else None,
    }


def main(folder: Path, job_path: Path, report_path: Path) -> None:
    """Open ptychodus, apply the settings, take all steps."""
    from ptychodus.model import ModelCore

    job = json.loads(job_path.read_text())
    remember = Remember()
    with ModelCore(log_level=logging.INFO) as model:
        logging.getLogger().addHandler(remember)
        for group, values in job["settings"].items():
            for name, value in values.items():
                model.settings_registry[group].parameters()[name].set_value(value)
        client = Client(model, folder, job["one_folder"])
        report = {
            algorithm: {step: take(client, step, algorithm, remember) for step in steps}
            for algorithm, steps in job["steps"].items()
        }
    report_path.write_text(json.dumps(report))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
