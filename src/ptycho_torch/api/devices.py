"""Which device runs, chosen when something runs and never by a checkpoint."""

import logging

from ptycho_torch.api.task_log import CLIENT
from ptychopinn.config import Recipe

logger = logging.getLogger(CLIENT)


def on_usable_device(recipe: Recipe, wanted: str) -> Recipe:
    """The recipe on the CPU, with a warning, where CUDA is wanted and is not there.

    Args:
        recipe: its device may name one GPU, or leave the choice open.
        wanted: the client's word for the device.
    """
    import torch

    if not wanted.casefold().startswith(("cuda", "gpu")) or torch.cuda.is_available():
        return recipe
    logger.warning("device %s is not available here: the CPU is used; set the device to cpu to say so", wanted)
    training = recipe.training.changed(device="cpu", devices=1)
    return recipe.changed(training=training)
