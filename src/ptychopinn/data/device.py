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


def on_usable_device(recipe: Recipe, wanted: str) -> Recipe:
    """The recipe on one CPU, with a warning, where a GPU is `wanted` and there is none; otherwise as it is."""
    if not wanted.casefold().startswith(("cuda", "gpu")) or torch.cuda.is_available():
        return recipe
    logger.warning("device %s is not available: running on the CPU; set device='cpu' to avoid this warning", wanted)
    return recipe.changed(training=recipe.training.changed(device="cpu", devices=1))
