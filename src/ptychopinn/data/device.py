"""The device that a setting names."""

import logging

import torch

from ptychopinn.config import Recipe
from ptychopinn.errors import ConfigError

logger = logging.getLogger("ptychopinn.data")


def choose_device(name: str, setting: str = "training.device") -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Args:
        name: `auto`, `cpu`, `cuda`, `cuda:1`, ...
        setting: what the user wrote it into, for the message.

    Raises:
        ConfigError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{setting} = {name!r} cannot be used here ({reason}); use auto or cpu") from None
    return device


def check_precision(name: str, device: torch.device) -> None:
    """Refuse arithmetic of the network that a device does not have.

    Args:
        name: `training.precision`.
        device: where it trains.

    Raises:
        ConfigError: no bfloat16 there.

    >>> check_precision("bfloat16", torch.device("cpu"))
    """
    known = torch.amp.is_autocast_available(device.type)
    if device.type == "cuda":
        known = torch.cuda.is_bf16_supported(including_emulation=False)
    if name != "float32" and not known:
        raise ConfigError(f"training.precision is {name!r}, which the device {device} does not have; set it to float32")


def on_usable_device(recipe: Recipe, wanted: str) -> Recipe:
    """The recipe on one CPU, with a warning, where a GPU is `wanted` and there is none; otherwise as it is."""
    if not wanted.casefold().startswith(("cuda", "gpu")) or torch.cuda.is_available():
        return recipe
    logger.warning("device %s is not available: running on the CPU; set device='cpu' to avoid this warning", wanted)
    return recipe.changed(training=recipe.training.changed(device="cpu", devices=1))
