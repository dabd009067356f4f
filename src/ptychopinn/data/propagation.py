"""Whether the propagator of a recipe and the geometry of a scan fit together, and what the geometry gives it."""

import logging

from ptychopinn.config import ModelConfig, Recipe
from ptychopinn.data.geometry import Geometry
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


def of_geometry(model: ModelConfig, geometry: Geometry) -> ModelConfig:
    """The settings `model` with those values of its propagator that a geometry gives: the Fresnel number of a pixel.

    The one place where the geometry of a scan becomes settings, for training, reconstruction, solver and simulator. The
    settings stay as they are in the far field, or where the geometry is not known.
    """
    known = geometry.fresnel_number
    return model if model.propagation == "far_field" or known is None else model.changed(fresnel_number=known)


def with_geometry(recipe: Recipe, scan: Scan) -> Recipe:
    """The recipe with the Fresnel number of a scan, where its propagator may need one and it states none.

    A number that the recipe states is kept; the log warns where that of the scan differs.
    """
    by_scan = of_geometry(recipe.model, scan.geometry)
    given, known = recipe.model.fresnel_number, by_scan.fresnel_number
    if known is None or by_scan is recipe.model:
        return recipe
    if given is None:
        logger.info("%s: the Fresnel number of a pixel is %.4g", scan.source, known)
        return recipe.changed(model=by_scan)
    if abs(given - known) > SAME * known:
        logger.warning(
            "%s: the Fresnel number of a pixel is %.4g by the geometry of the scan, but the model uses %.4g",
            scan.source,
            known,
            given,
        )
    return recipe
