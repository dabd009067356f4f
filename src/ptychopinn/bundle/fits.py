"""Whether a recipe asks for the network that its weights are, found out without building it in memory."""

from collections.abc import Mapping

import torch

from ptychopinn.bundle.strict import check_shapes
from ptychopinn.config import Recipe
from ptychopinn.errors import BundleError, shown
from ptychopinn.models import PatchModel, build_model

PROBE_PARTS = "probe_parts"
SHIFTS = "shifts.raw"
"""Where the weights hold fitted positions."""


def check_fits(recipe: Recipe, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Refuse a recipe whose network has other weights than `state`.

    The network is built without memory (torch's meta device). Numbers of parts that would take long even so, and of
    probe modes, are compared with the weights first.

    Args:
        recipe: of a bundle or checkpoint.
        state: its weights by name.
        where: the file, for messages.

    Raises:
        BundleError: names, shapes or the number of parts differ.
    """
    probe = state.get(PROBE_PARTS)
    if probe is None or probe.ndim != 4 or probe.shape[-1] != 2 or 0 in probe.shape:
        raise BundleError(f"{where}: holds no probe among its weights; train the model again")
    generator, modes = recipe.model.generator, recipe.model.probe.modes
    for name, asked, held in (
        ("model.generator.blocks", generator.blocks, max(len(state), 4)),
        ("model.probe.modes", modes or 1, probe.shape[0]),
    ):
        if asked > held:
            raise BundleError(
                f"{where}: the weights do not fit the model of the recipe: {name} is {shown(asked)}, but they hold "
                f"{held} at most; use the recipe and the weights of one bundle"
            )
    try:
        with torch.device("meta"):
            model = empty_model(recipe, state)
    except (RuntimeError, OverflowError, MemoryError) as error:
        raise BundleError(
            f"{where}: the network of the recipe cannot be built ({shown(error)}); use the recipe and the weights of "
            "one bundle"
        ) from None
    check_shapes(model.state_dict(), state, where)


def empty_model(recipe: Recipe, state: Mapping[str, torch.Tensor]) -> PatchModel:
    """The model of a recipe, with room for the probe and the fitted positions of some weights."""
    model = build_model(recipe, torch.zeros(state[PROBE_PARTS].shape[:-1], dtype=torch.complex64))
    if SHIFTS in state:
        model.fit_positions(len(state[SHIFTS]) if state[SHIFTS].ndim else 0)
    return model
