"""Correct the image of the solver by a prior, as far as the photons support it, and say what was done."""

import logging
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import holds_photons
from ptychopinn.errors import BundleError
from ptychopinn.metrics.withheld import Preference
from ptychopinn.physics import DiffractionModel
from ptychopinn.prior.canvas import PriorCanvas, canvas_of
from ptychopinn.prior.files import Prior
from ptychopinn.prior.network import DARKEST_PHOTONS, has_fast_bfloat16
from ptychopinn.prior.strength import WITHHELD, parts_of, strength_of

logger = logging.getLogger("ptychopinn.reconstruction")
NO_PHOTONS = "the patterns are not photon counts, so that the noise is not known; the image is left as it is"


@dataclass(frozen=True, eq=False)
class PriorEffect:
    """What a prior did to an image."""

    prior: str
    """`default`, or the file."""
    correction: NDArray[np.complex64]
    """(Y, X), on the canvas of the image: what was added."""
    strengths: tuple[float, float]
    """From 0 to 1: the parts of the network's corrections of amplitude and phase that the photons support."""
    rms_sigma: float
    """Root mean square of the correction over the covered pixels, in standard deviations of the counting noise."""
    largest_sigma: float
    """Its largest modulus, in the same units."""
    withheld: Preference | None
    """Withheld photons without (first) and with (second) the prior; None where no photons could be withheld."""
    reason: str
    """In a sentence."""
    sha256: str = ""
    """Of the file of the prior."""

    @property
    def strength(self) -> float:
        """Mean of the strengths of amplitude and phase."""
        return sum(self.strengths) / 2

    def entry(self) -> dict[str, Any]:
        """Plain values for `metrics.json` and the metadata of an image."""
        known: dict[str, Any] = {
            "prior": self.prior,
            "sha256": self.sha256,
            "strength": self.strength,
            "strength_of_parts": dict(zip(("amplitude", "phase"), self.strengths, strict=True)),
            "moved_rms_sigma": self.rms_sigma,
            "moved_largest_sigma": self.largest_sigma,
            "reason": self.reason,
        }
        found = self.withheld
        if found is None:
            return known
        return known | {
            "withheld_fraction": WITHHELD,
            "withheld_photons": found.photons,
            "withheld_deviance_per_pixel": dict(zip(("without", "with"), found.deviance, strict=True)),
            "withheld_difference": found.difference,
            "withheld_standard_error": found.standard_error,
        }


@torch.inference_mode()
def with_prior(
    image: Reconstruction,
    tensors: ScanTensors,
    prior: Prior,
    model: DiffractionModel | None = None,
    config: RefineConfig | None = None,
    *,
    seed: int = 0,
) -> tuple[Reconstruction, PriorEffect]:
    """The image of the solver with the correction of a prior.

    Probe, positions and pixels that are not covered stay as they are. Nothing is changed where the withheld photons
    do not support it, nor at all where the patterns are not photon counts.

    Args:
        image: of the solver, made from all photons of the scan.
        tensors: the scan, on the device that computes.
        prior: see `load_prior`.
        model: of the patterns; the far field with shifted probes by default.
        config: with which the image was made; the default settings by default.
        seed: of the draw of the withheld photons.

    Returns:
        The image with `metadata["prior"]`, and what was done.

    Raises:
        BundleError: the prior gives a correction that is not finite.
    """
    if not holds_photons(tensors.scan):
        return _left(image, prior)
    model = (model or DiffractionModel()).with_detector(image.background, image.blur_px)
    device = tensors.device
    on_device = prior if device.type == "cpu" else replace(prior, network=deepcopy(prior.network).to(device))
    found = strength_of(image, tensors, on_device, model, config or RefineConfig(), seed)
    canvas = canvas_of(image, tensors, model)
    strengths = (0.0, 0.0) if found.withheld.is_first_better else found.overall
    change = on_device.network.correction(canvas, half=has_fast_bfloat16(device))
    parts = parts_of(change, canvas.object_).cpu().numpy()
    if not np.isfinite(parts).all():
        raise BundleError(f"prior {prior.name}: its correction of the image is not finite; use another prior")
    correction = (strengths[0] * parts[0] + strengths[1] * parts[1]).astype(np.complex64)
    return _corrected(image, canvas, correction, strengths, found.withheld, prior)


def _corrected(
    image: Reconstruction,
    canvas: PriorCanvas,
    correction: NDArray[np.complex64],
    strengths: tuple[float, float],
    withheld: Preference,
    prior: Prior,
) -> tuple[Reconstruction, PriorEffect]:
    own = Frame((int(image.origin_px[0]), int(image.origin_px[1])), image.object_.shape)
    covered = canvas.covered.cpu().numpy()
    moved = np.abs(correction[covered]) * 2 * np.sqrt(np.maximum(canvas.power.cpu().numpy()[covered], DARKEST_PHOTONS))
    change = canvas.frame.moved(correction.astype(np.complex64), own, fill=0)
    effect = PriorEffect(
        prior=prior.name,
        correction=change,
        strengths=strengths,
        rms_sigma=float(np.sqrt(np.square(moved).mean())) if covered.any() else 0.0,
        largest_sigma=float(moved.max(initial=0)),
        withheld=withheld,
        reason=_reason(withheld),
        sha256=prior.sha256,
    )
    values = (prior.name, *effect.strengths, effect.rms_sigma, effect.reason)
    logger.info("prior %s: strength %.2f (amplitude) and %.2f (phase), moved by %.2f sigma; %s", *values)
    metadata = {**image.metadata, "prior": effect.entry()}
    return replace(image, object_=image.object_ + change, metadata=metadata), effect


def _left(image: Reconstruction, prior: Prior) -> tuple[Reconstruction, PriorEffect]:
    nothing = np.zeros(image.object_.shape, np.complex64)
    effect = PriorEffect(prior.name, nothing, (0.0, 0.0), 0.0, 0.0, None, NO_PHOTONS, prior.sha256)
    logger.info("prior %s: %s", prior.name, NO_PHOTONS)
    return replace(image, metadata={**image.metadata, "prior": effect.entry()}), effect


def _reason(found: Preference) -> str:
    evidence = f"difference of the deviance {found.difference:.4g} +- {found.standard_error:.2g}"
    if found.is_first_better:
        return f"the withheld photons are explained less well with the prior ({evidence}), so that it is not used"
    better = "better with the prior" if found.is_second_better else "as well with the prior as without"
    return f"the withheld photons are explained {better} ({evidence})"
