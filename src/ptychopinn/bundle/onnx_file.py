r"""A trained network as an ONNX file, for programs that have no PyTorch: the generator alone, without the physics.

The graph takes `image` (batch, S C, H, W), float32: what the network is shown of each pattern before it is normalised
(`ptychopinn.generators.inputs`), C channels of each of the S patterns that it sees together (S is 1 unless
`model.generator.grouping` is `stacked`). It subtracts the mean, divides by the deviation, and returns `patch`
(batch, 2 S, H, W): real and imaginary part of the complex patch of each pattern in turn. The batch may have any size.
What belongs to it stands in the metadata of the file, see `metadata_of`.

Source of the format: https://onnx.ai. The file is written by `torch.onnx`, compared by ONNX Runtime.
"""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptychopinn.errors import BundleError, ConfigError, MissingExtraError
from ptychopinn.models import TrainedModel

PIP_LINE = "pip install 'ptychopinn[onnx]'"
INPUT, OUTPUT = "image", "patch"
"""Names of the input and the output of the graph."""
PREFIX = "ptychopinn."
"""Of the names of our metadata."""
LARGEST_DIFFERENCE = 1e-4
"""Of float32 patches from those of PyTorch, over the largest modulus of the latter. Rounding gives 1e-6; a mistake in
the graph gives far more."""
FEWEST_CHANNELS = 8
"""Convolutions with fewer channels at one end stay float32: the first and the last one, which are cheap and need the
whole range of values."""
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", None)
"""Of the packages; ONNX Runtime writes to the root."""


@final
class Graph(nn.Module):
    """The generator of a trained model, from images (batch, S C, H, W) to patches (batch, 2 S, H, W), real numbers.

    Raises:
        ConfigError: the generator has no such function; see `check_exportable`.
    """

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__()
        check_exportable(trained)
        self.generator: Any = trained.network.generator
        self.stack = trained.recipe.data.group_size if trained.recipe.model.generator.grouping == "stacked" else 1

    def forward(self, image: Tensor) -> Tensor:
        """(batch, S C, H, W) to (batch, 2 S, H, W)."""
        shown = self.generator.normalised(image).unflatten(1, (self.stack, -1))
        planes = torch.view_as_real(self.generator.patches_from(shown))
        return planes.permute(0, 1, 4, 2, 3).flatten(1, 2)

    def example(self, size: int, batch: int = 3) -> Tensor:
        """Made-up images (batch, S C, size, size) whose values spread as those of the training."""
        channels = self.stack * _channels(self.generator)
        noise = torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(0))
        return noise * self.generator.input_deviation.cpu() + self.generator.input_mean.cpu()


def check_exportable(trained: TrainedModel) -> None:
    """Refuse a network that is no function from the patterns of one group to their patches.

    Raises:
        ConfigError: an unrolled generator, or the spectral layers of a library.
    """
    config = trained.recipe.model.generator
    if trained.network.generator.scene_solver is not None:
        raise ConfigError(
            f"model.generator.architecture={config.architecture} runs the iterative solver on the object of all "
            "patterns between its networks, so that it is no function from a pattern to a patch and cannot become an "
            "ONNX graph; train a network that sees each pattern alone, by `ptychopinn train SCAN -o FOLDER --config "
            "cnn`, and export that"
        )
    if config.spectral != "own":
        raise ConfigError(
            f"model.generator.spectral={config.spectral} computes complex Fourier transforms, which an ONNX graph "
            "cannot hold; train with model.generator.spectral=own, whose transforms are real matrices"
        )


def check_installed(*names: str) -> None:
    """Refuse to start without a package.

    Raises:
        MissingExtraError: one of them cannot be imported.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"an ONNX file needs the package {name}, which cannot be imported here ({error}); {PIP_LINE}"
            ) from error


def metadata_of(trained: TrainedModel) -> dict[str, str]:
    """What stands in the file beside the graph, as texts by name.

    `input` and `output` name the functions before and after the network (`model.generator.input`, `output`),
    `input_mean` and `input_deviation` what the graph normalises by, `pattern_size_px` H and W, `patterns_together` S,
    `intensity_scale` the factor on the probe of the training, `generator` all settings of the network.
    """
    config, fitted = trained.recipe.model.generator, trained.fitted
    generator = trained.network.generator
    facts = {
        "architecture": config.architecture,
        "input": config.input,
        "output": config.output,
        "input_mean": repr(float(generator.input_mean)),
        "input_deviation": repr(float(generator.input_deviation)),
        "pattern_size_px": str(fitted.pattern_size),
        "patterns_together": str(trained.recipe.data.group_size if config.grouping == "stacked" else 1),
        "intensity_scale": repr(fitted.intensity_scale),
        "mean_count": repr(fitted.mean_count),
        "generator": json.dumps(config.model_dump(mode="json"), sort_keys=True),
        "version": version("ptychopinn"),
    }
    return {f"{PREFIX}{name}": text for name, text in facts.items()}


def write_onnx(path: Path, trained: TrainedModel) -> float:
    """Write the generator of a trained model, and compare the file with PyTorch on two batches of different size.

    Args:
        path: the new file.
        trained: on the CPU; is left as it is.

    Returns:
        The largest difference of a patch from that of PyTorch, over the largest modulus.

    Raises:
        ConfigError: the network cannot become a graph; the message says why.
        MissingExtraError: a package is missing.
        BundleError: the file gives other patches than PyTorch.
    """
    check_exportable(trained)
    check_installed("onnx", "onnxscript", "onnxruntime")
    graph = Graph(trained).eval()
    example = graph.example(trained.fitted.pattern_size)
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            raise ConfigError(
                f"model.generator.architecture={trained.recipe.model.generator.architecture} has a layer that torch "
                f"cannot write as ONNX ({_first_line(error)}); choose another architecture"
            ) from error
        assert program is not None
        model: Any = program.model_proto
    model.metadata_props.clear()
    for name, text in metadata_of(trained).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    model.doc_string = "The generator of a model of PtychoPINN, from images of diffraction patterns to object patches."
    import_module("onnx").save_model(model, path)
    difference = max(_difference(path, graph, batch) for batch in (example, example[:1]))
    if not difference <= LARGEST_DIFFERENCE:
        raise BundleError(
            f"{path.name}: the patches of the ONNX graph differ from those of PyTorch by {difference:.2g} of their "
            f"largest modulus; must be at most {LARGEST_DIFFERENCE:g}; please report this architecture"
        )
    return difference


def write_int8(source: Path, path: Path, images: Iterable[NDArray[np.float32]]) -> None:
    """Write an ONNX file whose convolutions compute in 8 bits; all else stays float32.

    Weights are scaled for each channel, activations by the range that they have for `images` (static quantisation,
    Jacob et al. 2018, arXiv:1712.05877).

    Args:
        source: written by `write_onnx`.
        path: the new file.
        images: batches (batch, S C, H, W) as the network will see them, of a few hundred patterns.

    Raises:
        ConfigError: no convolution is wide enough to gain by it.
        MissingExtraError: ONNX Runtime is not installed.
    """
    check_installed("onnx", "onnxruntime")
    quantization = import_module("onnxruntime.quantization")
    model = import_module("onnx").load_model(source)
    wide = list(_wide_convolutions(model))
    if not wide:
        raise ConfigError(
            f"--int8 computes convolutions of at least {FEWEST_CHANNELS} channels in 8 bits, and this network has "
            "none; leave --int8 out"
        )
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        quantization.quantize_static(
            source,
            Path(folder) / "int8.onnx",
            _Reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=wide,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        made = import_module("onnx").load_model(Path(folder) / "int8.onnx")
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    entry = made.metadata_props.add()
    entry.key, entry.value = f"{PREFIX}arithmetic", "int8"
    import_module("onnx").save_model(made, path)


def onnx_function(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """What ONNX Runtime computes on the CPU: images (batch, S C, H, W) -> patches (batch, 2 S, H, W).

    Raises:
        MissingExtraError: it is not installed.
    """
    check_installed("onnxruntime")
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


def _difference(path: Path, graph: Graph, images: Tensor) -> float:
    with torch.inference_mode():
        expected = graph(images).numpy()
    return float(np.abs(onnx_function(path)(images.numpy()) - expected).max() / np.abs(expected).max())


def _channels(generator: Any) -> int:
    """Channels that the network sees of each pattern."""
    first = next(weight for weight in generator.network.parameters() if weight.ndim == 4)
    return int(first.shape[1]) // int(generator.stack)


def _wide_convolutions(model: Any) -> Iterator[str]:
    shapes = {one.name: list(one.dims) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and min(shapes[node.input[1]][:2]) >= FEWEST_CHANNELS:
            yield node.name


class _Reader:
    """Images a few at a time, as the calibration asks for them."""

    def __init__(self, images: Iterable[NDArray[np.float32]]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next ones, None after the last."""
        batch = next(self._images, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch, np.float32)}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice of the packages out of our log, and the handler that ONNX Runtime gives the root."""
    root, levels = logging.getLogger(), {name: logging.getLogger(name).level for name in _LOGGERS}
    handlers = list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
