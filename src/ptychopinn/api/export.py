"""`export`: the generator of a trained model as an ONNX file, for programs without PyTorch."""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.api.inputs import opened_scan
from ptychopinn.api.model_files import load_model
from ptychopinn.bundle.onnx_file import (
    Graph,
    check_exportable,
    check_installed,
    onnx_function,
    write_int8,
    write_onnx,
)
from ptychopinn.data import Scan
from ptychopinn.data.io import atomic_path, check_output_folder
from ptychopinn.errors import OutputError
from ptychopinn.models import TrainedModel
from ptychopinn.reconstruction import Reconstructor

logger = logging.getLogger("ptychopinn")

CALIBRATION = 256
"""Patterns, spread evenly over the scan, whose ranges of values scale the 8 bits; twice as many change no patch by more
than the 8 bits do. As many others measure what the 8 bits cost."""
TOGETHER = 16
"""Groups whose network input is made at once."""
ROUNDS = 5
"""In which the speed of both files is measured in turn."""


@dataclass(frozen=True)
class EightBits:
    """What the arithmetic in 8 bits costs and gains, on patterns that did not scale it."""

    difference: float
    """Root mean square of the change of a patch, over that of the patch minus one."""
    speed: float
    """Time of the float32 file over that of this one, on this machine."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """The ONNX file."""
    architecture: str
    """Of the network."""
    difference: float
    """Largest difference of a float32 patch from that of PyTorch, over the largest modulus."""
    int8: EightBits | None
    """Of a file in 8 bits."""


def export(model: str | Path, target: str | Path, *, int8: str | Path | Scan | None = None) -> Exported:
    """Write the generator of a trained model as ONNX, and compare the file with PyTorch.

    The file has the network with its normalisation and its output, but neither merge, physics nor stitching. What it
    takes and gives, and its metadata, stand in `docs/dev/speed.md`.

    Args:
        model: a bundle or its folder, also of legacy PtychoPINN, or of TensorFlow.
        target: the new file, which ends in `.onnx`; its folder is made.
        int8: a scan like those of the training. Its patterns scale the activations of convolutions in 8 bits.

    Raises:
        ConfigError: the network cannot become an ONNX graph; the message says which part and why.
        MissingExtraError: the extra `onnx` is not installed.
        OutputError: the target has another ending, or cannot be written.
        BundleError: the model cannot be read, does not fit the scan, or ONNX Runtime gives other patches than PyTorch.
    """
    target = Path(target)
    if target.suffix.lower() != ".onnx" or target.is_dir():
        raise OutputError(f"{target}: the generator is written as ONNX; name a file that ends in .onnx")
    check_installed("onnx", "onnxscript", "onnxruntime")
    trained = load_model(model, "pytorch")  # which can hold every network
    check_exportable(trained)
    architecture = trained.recipe.model.generator.architecture
    check_output_folder(target.parent)
    if int8 is None:
        with atomic_path(target) as path:
            difference = write_onnx(path, trained)
        return Exported(target, architecture, difference, None)
    images = network_inputs(trained, opened_scan(int8, trained.recipe))
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "float32.onnx"
        difference = write_onnx(exact, trained)
        with atomic_path(target) as path:
            write_int8(exact, path, np.split(images[::2], range(TOGETHER, len(images[::2]), TOGETHER)))
            cost = _compared(trained, images[1::2] if len(images) > 1 else images, onnx_function(exact), path)
    logger.info("%s: patches change by %.2g, %.2f times as fast as float32", target, cost.difference, cost.speed)
    return Exported(target, architecture, difference, cost)


@torch.inference_mode()
def network_inputs(trained: TrainedModel, scan: Scan) -> NDArray[np.float32]:
    """Images (P, S C, H, W) as the graph takes them, of patterns from all over a scan.

    Raises:
        BundleError: the patterns have another size than those of the training.
    """
    ready = Reconstructor.for_scan(trained, scan, device="cpu")
    graph, generator = Graph(trained), ready.network.generator
    step = max(1, len(ready.groups) // (2 * CALIBRATION))
    images = []
    for batch in ready.tensors.batches(ready.groups[::step][: 2 * CALIBRATION], TOGETHER):
        shown = generator.network_input(ready.network.view(batch))
        shown = shown * generator.input_deviation + generator.input_mean
        images.append(shown.flatten(0, 1) if graph.stack == 1 else shown.flatten(1, 2))
    return torch.cat(images).numpy()


def _compared(
    trained: TrainedModel, images: NDArray[np.float32], exact: Callable[[NDArray[np.float32]], object], path: Path
) -> EightBits:
    """What 8 bits cost in patches, and gain in time."""
    rough = onnx_function(path)
    with torch.inference_mode():
        expected = Graph(trained)(torch.from_numpy(images)).numpy()
    change = np.sqrt(np.square(rough(images) - expected).mean())
    expected[:, 0::2] -= 1
    times = [(_seconds(exact, images), _seconds(rough, images)) for _ in range(ROUNDS)]
    size = float(np.sqrt(np.square(expected).mean())) or 1.0
    return EightBits(float(change) / size, statistics.median(slow / quick for slow, quick in times))


def _seconds(work: Callable[[NDArray[np.float32]], object], images: NDArray[np.float32]) -> float:
    begun = time.perf_counter()
    work(images)
    return time.perf_counter() - begun
