"""The parts of a network that fine-tuning trains one by one: the encoder in two halves, decoder and last layer."""

from collections.abc import Iterator
from typing import Literal, get_args

from torch import nn

from ptychopinn.errors import ConfigError
from ptychopinn.generators.base import Generator
from ptychopinn.generators.legacy_cnn import LegacyCNN
from ptychopinn.generators.network import Network

PartName = Literal["decoder", "head", "encoder_top", "encoder_bottom"]
"""`encoder_top` is the coarser half of the encoder's blocks and the bottleneck, `head` the last layer.

A decoder may have no weights of its own, as that of `fno_vanilla`.
"""


def weights_of_parts(generator: Generator) -> dict[PartName, list[nn.Parameter]]:
    """The weights of each part, those of all stages of an unrolled generator together.

    Raises:
        ConfigError: the network is not made of an encoder and a decoder.
    """
    found: dict[PartName, list[nn.Parameter]] = {name: [] for name in get_args(PartName)}
    for module in generator.modules():
        if isinstance(module, Network | LegacyCNN):
            pieces = _composed(module) if isinstance(module, Network) else _legacy(module)
            for name, piece in pieces:
                found[name] += piece.parameters()
    known = {id(parameter) for parameters in found.values() for parameter in parameters}
    rest = [name for name, parameter in generator.named_parameters() if id(parameter) not in known]
    empty = [name for name, parameters in found.items() if not parameters and name != "decoder"]
    if rest or empty:
        lacks = f"weights that belong to neither ({rest[0]})" if rest else f"no {empty[0].replace('_', ' ')}"
        raise ConfigError(
            f"training.fine_tune.staged tunes decoder and encoder one after the other, and the network has {lacks}; "
            "set training.fine_tune.staged=false, or choose an architecture with an encoder and a decoder"
        )
    return found


def _composed(network: Network) -> Iterator[tuple[PartName, nn.Module]]:
    yield "decoder", network.decoder
    yield "head", network.head
    yield "encoder_top", network.bottleneck
    for depth, block in _blocks(network.encoder):
        yield "encoder_top" if depth >= 0.5 else "encoder_bottom", block


def _legacy(network: LegacyCNN) -> Iterator[tuple[PartName, nn.Module]]:
    for decoder in (network.amplitude, network.phase):
        yield "decoder", decoder.blocks
        yield "decoder", decoder.border_block
        yield "head", decoder.centre
        yield "head", decoder.border
    for depth, block in _blocks(network.encoder):
        yield "encoder_top" if depth >= 0.5 else "encoder_bottom", block


def _blocks(encoder: nn.Module) -> Iterator[tuple[float, nn.Module]]:
    """The blocks of an encoder with their depth, 0 at the input and 1 at the end; lists of blocks run in parallel."""
    if isinstance(encoder, nn.ModuleList | nn.Sequential):
        yield from _spread(encoder)
        return
    for child in encoder.children():
        if isinstance(child, nn.ModuleList):
            yield from _spread(child)
        else:
            yield 0.0, child


def _spread(blocks: nn.ModuleList | nn.Sequential) -> Iterator[tuple[float, nn.Module]]:
    for index, block in enumerate(blocks):
        yield index / max(1, len(blocks) - 1), block
