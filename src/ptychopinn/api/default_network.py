"""The network of a run that names no recipe, chosen by the scan; docs/dev/main_command.md has the figures."""

import logging
from collections.abc import Sequence

from ptychopinn.api.inputs import as_recipe
from ptychopinn.config import Recipe
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import holds_photons

logger = logging.getLogger("ptychopinn")
RECIPE = "unrolled"
"""It has the better image in less time, with the probe that the solver found."""
_CHOSEN_BY = ("model.kind", "model.generator.", "data.group_size", "training.patterns_per_step", "training.thinning")
"""Settings whose override names another network, or does not fit this one."""


def network_for(scan: Scan, recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """The recipe of a run that names none: `unrolled`, or the default one where that does not fit.

    Args:
        scan: `unrolled` needs photon counts, and as many patterns as one of its groups has.
        recipe: the default recipe with the overrides.
        overrides: `section.key=value` texts.
    """
    named = [text for text in overrides if text.strip().startswith(_CHOSEN_BY)]
    wanted = as_recipe(RECIPE, overrides)
    if named:
        reason = f"the network is set by {named[0]}"
    elif len(scan) < wanted.data.group_size:
        reason = f"{len(scan)} patterns are fewer than the {wanted.data.group_size} of a group of {RECIPE}"
    elif not holds_photons(scan):
        reason = f"{RECIPE} needs photon counts, and these counts are not whole numbers"
    else:
        logger.info("network: recipe %s, as no recipe was given", RECIPE)
        return wanted
    logger.info("network: the default recipe, since %s", reason)
    return recipe
