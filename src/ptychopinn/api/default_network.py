"""The network of a run whose recipe leaves it open, chosen by the scan; docs/dev/main_command.md has the figures."""

import logging
from collections.abc import Sequence

from ptychopinn.api.inputs import RecipeSource, as_recipe, stated_recipe
from ptychopinn.config import Recipe
from ptychopinn.config.backend import DEFAULT
from ptychopinn.config.text import leaves
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import holds_photons

logger = logging.getLogger("ptychopinn")
RECIPE = "unrolled"
"""It has the better image in less time, with the probe that the solver found."""
CHOOSES = (
    "model.kind",
    "model.generator.",
    "model.loss.",
    "model.probe.trainable",
    "data.group_size",
    "data.neighbors",
    "training.patterns_per_step",
    "training.thinning",
    "training.mirror",
)
"""Settings that choose a network, or that were chosen for `cnn`."""


def network_for(scan: Scan, source: RecipeSource, overrides: Sequence[str]) -> Recipe:
    """The recipe of a run: as it is given, or with the network of `unrolled` if it sets none and that one fits.

    Args:
        scan: `unrolled` needs photon counts, and as many patterns as one of its groups has.
        source: what the run was given as its recipe; nothing is the default recipe.
        overrides: `section.key=value` texts.
    """
    given = stated_recipe(source)
    stated = leaves(given.model_dump(mode="json", exclude_unset=True))
    chosen = [key for key in (*stated, *(text.strip() for text in overrides)) if key.startswith(CHOOSES)]
    unrolled = leaves(Recipe.from_name(RECIPE).model_dump(mode="json", exclude_unset=True))
    wanted = as_recipe(Recipe.from_dotted({**unrolled, **stated}), overrides)
    if wanted.backend != DEFAULT:
        reason = f"the backend {wanted.backend} has no other"
    elif chosen:
        reason = f"{chosen[0].partition('=')[0]} is set"
    elif len(scan) < wanted.data.group_size:
        reason = f"{len(scan)} patterns are fewer than the {wanted.data.group_size} of a group of {RECIPE}"
    elif not holds_photons(scan):
        reason = f"{RECIPE} needs photon counts, and these counts are not whole numbers"
    else:
        logger.info("network: that of the recipe %s", RECIPE)
        return wanted
    recipe = as_recipe(given, overrides)
    logger.info("network: %s, since %s", recipe.model.generator.architecture, reason)
    return recipe
