"""The only dictionary of architectures and of the parts that they are made of; what others add to it.

A name that is not known here is looked for in the entry points `ptychopinn.generators` of installed packages. The name
of an entry point is that of an architecture, and its value a `NetworkFactory`; if the value is a module, it is imported
and registers by itself what it has.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, final, get_args

from torch import nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators.cnn import ConvolutionDecoder, ConvolutionEncoder, NoBottleneck, Refiner, ResidualBottleneck
from ptychopinn.generators.fourier import (
    FactorisedEncoder,
    FourierBottleneck,
    FourierDecoder,
    FourierEncoder,
    FourierPyramid,
)
from ptychopinn.generators.inputs import INPUTS
from ptychopinn.generators.legacy_cnn import pytorch_layout, tensorflow_layout
from ptychopinn.generators.network import Network
from ptychopinn.generators.outputs import OUTPUTS
from ptychopinn.plugins import Registry

GROUP = "ptychopinn.generators"
"""Entry points of packages that bring generators."""

NetworkFactory = Callable[[int, int, GeneratorConfig], nn.Module]
"""Makes a network (B, C, H, W) -> (B, C', H, W) from C, C' and the settings."""

Kind = Literal["input", "encoder", "bottleneck", "decoder", "output"]
"""What a part is, and the setting under `model.generator` that names it.

- `input`: `Input(function, channels)`, the function from a `GroupView` to (B, G, C, H, W).
- `encoder`: class of (channels_in, config), image -> list of maps, each of half the resolution of the one before, with
  their channels in `widths`.
- `bottleneck`: class of (width, config), the coarsest map -> the same shape.
- `decoder`: class of (widths, config), list of maps -> one map of full resolution, with its channels in `width`.
- `output`: `Output(function, channels)`, the function from (..., C, H, W) to complex (..., H, W), 1 where that is zero
  (but for `polar`).
"""


@final
@dataclass(frozen=True)
class Composition:
    """An architecture that is named by its parts; a `NetworkFactory`."""

    encoder: str
    bottleneck: str
    decoder: str

    def __call__(self, channels_in: int, channels_out: int, config: GeneratorConfig) -> Network:
        """The network, with those parts in place of ours that the settings name.

        Raises:
            ConfigError: nobody registered a part of that name.
        """
        named = replace(self, **_named_parts(config))
        encoder = resolve_part("encoder", named.encoder)(channels_in, config)
        bottleneck = resolve_part("bottleneck", named.bottleneck)(encoder.widths[-1], config)
        decoder = resolve_part("decoder", named.decoder)(encoder.widths, config)
        return Network(encoder, bottleneck, decoder, channels_out)


def compose(*, encoder: str, bottleneck: str = "none", decoder: str) -> Composition:
    """An architecture of registered parts: `register("mine", compose(encoder="fourier", decoder="refiner"))`."""
    return Composition(encoder, bottleneck, decoder)


_ARCHITECTURES: Registry[NetworkFactory] = Registry(
    "architecture",
    {
        "cnn": compose(encoder="convolution", decoder="convolution"),
        "fno": compose(encoder="fourier", decoder="refiner"),
        "fno_vanilla": compose(encoder="fourier", decoder="convolution"),
        "ffno": compose(encoder="factorised", decoder="refiner"),
        "hybrid": compose(encoder="fourier_pyramid", bottleneck="fourier", decoder="convolution"),
        "hybrid_resnet": compose(encoder="fourier_pyramid", bottleneck="residual", decoder="convolution"),
        "neuralop_uno": compose(encoder="fourier_pyramid", bottleneck="fourier", decoder="fourier"),
        "unrolled": compose(encoder="convolution", decoder="convolution"),
        "legacy_cnn_tensorflow": tensorflow_layout,
        "legacy_cnn_pytorch": pytorch_layout,
    },
    setting="model.generator.architecture",
    group=GROUP,
)


def _part_registry(kind: Kind, entries: dict[str, Any]) -> Registry[Any]:
    return Registry(kind, entries, setting=f"model.generator.{kind}", shared=_ARCHITECTURES)


_PARTS: dict[str, Registry[Any]] = {
    "input": _part_registry("input", dict(INPUTS)),
    "encoder": _part_registry(
        "encoder",
        {
            "convolution": ConvolutionEncoder,
            "fourier": FourierEncoder,
            "fourier_pyramid": FourierPyramid,
            "factorised": FactorisedEncoder,
        },
    ),
    "bottleneck": _part_registry(
        "bottleneck", {"none": NoBottleneck, "residual": ResidualBottleneck, "fourier": FourierBottleneck}
    ),
    "decoder": _part_registry(
        "decoder", {"convolution": ConvolutionDecoder, "fourier": FourierDecoder, "refiner": Refiner}
    ),
    "output": _part_registry("output", dict(OUTPUTS)),
}


def architectures() -> list[str]:
    """Names that `model.generator.architecture` may take."""
    return _ARCHITECTURES.names()


def parts(kind: Kind) -> list[str]:
    """Names that `model.generator.<kind>` may take."""
    return _PARTS[kind].names()


def register(name: str, factory: NetworkFactory) -> None:
    """Add an architecture under a new name.

    Raises:
        ConfigError: the name is taken.
    """
    _ARCHITECTURES.register(name, factory)


def register_part(kind: Kind, name: str, part: Any) -> None:
    """Add a part under a new name; what each kind must be stands at `Kind`.

    Raises:
        ConfigError: the name is taken, or there is no such kind.
    """
    if kind not in _PARTS:
        raise ConfigError(f"parts are of the kinds {', '.join(get_args(Kind))}; {kind!r} is none of them")
    _PARTS[kind].register(name, part)


def resolve(name: str) -> NetworkFactory:
    """The factory of an architecture.

    Raises:
        ConfigError: nobody registered that name.
    """
    return _ARCHITECTURES.resolve(name)


def resolve_part(kind: Kind, name: str) -> Any:
    """A part of a network, or an input or output.

    Raises:
        ConfigError: nobody registered that name.
    """
    return _PARTS[kind].resolve(name)


def build_network(channels_in: int, channels_out: int, config: GeneratorConfig) -> nn.Module:
    """The network (B, C, H, W) -> (B, C', H, W) that the settings name.

    Raises:
        ConfigError: an unknown name, a part named for an architecture that is not made of parts, or `polar` for one
            that is.
    """
    factory = resolve(config.architecture)
    named = _named_parts(config)
    if named and not isinstance(factory, Composition):
        raise ConfigError(
            f"model.generator.{next(iter(named))} is set, but the architecture {config.architecture!r} is not made of "
            "parts; leave it null, or choose an architecture that is"
        )
    if config.output == "polar" and isinstance(factory, Composition):
        raise ConfigError(
            f"model.generator.output=polar makes an object of 0 of the first output of {config.architecture!r}, from "
            "which training cannot start; set it to amplitude_phase"
        )
    return factory(channels_in, channels_out, config)


def _named_parts(config: GeneratorConfig) -> dict[str, str]:
    named = {"encoder": config.encoder, "bottleneck": config.bottleneck, "decoder": config.decoder}
    return {kind: name for kind, name in named.items() if name is not None}
