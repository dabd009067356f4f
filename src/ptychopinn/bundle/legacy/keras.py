"""Weights of a `.keras` file: the arrays of its HDF5 member, by the order of layers in its configuration.

In that HDF5 `conv2d_k` is the k-th Conv2D in the order of the configuration, not the layer of that name. The number in
the name of a layer says when it was made, and the layout was always made in one order: encoder, then for the amplitude
and for the phase the convolution of the centre, that of the border, the blocks, and the block of the border.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np
import torch

from ptychopinn.bundle.archive import MAX_JSON_BYTES, Members, opened_zip
from ptychopinn.bundle.legacy.layout import Layout, decoder_names, encoder_names
from ptychopinn.bundle.manifest import parse_json
from ptychopinn.data.io.door import open_hdf5
from ptychopinn.data.io.hdf5 import array, find_dataset
from ptychopinn.errors import BundleError, ScanError, shown

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_WEIGHTS_BYTES = 2**31
"""Of the HDF5 member; the largest network of the earlier implementation and its optimiser take 60 MB."""
CONVOLUTION = "Conv2D"
KNOWN = frozenset(
    {
        *("InputLayer", CONVOLUTION, "MaxPooling2D", "UpSampling2D", "GetItem", "Silu", "Multiply", "Add"),
        *("ZeroPadding2D", "IntensityScaler", "IntensityScaler_inv", "ActivationLayer", "CenterMaskLayer"),
        *("CombineComplexLayer", "ReassemblePatchesLayer", "PadReconstructionLayer", "TrimReconstructionLayer"),
        *("ExtractPatchesPositionLayer", "ProbeIllumination", "PadAndDiffractLayer", "FlatToChannelLayer"),
        *("SquareLayer", "ScaleLayer", "InvScaleLayer"),
    }
)
"""Layers of the layout. Any other one would do something that is not known here."""


def read_keras(data: bytes, where: str) -> Layout:
    """The weights of a `.keras` file.

    Args:
        data: of the whole file.
        where: the archive and its member, for messages.

    Raises:
        BundleError: a layer that is not known, such as a Lambda layer, or a file that is damaged or of another layout.
    """
    with opened_zip(io.BytesIO(data), where) as archive:
        members = Members(archive, where)
        layers = _layers(parse_json(members.read(CONFIG, MAX_JSON_BYTES), where, CONFIG), where)
        weights = members.read(WEIGHTS, MOST_WEIGHTS_BYTES)
    made = sorted((layer for layer in layers if layer.kind == CONVOLUTION), key=lambda layer: layer.number)
    in_file = [layer for layer in layers if layer.kind == CONVOLUTION]
    arrays = _arrays(weights, len(in_file), where)
    by_name = {layer.name: pair for layer, pair in zip(in_file, arrays, strict=True)}
    names = [*encoder_names(_encoder_depth(len(made), where)), *_both_decoders(len(made))]
    state = {
        f"{name}.{part}": tensor
        for layer, name in zip(made, names, strict=True)
        for part, tensor in zip(("weight", "bias"), by_name[layer.name], strict=True)
    }
    _check_branches(layers, dict(zip(names, made, strict=True)), where)
    return Layout("legacy_cnn_tensorflow", state, _activation(layers))


@final
@dataclass(frozen=True)
class _Layer:
    """What is read of one layer of the configuration."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    config: dict[str, Any]

    @property
    def number(self) -> int:
        """When it was made among the layers of its kind."""
        found = re.fullmatch(r".*?_(\d{1,6})", self.name)
        return 0 if found is None else int(found[1])


def _layers(tree: Any, where: str) -> list[_Layer]:
    try:
        entries = tree["config"]["layers"]
        layers = [
            _Layer(
                str(entry["name"]), str(entry["class_name"]), tuple(_inputs(entry["inbound_nodes"])), entry["config"]
            )
            for entry in entries
        ]
    except (KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{where}: {CONFIG} describes no network ({shown(error)}); copy the archive again") from None
    for layer in layers:
        if layer.kind not in KNOWN:
            raise BundleError(
                f"{where}: the layer {shown(layer.name)} is of the kind {shown(layer.kind)}, which is not read: a "
                "Lambda layer is code, and others do not belong to the CNN of the earlier implementation; nothing of "
                "it was run, and the archive is refused"
            )
    return layers


def _inputs(node: Any) -> Iterator[str]:
    """Names of the layers that feed one."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            yield str(node["config"]["keras_history"][0])
        else:
            for value in node.values():
                yield from _inputs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _inputs(value)


def _encoder_depth(count: int, where: str) -> int:
    """Blocks of the encoder, of the number of convolutions: 2 L + 2 (2 + 2 (L - 1) + 2)."""
    depth, rest = divmod(count - 4, 6)
    if rest or not 2 <= depth <= 7:
        raise BundleError(
            f"{where}: has {count} convolutions, which the CNN of the earlier implementation does not have; train a "
            "new model on the scan"
        )
    return depth


def _both_decoders(count: int) -> list[str]:
    depth = (count - 4) // 6
    return [name for branch in ("amplitude", "phase") for name in decoder_names(branch, depth)]


def _check_branches(layers: list[_Layer], convolutions: dict[str, _Layer], where: str) -> None:
    """The layers named `amp` and `phi` must follow the convolutions that are taken for their centres."""
    for name, branch in (("amp", "amplitude"), ("phi", "phase")):
        inputs = next((layer.inputs for layer in layers if layer.name == name), ())
        if inputs != (convolutions[f"{branch}.centre"].name,):
            raise BundleError(
                f"{where}: the layer {name} does not follow the convolution of the {branch}; its layers are not in the "
                "order of the earlier implementation, so that the archive is refused"
            )


def _activation(layers: list[_Layer]) -> str:
    layer = next(layer for layer in layers if layer.name == "amp")
    return str(layer.config.get("activation_name", ""))


def _arrays(data: bytes, count: int, where: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Kernel (C', C, 3, 3) and bias (C',) of each convolution, in the order of the configuration."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / WEIGHTS
        path.write_bytes(data)
        try:
            with open_hdf5(path) as file:
                return [_pair(file, k, where) for k in range(count)]
        except ScanError as error:
            raise BundleError(f"{where}: {str(error).replace(f'{folder}/', '')}") from None


def _pair(file: Any, k: int, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    group = f"layers/conv2d{f'_{k}' if k else ''}/vars"
    kernel, bias = (_values(file, f"{group}/{n}", axes, where) for n, axes in ((0, 4), (1, 1)))
    return kernel.permute(3, 2, 0, 1).contiguous(), bias


def _values(file: Any, name: str, axes: int, where: str) -> torch.Tensor:
    dataset = find_dataset(file, name)
    if dataset is None or dataset.ndim != axes or dataset.dtype.kind != "f":
        raise BundleError(f"{where}: {WEIGHTS} lacks {name} with {axes} axes of numbers; copy the archive again")
    return torch.from_numpy(np.asarray(array(dataset), np.float32))
