"""The spectral convolution of the `neuraloperator` library: an engine beside our own, with the same weights.

A model always holds our layer's weights, whichever engine it runs on; `SpectralConvolution.to_library` and
`from_library` convert a layer. Images of an even number of rows give the same numbers on both engines. At an odd number
the library (2.0.0) puts the rows of the spectrum back one place off, and ours does not.
"""

from importlib.util import find_spec
from typing import Any, final

import torch
from torch import Tensor, nn

from ptychopinn.errors import MissingExtraError

HAS_NEURALOPERATOR = find_spec("neuralop") is not None
"""Whether the library is installed."""

PIP_LINE = "pip install 'neuraloperator>=2.0'"


@final
class Layer:
    """The library's layer, run with weights that it does not own."""

    def __init__(self, channels_in: int, channels_out: int, modes: int) -> None:
        self._layer = empty_layer(channels_in, channels_out, modes)

    def __call__(self, image: Tensor, weight: Tensor) -> Tensor:
        """(B, C, H, W) by complex weights (C, C', 2m + 1, m + 1) to (B, C', H, W)."""
        return torch.func.functional_call(self._layer, {"weight.tensor": weight}, (image,))


def empty_layer(channels_in: int, channels_out: int, modes: int) -> nn.Module:
    """The library's layer for frequencies up to `modes`, without a bias; its weights are random.

    Raises:
        MissingExtraError: the library is not installed, or cannot be imported.
    """
    try:
        from neuralop.layers.spectral_convolution import SpectralConv
    except ImportError as error:
        raise MissingExtraError(
            f"model.generator.spectral=neuraloperator needs a library that cannot be imported here ({error}); "
            f"{PIP_LINE}, or leave model.generator.spectral=own"
        ) from error
    return SpectralConv(channels_in, channels_out, (2 * modes + 1, 2 * modes + 1), bias=False)


def layer_with(weight: Tensor) -> nn.Module:
    """The library's layer that holds complex weights (C, C', 2m + 1, m + 1)."""
    channels_in, channels_out, _, columns = weight.shape
    made = empty_layer(channels_in, channels_out, columns - 1)
    made.load_state_dict({"weight.tensor": weight.detach()})
    return made


def weight_of(layer: Any) -> Tensor:
    """The complex weights (C, C', 2m + 1, m + 1) of a layer of the library.

    Raises:
        ValueError: its spectrum has other waves, or it has a bias.
    """
    weight = layer.state_dict()["weight.tensor"]
    rows, columns = weight.shape[-2:]
    if rows != 2 * columns - 1 or layer.bias is not None:
        raise ValueError(
            f"the library's layer keeps {rows} x {columns} waves{'' if layer.bias is None else ' and has a bias'}; "
            "must be n_modes=(2m + 1, 2m + 1) and bias=False"
        )
    return weight
