"""Whether the propagator of a recipe and the geometry of a scan fit together."""

import logging

from ptychopinn.config import Recipe
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

STATED = {"far_field", "near_field"}
"""What the geometry of a scan may state as its `propagation`; other propagators are chosen by the recipe alone."""
SAME = 0.01
"""Relative difference of two Fresnel numbers below which their patterns agree.

Distances are known to about a per cent; doubled, a phase of pi at the detector may be wrong by 4 degrees."""


def check_propagation(scan: Scan, propagation: str) -> None:
    """Refuse patterns that the propagator of a recipe cannot explain; docs/formats.md says how they are recognised.

    Args:
        scan: what was measured.
        propagation: `model.propagation` of the recipe.

    Raises:
        ScanError: the scan states another one.
    """
    stated = scan.geometry.propagation
    if stated is None or stated == propagation or {stated, propagation} != STATED:
        return
    words = {"near_field": "near-field", "far_field": "far-field"}
    raise ScanError(
        f"{scan.source}: {words[stated]} patterns, to which a {words[propagation]} model must not be fitted "
        f"({scan.geometry.propagation_reason}); use --set model.propagation={stated}, or if that is wrong, write them "
        f"again with `ptychopinn convert --propagation {propagation}` and use that file"
    )


def with_geometry(recipe: Recipe, scan: Scan) -> Recipe:
    """The recipe with the Fresnel number of a scan, where its propagator may need one and it states none.

    A number that the recipe states is kept; the log warns where that of the scan differs.
    """
    given, known = recipe.model.fresnel_number, scan.geometry.fresnel_number
    if recipe.model.propagation == "far_field" or known is None:
        return recipe
    if given is None:
        logger.info("%s: the Fresnel number of a pixel is %.4g", scan.source, known)
        return recipe.changed(model=recipe.model.changed(fresnel_number=known))
    if abs(given - known) > SAME * known:
        logger.warning(
            "%s: the Fresnel number of a pixel is %.4g by the geometry of the scan, but the model uses %.4g",
            scan.source,
            known,
            given,
        )
    return recipe
