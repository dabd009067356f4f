"""The same weights as PyTorch and as TensorFlow name and order them: an archive of one backend serves the other.

| layer | PyTorch | TensorFlow |
| --- | --- | --- |
| convolution | `weight` (out, in, rows, columns), `bias` | `kernel` (rows, columns, in, out), `bias` |
| normalisation | `weight`, `bias` | `gamma`, `beta` |
| probe, scale, statistics | as they are | as they are |

Names up to the last word are equal: `generator.network.encoder.0.3` is one convolution in both. TensorFlow has the
convolutional parts only; weights of others have no counterpart.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from ptychopinn.config import ModelConfig

NETWORK = "generator.network."
"""Names of the network's weights begin so."""
_TO_KERAS = {(4, "weight"): "kernel", (4, "bias"): "bias", (1, "weight"): "gamma", (1, "bias"): "beta"}
"""Number of axes of a layer's weight, and name in PyTorch -> name in Keras."""
_TO_TORCH = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}


def to_tensorflow(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by the names of PyTorch in the layout of TensorFlow.

    >>> import torch
    >>> weights = to_tensorflow({"generator.network.head.weight": torch.zeros(2, 8, 3, 3)})
    >>> [(name, tuple(value.shape)) for name, value in weights.items()]
    [('generator.network.head.kernel', (3, 3, 8, 2))]
    """
    converted = {}
    for name, value in state.items():
        place, _, last = name.rpartition(".")
        if name.startswith(NETWORK):
            axes = state[f"{place}.weight"].ndim if f"{place}.weight" in state else value.ndim
            last = _TO_KERAS.get((axes, last), last)
            value = value.permute(2, 3, 1, 0).contiguous() if last == "kernel" else value
        converted[f"{place}.{last}" if place else last] = value
    return converted


def to_pytorch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_tensorflow`.

    >>> import torch
    >>> list(to_pytorch({"generator.network.head.kernel": torch.zeros(3, 3, 8, 2)}))
    ['generator.network.head.weight']
    """
    converted = {}
    for name, value in state.items():
        place, _, last = name.rpartition(".")
        if name.startswith(NETWORK):
            value = value.permute(3, 2, 0, 1).contiguous() if last == "kernel" and value.ndim == 4 else value
            last = _TO_TORCH.get(last, last)
        converted[f"{place}.{last}" if place else last] = value
    return converted


INPUTS = ("back_projected", "log_counts", "amplitude")
"""Inputs of a network that TensorFlow has."""
OUTPUTS = ("real_imaginary", "amplitude_phase", "circular_phase")
"""Outputs of a network that TensorFlow has."""


def lacking(model: ModelConfig) -> Iterator[tuple[str, object, str]]:
    """Settings of a model that TensorFlow cannot predict with: name, value, and what it has."""
    generator = model.generator
    for name, allowed in (
        ("architecture", ("cnn",)),
        ("input", INPUTS),
        ("output", OUTPUTS),
        ("encoder", (None, "convolution")),
        ("bottleneck", (None, "none", "residual")),
        ("decoder", (None, "convolution")),
        ("stages", (None, 0)),
    ):
        value = getattr(generator, name)
        if value not in allowed:
            yield f"model.generator.{name}", value, ", ".join(str(one) for one in allowed if one is not None)
    if model.propagation != "far_field":
        yield "model.propagation", model.propagation, "far_field"
    if model.fly_path_px is not None:
        yield "model.fly_path_px", model.fly_path_px, "null"


def obstacle(model: ModelConfig) -> str:
    """Why TensorFlow cannot run a model; empty where it can."""
    return next((f"{name} is {value!r}, and TensorFlow has {has} only" for name, value, has in lacking(model)), "")
