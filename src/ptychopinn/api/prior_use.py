"""The trained prior in a reconstruction: read before work starts, applied after the last iteration of the solver."""

import logging
import math
import time
from dataclasses import replace
from typing import Any

from ptychopinn.config import Recipe
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior import DEFAULT, Prior, load_prior, with_prior

logger = logging.getLogger("ptychopinn")
NONE = "none"
"""As `reconstruction.prior`: no prior. For a file of that name give its absolute path."""
AUTO = "auto"
"""As `reconstruction.prior`: the prior of the package, where `LEAST_NOISE` is exceeded."""
LEAST_NOISE = 0.01
"""Counting noise of the object, 1 / (2 sqrt(W)) under W photons per pixel, below which `auto` uses no prior: it would
cost a fifth of the solver's time for a change of some tenths of a dB in an image of more than 40 dB."""
ENTRY = "prior"
"""Name of the entry in `metrics.json` and in the metadata of an image."""
SEED = 2
"""Of the draw of the withheld photons. `run` (0) and the halves (1) draw too, and all draws must be independent."""
NETWORK_ALONE = (
    "not used: a network made this image, and the prior corrects images of the solver only, made with "
    "reconstruction.refine.iterations above 0"
)
LITTLE_NOISE = (
    "not used: the counting noise of the object is {:.2g}, and reconstruction.prior=auto uses a prior above {:g}; "
    "reconstruction.prior=default uses it always"
)
OBJECT_HELD = "not used: the solver held the object (reconstruction.refine.object=false)"
INTERRUPTED = "not used: the solver was interrupted, and the prior is applied after its last iteration; give --resume"


class PriorInterrupted(KeyboardInterrupt):
    """Ctrl-C while the prior is applied.

    Attributes:
        image: of the solver, finished, without the prior.
    """

    def __init__(self, image: Reconstruction) -> None:
        super().__init__()
        self.image = image


def prior_of(recipe: Recipe) -> Prior | None:
    """The prior that a recipe asks for; None where it asks for none.

    Raises:
        BundleError: its file is missing, damaged, or no prior.
    """
    name = recipe.reconstruction.prior
    if name == NONE:
        return None
    try:
        prior = load_prior(DEFAULT if name == AUTO else name)
    except BundleError as error:
        raise BundleError(f"reconstruction.prior (--prior): {error}; none uses no prior") from None
    logger.info("prior %s, sha256 %s", prior.name, prior.sha256)
    return prior


def unused(prior: Prior, reason: str) -> dict[str, Any]:
    """The entry of a prior that did not change an image, and why."""
    logger.info("prior %s: %s", prior.name, reason)
    return {"prior": prior.name, "sha256": prior.sha256, "strength": 0.0, "moved_rms_sigma": 0.0, "reason": reason}


def not_applied(image: Reconstruction, prior: Prior | None, reason: str) -> Reconstruction:
    """The image with that entry, where there is a prior."""
    if prior is None:
        return image
    return replace(image, metadata={**image.metadata, ENTRY: unused(prior, reason)})


def corrected(
    image: Reconstruction, tensors: ScanTensors, recipe: Recipe, prior: Prior | None
) -> tuple[Reconstruction, dict[str, float]]:
    """The image of the solver with the prior, and the time that it took; an image that has it stays as it is.

    The solver's image is never lost: it is kept where the correction is not finite.

    Args:
        image: of the solver, made from all photons of `tensors`; may hold the correction of an earlier run.
        tensors: the scan.
        recipe: of the image.
        prior: None leaves the image of the solver.

    Raises:
        PriorInterrupted: Ctrl-C.
    """
    if prior is not None and _has(image, prior):
        logger.info("prior %s: the image has its correction already", prior.name)
        return image, {}
    image = without_prior(image)
    if prior is None:
        return image, {}
    if not recipe.reconstruction.refine.object:
        return not_applied(image, prior, OBJECT_HELD), {}
    noise = _noise(image, tensors)
    if recipe.reconstruction.prior == AUTO and noise < LEAST_NOISE:
        return not_applied(image, prior, LITTLE_NOISE.format(noise, LEAST_NOISE)), {}
    started = time.perf_counter()
    model = DiffractionModel.of(recipe.model)
    try:
        made, effect = with_prior(image, tensors, prior, model, recipe.reconstruction.refine, seed=SEED)
    except BundleError as error:
        logger.warning("the prior is not used: %s", error)
        return not_applied(image, prior, f"not used: {error}"), {"prior_s": time.perf_counter() - started}
    except KeyboardInterrupt:
        raise PriorInterrupted(not_applied(image, prior, INTERRUPTED)) from None
    added = effect.correction if effect.correction.any() else None
    return replace(made, prior_correction=added), {"prior_s": time.perf_counter() - started}


def without_prior(image: Reconstruction) -> Reconstruction:
    """The image of the solver alone; its object is that of the solver to the precision of complex64."""
    metadata = {name: value for name, value in image.metadata.items() if name != ENTRY}
    if image.prior_correction is None:
        return replace(image, metadata=metadata)
    return replace(image, object_=image.object_ - image.prior_correction, prior_correction=None, metadata=metadata)


def _noise(image: Reconstruction, tensors: ScanTensors) -> float:
    """Standard deviation of the object from the counts, on the average covered pixel; 0 where nothing was counted."""
    photons = tensors.mean_counts_per_pattern() * len(tensors) / max(1, int(image.covered.sum()))
    return 0.5 / math.sqrt(photons) if photons > 0 else 0.0


def _has(image: Reconstruction, prior: Prior) -> bool:
    """Whether this prior was applied to an image, whatever came of it."""
    known = image.metadata.get(ENTRY)
    return isinstance(known, dict) and known.get("sha256") == prior.sha256 and known.get("reason") != INTERRUPTED
