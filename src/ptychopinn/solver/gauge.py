r"""The gauge of probe and object: the factor, phase, ramp and shift that they can exchange without changing a pattern.

\[ P \to \frac{P}{f}, \quad O \to f O; \qquad P(r) \to P(r + c), \quad O(r) \to O(r + c); \qquad
   P(r) \to P(r)\, e^{i k r}, \quad O(r) \to O(r)\, e^{-i k r} \]

The data do not decide f, c and k, so a rule must, or penalties and noise do. `HeldPhotons` holds f during the
iterations. `with_gauge` applies the rules of docs/conventions.md to a result, and states what it did.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.metrics.transmission import transmission_warning
from ptychopinn.physics import DiffractionModel, intensity
from ptychopinn.physics.shift import fourier_shift
from ptychopinn.solver.state import State

logger = logging.getLogger("ptychopinn.reconstruction")

FITTED_SCALE = "the intensity scale was fitted in training"
BRIGHTEST = 0.1
"""Part of the well-covered pixels, those of the largest modulus, whose median stands for an empty sample."""
WELL_COVERED = 0.25
"""Coverage, relative to its maximum, from which a pixel counts."""
LARGEST_WRAP = 1e-2
"""Part of the probe's photons that may leave the array when the probe is moved to its centre. A beam that fills its
array has no centre that could be moved."""
SCALE_ERROR = 0.02
"""Relative error of the modulus that is left where the probe's photons are known."""
DEVIATIONS = 3.0
"""Errors by which a transmission must exceed 1 before it is reported."""
_SMALLEST_MOVE_PX = 1e-3


@final
@dataclass(frozen=True)
class Gauge:
    """What is known of the probe before a scan is reconstructed."""

    photons_known: bool = True
    """Whether the probe is in sqrt(photons), so that the object is the transmission."""
    probe_known: bool = True
    """Whether there was a probe. If not, the mean phase gradient of the object means nothing."""
    reason: str = "the start probe is taken to be in sqrt(photons)"
    """Why."""

    @classmethod
    def of(cls, scan: Scan, rule: str, scale: float, reason: str) -> "Gauge":
        """What is known of the probe of a scan.

        Args:
            scan: its probe may be an estimate.
            rule: `model.intensity_scale`.
            scale: that `ptychopinn.models.scan_scale` found; 1 for a probe that is taken to be in sqrt(photons).
            reason: of this scale.
        """
        if scan.probe_estimated:
            return cls(False, False, "no probe was given, so that its photons are not known")
        return cls(scale == 1 and rule != "data", True, reason)

    @classmethod
    def of_training(cls, recipe: Recipe) -> "Gauge":
        """What is known of the probe of a trained model; while it was fitted, its photons were held."""
        fitted, rule = recipe.fitted, recipe.model.intensity_scale
        if rule == "trainable":
            return cls(False, True, FITTED_SCALE)
        if fitted is None or fitted.probe_estimated:
            return cls(False, False, "training had no probe, so that its photons are not known")
        trusted = fitted.intensity_scale == 1 and rule != "data"
        return cls(
            trusted, True, f"the training scan's probe {'in sqrt(photons)' if trusted else 'scaled to the counts'}"
        )


@final
class HeldPhotons:
    """Holds the photons of all probe modes together; the object takes the inverse factor, so that no pattern changes.

    Of a probe that varies these are the mean photons over the patterns.

    A smoothness penalty is smaller for an object of smaller modulus. Without this, the object therefore loses modulus
    to the probe in every iteration.
    """

    def apply(self, state: State) -> None:
        """Multiply probe, object and their velocities, in iterations in which the probe is refined."""
        if not state.stage.probe:
            return
        estimate = state.estimate
        photons = intensity(estimate.probe).sum()
        if estimate.relaxation is not None:
            photons = photons + estimate.relaxation.photons.sum()
        factor = (state.probe_photons / photons).sqrt()
        estimate.scale_beam(factor)
        state.probe_velocity, state.relaxation_velocity = (
            factor * one for one in (state.probe_velocity, state.relaxation_velocity)
        )
        estimate.object_, state.object_velocity = estimate.object_ / factor, state.object_velocity / factor


def with_gauge(
    image: Reconstruction,
    gauge: Gauge,
    model: DiffractionModel,
    *,
    probe_refined: bool = True,
    object_refined: bool = True,
    frame: Frame | None = None,
) -> Reconstruction:
    """A result by the rules of docs/conventions.md; its patterns stay the same.

    1. Photons known: the modulus is left as it is. 2. Unknown: the modulus is 1 in the median of its brightest tenth.
    3. The centre of mass of a refined probe is at (H//2, W//2): probe and object are moved by whole pixels. A given
    probe keeps the rest, since a real beam is not symmetric; with an estimated one the positions take it up. 4. The
    mean phase is 0; the mean phase gradient is removed if no probe was given.

    Args:
        image: on any canvas.
        gauge: what was known.
        model: of the patterns. In the near field a shifted wave makes a shifted pattern, so that nothing is moved;
            where the object is interpolated, it is moved by whole pixels only.
        probe_refined: a probe that was not refined is left as it is, apart from its factor.
        object_refined: an object that was not refined is left as it is, and so is the probe.
        frame: of the result; by default that of the image.

    Returns:
        The image, with `metadata["gauge"]`.
    """
    frame = frame or Frame(_pair(image.origin_px), _pair(image.object_.shape))
    entry: dict[str, Any] = {"scale": "absolute" if gauge.photons_known else "relative", "reason": gauge.reason}
    if object_refined and not gauge.photons_known:
        image, entry["object_multiplied_by"] = _brightest_is_one(image)
    if object_refined and probe_refined and model.propagator.is_fourier:
        image, entry["moved_px"] = _centred(image, whole_only=gauge.probe_known or not model.shifts_probes)
    object_, coverage = image.in_frame(frame.origin_px, frame.shape)
    image = replace(image, object_=object_, coverage=coverage, origin_px=np.asarray(frame.origin_px))
    if object_refined and probe_refined and not gauge.probe_known:
        image, entry["ramp_removed_rad_per_px"] = _without_ramp(image)
    if object_refined:
        image, entry["phase_removed_rad"] = _without_phase(image)
    entry["probe_photons"] = image.beam_photons
    if gauge.photons_known:
        entry["transmission"] = transmission(image)
    return replace(image, metadata={**image.metadata, "gauge": entry})


def transmission(image: Reconstruction) -> dict[str, Any]:
    r"""The modulus of the brightest tenth, its error, and whether it exceeds 1 by more than that.

    The error of a pixel under W photons is \(1 / (2 \sqrt{W})\); the brightest tenth of pixels of modulus 1 has its
    median 1.64 of them above 1. `SCALE_ERROR` is that of the scale.
    """
    modulus, photons = _well_covered(image)
    if not len(modulus):
        return {"brightest": None, "error": None, "above_1": False}
    noise = 0.5 / np.sqrt(max(float(np.median(photons)), 1e-12))
    brightest, error = brightest_modulus(modulus), float(np.hypot(DEVIATIONS * noise, SCALE_ERROR))
    return {"brightest": brightest, "error": error, "above_1": bool(brightest > 1 + error)}


def brightest_modulus(modulus: NDArray[np.floating]) -> float:
    """Median of the brightest tenth of moduli (K,).

    >>> round(brightest_modulus(np.linspace(0, 1, 1001)), 6)
    0.95
    """
    return float(np.quantile(modulus, 1 - BRIGHTEST / 2))


def log_gauge(image: Reconstruction) -> None:
    """Log the scale of a result; warn of a transmission above 1."""
    entry = image.metadata["gauge"]
    logger.info("scale of the object: %s (%s)", entry["scale"], entry["reason"])
    moved = entry.get("moved_px")
    if moved is not None and max(map(abs, moved)) >= 1:
        logger.info(
            "probe and object moved by (%.2f, %.2f) px, so that the centre of mass of the probe is at the centre",
            *moved,
        )
    warning = transmission_warning(entry.get("transmission"))
    if warning is not None:
        logger.warning(warning)


def _pair(values: Any) -> tuple[int, int]:
    return int(values[0]), int(values[1])


def _well_covered(image: Reconstruction) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Modulus (K,) of the well-covered pixels, and the photons (K,) that fell on them."""
    chosen = image.coverage >= WELL_COVERED * max(float(image.coverage.max(initial=0)), 1e-12)
    photons = image.beam_photons * np.float64(len(image.positions_px))
    share = image.coverage / max(float(image.coverage.sum(dtype=np.float64)), 1e-12)
    return np.abs(image.object_[chosen]), photons * share[chosen]


def _brightest_is_one(image: Reconstruction) -> tuple[Reconstruction, float]:
    modulus, _ = _well_covered(image)
    factor = brightest_modulus(modulus) if len(modulus) else 0.0
    if not factor > 0:
        return image, 1.0
    object_ = np.where(image.covered, image.object_ / factor, image.object_)
    return replace(image, object_=object_).with_beam(lambda wave: wave * factor), 1 / factor


def _centred(image: Reconstruction, whole_only: bool) -> tuple[Reconstruction, list[float]]:
    """Probe, object and positions moved so that the centre of mass is at (H//2, W//2); by how much."""
    power = np.square(np.abs(image.probe), dtype=np.float64).sum(0)
    offset = centre_of_mass(power) - np.array(power.shape) // 2
    if not np.isfinite(offset).all() or np.abs(offset).max() < _SMALLEST_MOVE_PX:
        return image, [0.0, 0.0]
    whole = np.round(offset).astype(int)
    if _wrapped(power, whole) > LARGEST_WRAP:
        return image, [0.0, 0.0]
    rest = np.zeros(2) if whole_only else offset - whole

    def centred(wave: NDArray[np.complex64]) -> NDArray[np.complex64]:
        rolled = np.roll(wave, tuple(-whole), axis=(-2, -1))
        if whole_only:
            return rolled
        back = -torch.from_numpy(rest.astype(np.float32))
        return np.asarray(fourier_shift(torch.from_numpy(rolled), back).numpy())

    moved = replace(image, origin_px=image.origin_px - whole, positions_px=image.positions_px + rest)
    return moved.with_beam(centred), [float(value) + 0.0 for value in -(whole + rest)]


def centre_of_mass(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,), (y, x): array index of the centre of mass of intensities (H, W)."""
    total = power.sum()
    rows, columns = (np.arange(side) for side in power.shape)
    return np.array([power.sum(1) @ rows, power.sum(0) @ columns]) / total


def _wrapped(power: NDArray[np.float64], whole: NDArray[np.int64]) -> float:
    """Part of intensities (H, W) that leaves the array when it is moved by -whole."""
    kept = [np.s_[max(step, 0) : side + min(step, 0)] for step, side in zip(whole, power.shape, strict=True)]
    return 1 - float(power[tuple(kept)].sum() / power.sum())


def _without_ramp(image: Reconstruction) -> tuple[Reconstruction, list[float]]:
    """The mean phase gradient, weighted by the coverage, given to the probe."""
    object_, weight = image.object_.astype(np.complex128), image.coverage.astype(np.float64)
    slope = [
        float(np.angle((object_[1:] * object_[:-1].conj() * np.minimum(weight[1:], weight[:-1])).sum())),
        float(np.angle((object_[:, 1:] * object_[:, :-1].conj() * np.minimum(weight[:, 1:], weight[:, :-1])).sum())),
    ]
    flat = np.where(image.covered, object_ * _ramp(object_.shape, slope).conj(), image.object_)
    ramp = _ramp(image.probe.shape[-2:], slope)
    return replace(image, object_=flat).with_beam(lambda wave: (wave * ramp).astype(np.complex64)), slope


def _ramp(shape: tuple[int, ...], slope: list[float]) -> NDArray[np.complex128]:
    y, x = (np.arange(side) - side // 2 for side in shape)
    return np.exp(1j * (slope[0] * y[:, None] + slope[1] * x))


def _without_phase(image: Reconstruction) -> tuple[Reconstruction, float]:
    phase = float(np.angle((image.object_.astype(np.complex128) * image.coverage).sum()))
    return replace(image, object_=np.where(image.covered, image.object_ * np.exp(-1j * phase), image.object_)), phase
