"""One training in several processes on this machine, each with a device of its own.

Each process takes its share of the groups of every step, and the gradients are averaged, so that the result is that of
one process up to rounding. Callbacks are called in the process that started them: they need
not be picklable.
"""

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch.multiprocessing import get_context, start_processes

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.large_arrays import ArrayFile, scratch_folder
from ptychopinn.data.scan import Scan
from ptychopinn.errors import OutputError
from ptychopinn.models import build_model
from ptychopinn.ranks import Ranks
from ptychopinn.training.history import EpochHook, History
from ptychopinn.training.loop import train_here
from ptychopinn.training.module import TrainingModule
from ptychopinn.training.prepare import Part, Prepared


@dataclass(frozen=True)
class EpochState:
    """What a callback may ask of the trainer after an epoch of the other processes."""

    callback_metrics: dict[str, float]
    """What was logged, by name."""
    current_epoch: int
    """From 0."""
    sanity_checking: bool = False


def train_on_devices(
    start: Prepared,
    folder: Path | None,
    checkpoint: str | None,
    *,
    on_epoch: EpochHook | None,
    callbacks: Sequence[Callback],
    module_type: Callable[..., TrainingModule],
) -> History:
    """Train the model of `start` in `recipe.training.devices` processes; its weights are replaced.

    Args:
        start: the untrained model and its patterns.
        folder: for `history.csv` and `checkpoints/`.
        checkpoint: to go on from.
        on_epoch: called after every epoch.
        callbacks: after every epoch their `on_validation_epoch_end` and `on_train_epoch_end` are called with an
            `EpochState`, and nothing else of them.
        module_type: what Lightning trains; picklable.

    Returns:
        The history, a column for each name.

    Raises:
        ProcessRaisedException: a process failed; the message holds what it said.
        OutputError: this machine has no shared memory, which the locks between processes need, or no room for the
            patterns in the scratch file that the processes read.
    """
    with tempfile.TemporaryDirectory(dir=scratch_folder(), prefix="ptychopinn-") as place:
        work = _Work.of(start, folder, checkpoint, module_type, Path(place))
        return _train(start, work, on_epoch, callbacks)


def _train(start: Prepared, work: "_Work", on_epoch: EpochHook | None, callbacks: Sequence[Callback]) -> History:
    count, module_type = start.recipe.training.devices, work.module_type
    queue = _queue()
    assert start.recipe.fitted is not None
    module = module_type(start.model, start.recipe.training, start.recipe.fitted.mean_count, start.recipe.model_dump())
    reports = _ReportReader(callbacks, module, on_epoch)
    processes = start_processes(_run, (work, _free_port(), queue), nprocs=count, join=False, start_method="spawn")
    try:
        while not processes.join(timeout=0.1):
            reports.read(queue)
        reports.read(queue)
    finally:
        _end(processes.processes)
    start.model.load_state_dict({name: torch.from_numpy(value) for name, value in reports.weights.items()})
    return reports.history


def _queue() -> Any:
    try:
        return get_context("spawn").SimpleQueue()
    except OSError as error:
        raise OutputError(
            f"/dev/shm: a training in several processes must be able to write there, got {error.strerror or error}; "
            "mount it as tmpfs, or train in one process with --set training.devices=1"
        ) from error


def _end(processes: Sequence[Any], grace_s: float = 10.0) -> None:
    """Leave no process behind, whatever happened; those that are done already do not notice."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(grace_s)
        process.kill()


class _ReportReader:
    """Tells here what the first process reports, and keeps what it ends with."""

    def __init__(self, callbacks: Sequence[Callback], module: LightningModule, on_epoch: EpochHook | None) -> None:
        self._callbacks = callbacks
        self._module = module
        self._on_epoch = on_epoch
        self.history: History = {}
        self.weights: dict[str, NDArray[Any]] = {}

    def read(self, queue: Any) -> None:
        """Take all that has come."""
        takers: dict[str, Callable[..., None]] = {
            "epoch": self._take_epoch,
            "row": self._take_row,
            "end": self._take_end,
        }
        while not queue.empty():
            kind, content = queue.get()
            takers[kind](*content)

    def _take_epoch(self, hook: str, metrics: dict[str, float], number: int) -> None:
        for callback in self._callbacks:
            getattr(callback, hook)(EpochState(metrics, number), self._module)

    def _take_row(self, done: int, of: int, row: dict[str, float]) -> None:
        if self._on_epoch is not None:
            self._on_epoch(done, of, row)

    def _take_end(self, history: History, weights: dict[str, NDArray[Any]]) -> None:
        self.history, self.weights = history, weights


class _Reporter(Callback):
    """Sends what was logged to the process that started us."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._send("on_validation_epoch_end", trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._send("on_train_epoch_end", trainer)

    def _send(self, hook: str, trainer: Trainer) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._queue.put(("epoch", (hook, metrics, trainer.current_epoch)))


_FiledPart: TypeAlias = tuple[
    dict[str, Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.complex64] | None, float | None
]
"""Fields of a scan, its groups for training and validation, and its own probe and mean count, where it has them."""


@dataclass(frozen=True)
class _Work:
    """A prepared training without tensors; what has a row for each pattern is in files that all processes map."""

    recipe: Recipe
    weights: dict[str, NDArray[Any]]
    parts: tuple[_FiledPart, ...]
    on_gpu: bool
    folder: Path | None
    checkpoint: str | None
    module_type: Callable[..., TrainingModule]

    @classmethod
    def of(
        cls,
        start: Prepared,
        folder: Path | None,
        checkpoint: str | None,
        module_type: Callable[..., TrainingModule],
        place: Path,
    ) -> "_Work":
        parts = tuple(
            (
                _filed(part.tensors.scan, place, f"scan{number}"),
                part.train_groups,
                part.validation_groups,
                None if part.tensors.probe is None else part.tensors.probe.cpu().numpy(),
                part.tensors.batch_mean_count,
            )
            for number, part in enumerate(start.parts)
        )
        on_gpu = start.tensors.device.type == "cuda"
        return cls(start.recipe, _arrays(start.model), parts, on_gpu, folder, checkpoint, module_type)

    def prepared(self, device: torch.device) -> Prepared:
        """The same as it was before, on a device."""
        model = build_model(self.recipe, torch.zeros(self.weights["probe_parts"].shape[:-1], dtype=torch.complex64))
        model.load_state_dict({name: torch.from_numpy(value) for name, value in self.weights.items()})
        parts = []
        for values, train, validation, probe, mean_count in self.parts:
            tensors = ScanTensors(_scan_of(values), device)
            tensors.probe = None if probe is None else torch.from_numpy(probe).to(device)
            tensors.batch_mean_count = mean_count
            parts.append(Part(tensors, train, validation))
        return Prepared(model.to(device), self.recipe, tuple(parts))


def _filed(scan: Scan, place: Path, name: str) -> dict[str, Any]:
    """The fields of a scan; arrays with values for each pixel of each pattern as files in a folder.

    Raises:
        OutputError: the disk has no room.
    """
    values = {one.name: getattr(scan, one.name) for one in fields(Scan)}
    try:
        for key, value in values.items():
            if isinstance(value, np.ndarray) and value.ndim == 3 and len(value) == len(scan) and key != "probe":
                values[key] = ArrayFile.written(value, place / f"{name}.{key}")
    except OSError as error:
        raise OutputError(
            f"{place}: the patterns cannot be written for the other processes ({error.strerror or error}); set TMPDIR "
            "to a folder with more room, or train in one process with --set training.devices=1"
        ) from error
    return values


def _scan_of(values: dict[str, Any]) -> Scan:
    read: dict[str, Any] = {
        key: value.array() if isinstance(value, ArrayFile) else value for key, value in values.items()
    }
    return Scan(**read)


def _run(rank: int, work: _Work, port: int, queue: Any) -> None:
    """What each process does; the first one reports."""
    count = work.recipe.training.devices
    torch.set_num_threads(max(1, (work.recipe.training.threads or torch.get_num_threads()) // count))
    os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())  # else Lightning takes all cores
    if work.on_gpu:
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group(
        "nccl" if work.on_gpu else "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count
    )
    first = rank == 0
    start = work.prepared(torch.device("cuda", rank) if work.on_gpu else torch.device("cpu"))
    history = train_here(
        start,
        work.folder,
        work.checkpoint,
        on_epoch=(lambda *row: queue.put(("row", row))) if first else None,
        callbacks=(_Reporter(queue),) if first else (),
        module_type=work.module_type,
        ranks=Ranks(rank, count, torch.distributed.group.WORLD),
    )
    if first:
        queue.put(("end", (history, _arrays(start.model))))
    torch.distributed.destroy_process_group()


def _arrays(model: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
