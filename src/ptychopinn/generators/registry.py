"""Architecture name -> class: the only dictionary of architectures."""

from collections.abc import Callable

from torch import nn

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import ConfigError
from ptychopinn.generators.cnn import UNet

NetworkFactory = Callable[[int, int, GeneratorConfig], nn.Module]
"""Makes a network (B, C, H, W) -> (B, C', H, W) from C, C' and the settings."""

_ARCHITECTURES: dict[str, NetworkFactory] = {"cnn": UNet}


def architectures() -> list[str]:
    """Names that `model.generator.architecture` may take."""
    return sorted(_ARCHITECTURES)


def register(name: str, factory: NetworkFactory) -> None:
    """Add an architecture under a new name.

    Raises:
        ConfigError: the name is taken.
    """
    if name in _ARCHITECTURES:
        raise ConfigError(f"architecture {name!r} is registered already; choose another name")
    _ARCHITECTURES[name] = factory


def resolve(name: str) -> NetworkFactory:
    """The factory of an architecture.

    Raises:
        ConfigError: nobody registered that name.
    """
    try:
        return _ARCHITECTURES[name]
    except KeyError:
        raise ConfigError(
            f"model.generator.architecture = {name!r} is not registered; choose one of {', '.join(architectures())}"
        ) from None
