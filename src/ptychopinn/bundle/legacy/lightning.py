"""Weights of the PyTorch side: a `.pth` in an archive, or a `.ckpt` of Lightning, read with `weights_only`."""

import io
import re
from collections.abc import Mapping
from typing import Any

import torch

from ptychopinn.bundle.checkpoint import DAMAGED, UNREADABLE, reason_of, tensors_of
from ptychopinn.bundle.legacy.layout import Layout
from ptychopinn.errors import BundleError, shown

PREFIX = "model.autoencoder."
_NAMES = (
    (r"encoder\.blocks\.(\d+)\.conv1", r"encoder.\1.first"),
    (r"encoder\.blocks\.(\d+)\.conv2", r"encoder.\1.second"),
    (r"encoder\.blocks\.(\d+)\.attention\.ChannelGate\.mlp\.1", r"encoder.\1.attention.squeeze"),
    (r"encoder\.blocks\.(\d+)\.attention\.ChannelGate\.mlp\.3", r"encoder.\1.attention.excite"),
    (r"encoder\.blocks\.(\d+)\.attention\.SpatialGate\.compress", r"encoder.\1.attention.place"),
    (r"decoder_amp\.blocks\.(\d+)\.conv1", r"amplitude.blocks.\1.first"),
    (r"decoder_amp\.blocks\.(\d+)\.conv2", r"amplitude.blocks.\1.second"),
    (r"decoder_amp\.amp\.conv1", "amplitude.centre"),
    (r"decoder_amp\.amp\.conv_up_block\.conv1", "amplitude.border_block.first"),
    (r"decoder_amp\.amp\.conv_up_block\.conv2", "amplitude.border_block.second"),
    (r"decoder_amp\.amp\.conv2", "amplitude.border"),
    (r"decoder_phase\.blocks\.(\d+)\.conv1", r"phase.blocks.\1.first"),
    (r"decoder_phase\.blocks\.(\d+)\.conv2", r"phase.blocks.\1.second"),
    (r"decoder_phase\.phase\.conv1", "phase.centre"),
    (r"decoder_phase\.phase\.conv_up_block\.conv1", "phase.border_block.first"),
    (r"decoder_phase\.phase\.conv_up_block\.conv2", "phase.border_block.second"),
    (r"decoder_phase\.phase\.conv2", "phase.border"),
)
"""Layers of the earlier module -> those of `LegacyCNN`."""
IGNORED = ("model.forward_model.",)
"""Weights that no prediction uses: factors of the earlier forward model, which were 1 unless they were trained."""


def read_torch(data: bytes, where: str) -> dict[str, Any]:
    """The dictionary of a file of `torch.save`: plain values and tensors.

    Raises:
        BundleError: it is damaged or holds Python objects.
    """
    try:
        return tensors_of(io.BytesIO(data))
    except (*UNREADABLE, *DAMAGED) as error:
        raise BundleError(
            f"{where}: is no file of weights ({shown(reason_of(error))}); nothing of it was run, copy the archive again"
        ) from None


def layout_of(state: Mapping[str, Any], activation: str, border: bool, where: str) -> Layout:
    """The network of a dictionary of weights.

    Args:
        state: of the earlier Lightning module.
        activation: `amp_activation` of its settings.
        border: `probe_big` of its settings: whether the border of the patches was made; else it is 0.
        where: for messages.

    Raises:
        BundleError: weights of another network than the CNN with its default attention.
    """
    if not all(isinstance(value, torch.Tensor) and _is_whole(value) for value in state.values()):
        raise BundleError(
            f"{where}: its state_dict holds something that is no tensor of as many numbers as it stores; the archive "
            "is refused"
        )
    named = {name: _name(name, where) for name in state if not name.startswith(IGNORED)}
    weights = {new: state[name].to(torch.float32) for name, new in named.items()}
    if not border:
        weights |= {name: torch.zeros_like(value) for name, value in weights.items() if name.split(".")[1] == "border"}
    return Layout("legacy_cnn_pytorch", weights, activation)


def _is_whole(tensor: torch.Tensor) -> bool:
    """Whether a tensor stores each of its numbers; one that is expanded can stand for any amount of memory."""
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.is_contiguous()


def _name(name: str, where: str) -> str:
    layer, _, part = name.removeprefix(PREFIX).rpartition(".")
    for pattern, new in _NAMES:
        found = re.fullmatch(pattern, layer)
        if name.startswith(PREFIX) and found is not None:
            return f"{found.expand(new)}.{part}"
    raise BundleError(
        f"{where}: holds the weight {shown(name)}, which the CNN of the earlier implementation does not have; other "
        "networks of it are not read, train a new model on the scan"
    )
