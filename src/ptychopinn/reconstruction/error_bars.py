r"""Standard deviations of amplitude and phase for every pixel, from scans simulated from the image itself.

1. Counts are redrawn from the photons that the image predicts, and solved as the measured ones were: from the same
   start, with the same penalties, probe, positions and prior. The difference \(\delta_r\) of such a replica from the
   image holds what noise, penalties, prior and an unfinished fit do. Its radial and tangential parts are averaged in a
   Gaussian neighbourhood G in units of the counting noise under W photons, so that the Fisher information of a pixel,
   \(4 W\), gives the fine scale and the replicas the size:

\[ \sigma_1^2 = \frac{1}{W} \, \frac{G * \sum_r W \delta_r^2 / R}{G * 1} \]

2. The image is smoother than the sample, and what it lacks cannot be lost again by a replica. Detail that was lost
   scatters light to large angles: of the photons counted there, more than the image predicts and more than in the
   replicas, each stands for a photon of lost detail. Their number over the photons of the beam is the mean square of
   the lost part of the object, which is added to \(\sigma_1^2\), divided between amplitude and phase.

3. Where the counts scatter more about the image than redrawn counts about their replica, the variance of the replicas
   is raised.

Both are multiplied by a factor close to 1, chosen on simulated scans (benchmarks/error_bars.py).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.metrics.alignment import align
from ptychopinn.physics import DiffractionModel, place_patches, split_position
from ptychopinn.solver import estimate_of, photons_in_batches

Floats = NDArray[np.float64]
Remake = Callable[[Scan, int], Reconstruction]
"""Makes the image of a scan with other counts as the image was made; the number is that of the replica, from 0."""

NEIGHBOURHOOD_PX = 3.0
"""Standard deviation of the Gaussian neighbourhood in which the variance is averaged."""
FACTORS = (1.0, 1.02)
"""Of the standard deviations of amplitude and phase. Errors have longer tails than a normal distribution: with 2 and
3 % less 68.0 and 67.4 % of the pixels of 60 scans lay within one standard deviation, but only 93.1 and 92.5 % within
1.96."""
SHARE_POWER = 0.7
"""Lost detail is divided between amplitude and phase by the ratio of their visible detail to this power."""
MISFIT_POWER = 0.35
"""The variance of the replicas grows by this power of the misfit. It brings scans above 2e5 photons, where penalties
and an unfinished fit leave a misfit of up to 1.9, in line with the others; with 1 their bars would be 10 % too large.
"""
DETAIL_PX = (2.5, 6.0)
"""Standard deviations of the two Gaussians whose difference is the visible detail. Finer detail is lost in part."""
LEAST_DETAIL = 0.02
"""Part of the detail of amplitude or phase that is taken for true where noise explains all of it."""
CLEAR = 2.0
"""Standard errors that are taken off the lost detail, since the largest of many noisy sums is too large."""
UNSURE = 0.03
"""Part of the expected photons on the same rings that is taken off as well: a probe that is not quite right scatters as
much. Without it lost detail was found at 1e5 photons and more where there was none, and the phase bars were up to 50 %
too large; with 0.1 they are 1 % smaller in the mean."""
DARKEST = 0.05
"""Modulus below which the phase error is that of this modulus."""


@dataclass(frozen=True, eq=False)
class ErrorBars:
    """Standard deviations on the canvas of an image, NaN where it is not covered."""

    amplitude: NDArray[np.float32]
    """(Y, X)."""
    phase: NDArray[np.float32]
    """(Y, X), rad."""
    replicas: int
    lost: float
    """Mean square of the lost part of the object: photons scattered by it over all photons of the beam."""
    lost_error: float
    """Its standard error from the counts."""
    misfit: float
    """Scatter of the counts about the image over that of a replica's counts about the replica, at least 1."""

    def entry(self) -> dict[str, Any]:
        """Plain values for `metrics.json` and the metadata of an image."""
        return {
            "replicas": self.replicas,
            "amplitude_error_median": _median(self.amplitude),
            "phase_error_median_rad": _median(self.phase),
            "lost_detail": self.lost,
            "lost_detail_error": self.lost_error,
            "misfit": self.misfit,
        }


@torch.inference_mode()
def error_bars(
    image: Reconstruction, tensors: ScanTensors, remake: Remake, model: DiffractionModel, *, replicas: int, seed: int
) -> ErrorBars:
    """The error bars of an image that the solver made.

    Args:
        image: with its probe and positions, and with the correction of a prior where one was used.
        tensors: the scan, in photons: see `ptychopinn.data.thinning.holds_photons`.
        remake: makes the image of a scan with other counts.
        model: of the patterns.
        replicas: how many scans are simulated and solved, at least 1.
        seed: of their counts.

    Raises:
        ValueError: no pixel is covered.
    """
    model = model.with_detector(image.background, image.blur_px)
    region = scanned(image)
    measured = Rings.of(image, tensors, model)
    others, simulated = [], []
    for number in range(replicas):
        counts = redrawn(image, tensors, model, np.random.default_rng((seed, number)))
        scan = replace(tensors.scan, patterns=counts, domain="counts", truth_patches=None)
        other = remake(scan, number)
        simulated.append(Rings.of(other, ScanTensors(scan, tensors.device), model))
        others.append(on_image(other, image, region))
    power, place = _placed(image, tensors.device)
    lost = LostDetail.of(measured, simulated, image, model)
    misfit = max(1.0, measured.scatter / max(float(np.mean([one.scatter for one in simulated])), 1e-12))
    return _combined(image, others, power, place(lost.by_pattern), (lost, misfit))


@dataclass(frozen=True, eq=False)
class Rings:
    """Photons on rings of the detector, one pixel wide, about the direct beam."""

    counted: Floats
    """(N, K), in the measured pixels of a ring, extrapolated to all of them."""
    expected: Floats
    """(N, K), of the image, in the same pixels."""
    scatter: float
    """Summed squares of counted less expected photons over all expected ones: about 1 for a right model."""

    @classmethod
    def of(cls, image: Reconstruction, tensors: ScanTensors, model: DiffractionModel) -> "Rings":
        """One pass over the patterns."""
        model = model.with_detector(image.background, image.blur_px)
        ring = _ring_of_pixel(image.probe.shape[-1]).to(tensors.device)
        count = int(ring.max()) + 1
        all_pixels = torch.bincount(ring, minlength=count)
        rows: dict[str, list[Tensor]] = {"counted": [], "expected": []}
        squares = total = 0.0
        for part, photons in photons_in_batches(image, tensors, model):
            counts = tensors.counts_of(part).to(photons)
            seen = tensors.measured_of(part)
            weight = torch.ones_like(photons) if seen is None else seen.expand(photons.shape).to(photons)
            squares += float(((counts - photons).square() * weight).sum(dtype=torch.float64))
            total += float((photons * weight).sum(dtype=torch.float64))
            known = _summed(weight, ring, count)
            scale = torch.where(known > 0, all_pixels / known.clamp_min(1), 0)
            for name, values in (("counted", counts), ("expected", photons)):
                rows[name].append((_summed(values * weight, ring, count) * scale).cpu())
        counted, expected = (torch.cat(rows[name]).numpy() for name in ("counted", "expected"))
        return cls(counted, expected, squares / max(total, 1e-12))

    @property
    def excess(self) -> Floats:
        """(N, K): counted less expected."""
        return self.counted - self.expected


@dataclass(frozen=True, eq=False)
class LostDetail:
    """Detail of the sample that the image lacks, seen by the photons that it scatters."""

    mean: float
    """Mean square of the lost part of the object, as part of 1, less what is not sure, at least 0."""
    error: float
    """Standard error from the counts."""
    by_pattern: Floats
    """(N,): the same under the beam of each pattern, drawn towards the mean as far as the counts do not tell more."""

    @classmethod
    def of(
        cls, measured: Rings, simulated: Sequence[Rings], image: Reconstruction, model: DiffractionModel
    ) -> "LostDetail":
        """From the rings beyond which the measured patterns have a clear excess over the replicas.

        The first ring is chosen so that the excess, less `CLEAR` of its standard errors and `UNSURE` of the expected
        photons, is largest, and that is taken: the bright inner rings are left out where they hide more than they add.
        In the near field scattered light stays in place, and nothing is seen.
        """
        count = len(measured.counted)
        if not model.propagator.is_fourier:
            return cls(0.0, 0.0, np.zeros(count))
        beam = image.beam_photons
        excess = measured.excess - np.mean([one.excess for one in simulated], axis=0)
        noise = (1 + 1 / len(simulated)) * measured.counted
        outside, errors, expected = (
            np.cumsum(one.sum(0)[::-1])[::-1] / (beam * count) for one in (excess, noise, measured.expected)
        )
        errors = np.sqrt(errors / (beam * count))
        sure = outside - CLEAR * errors - UNSURE * expected
        first = int(sure.argmax())
        mean, error = max(float(sure[first]), 0.0), float(errors[first])
        variance = noise[:, first:].sum(1)
        values = excess[:, first:].sum(1) / beam
        return cls(mean, error, _shrunk(values, variance / beam**2, mean))


def redrawn(
    image: Reconstruction, tensors: ScanTensors, model: DiffractionModel, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(N, H, W): counts drawn from the photons that an image predicts."""
    drawn = [
        rng.poisson(photons.double().clamp_min(0).cpu().numpy()).astype(np.float32)
        for _, photons in photons_in_batches(image, tensors, model)
    ]
    return np.concatenate(drawn)


def scanned(image: Reconstruction) -> NDArray[np.bool_]:
    """(Y, X): covered pixels in the rectangle that the positions span, where images are aligned.

    Raises:
        ValueError: there is none.
    """
    low, high = (np.asarray(end) - image.origin_px for end in (image.positions_px.min(0), image.positions_px.max(0)))
    inside = [
        (np.arange(side) >= low[axis]) & (np.arange(side) <= high[axis])
        for axis, side in enumerate(image.object_.shape)
    ]
    region = image.covered & inside[0][:, None] & inside[1]
    if not region.any():
        raise ValueError("no covered pixel lies in the rectangle of the scan positions")
    return region


def on_image(other: Reconstruction, image: Reconstruction, region: NDArray[np.bool_]) -> NDArray[np.complex64]:
    """The object of a replica on the canvas of the image, without shift, ramp and phase, which no count determines.

    Where the scale of the object is relative, it is fitted too.
    """
    rows, columns = image.object_.shape
    origin = (int(image.origin_px[0]), int(image.origin_px[1]))
    object_, coverage = other.in_frame(origin, (rows, columns))
    is_relative = image.metadata.get("gauge", {}).get("scale") == "relative"
    mask = region & (coverage > 0)
    found = align(object_, image.object_, mask=mask, support=coverage > 0, scale=is_relative)
    return found.object_.astype(np.complex64)


def parts_of_difference(other: NDArray[Any], object_: NDArray[Any]) -> tuple[Floats, Floats]:
    """Radial part, and phase difference times modulus, of one object less another, (Y, X) each."""
    modulus = np.abs(object_)
    turned = np.angle(other * np.conj(object_))
    return np.abs(other) - modulus, turned * modulus


def _combined(
    image: Reconstruction,
    others: Sequence[NDArray[np.complex64]],
    power: Floats,
    lost_map: Floats,
    found: tuple[LostDetail, float],
) -> ErrorBars:
    lost, misfit = found
    differences = np.array([parts_of_difference(other, image.object_) for other in others])
    weight = np.where(image.covered, power, 0)
    safe = np.maximum(power, 1e-3 * power.max())
    spread = (_local_mean(np.square(one).mean(0) * weight, image.covered) / safe for one in differences.swapaxes(0, 1))
    shares = _shares(image.object_, others, scanned(image))
    sigmas = [
        factor * np.sqrt(misfit**MISFIT_POWER * variance + share * lost_map)
        for factor, variance, share in zip(FACTORS, spread, shares, strict=True)
    ]
    sigmas[1] = np.minimum(sigmas[1] / np.maximum(image.amplitude, DARKEST), math.pi / math.sqrt(3))
    amplitude, phase = (np.where(image.covered, one, np.nan).astype(np.float32) for one in sigmas)
    return ErrorBars(amplitude, phase, len(others), lost.mean, lost.error, misfit)


def _shares(
    object_: NDArray[np.complex64], others: Sequence[NDArray[np.complex64]], region: NDArray[np.bool_]
) -> tuple[float, float]:
    """Which parts of the lost detail are of amplitude and phase: by the visible detail of both, less its noise."""
    level = object_[region].mean()
    seen = parts_of_difference(object_, np.full_like(object_, level / max(abs(level), 1e-12)))
    noise = np.array([parts_of_difference(other, object_) for other in others])
    powers = []
    for part, errors in zip((seen[0], seen[1] * np.abs(object_)), noise.swapaxes(0, 1), strict=True):
        visible = float(np.square(_detail(part))[region].mean())
        from_noise = float(np.mean([np.square(_detail(one))[region].mean() for one in errors]))
        powers.append(max(visible - from_noise, LEAST_DETAIL * visible, 1e-12) ** SHARE_POWER)
    return powers[0] / sum(powers), powers[1] / sum(powers)


def _detail(values: Floats) -> Floats:
    from scipy.ndimage import gaussian_filter

    fine, coarse = (gaussian_filter(values, sigma) for sigma in DETAIL_PX)
    return np.asarray(fine - coarse)


def _local_mean(values: Floats, covered: NDArray[np.bool_]) -> Floats:
    """Means of the covered pixels under the Gaussian."""
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(covered.astype(np.float64), NEIGHBOURHOOD_PX)
    return np.asarray(gaussian_filter(np.where(covered, values, 0), NEIGHBOURHOOD_PX) / np.maximum(weight, 1e-6))


def _shrunk(values: Floats, variance: Floats, mean: float) -> Floats:
    """Values drawn towards a mean by the part of their scatter that their errors explain; at least 0, of that mean."""
    if mean <= 0:
        return np.zeros_like(values)
    centred = values - values.mean()
    scatter = max(float(np.square(centred).mean() - variance.mean()), 0.0)
    drawn = np.maximum(mean + centred * scatter / np.maximum(scatter + variance, 1e-300), 0)
    return np.asarray(drawn * mean / max(float(drawn.mean()), 1e-300))


def _placed(image: Reconstruction, device: torch.device) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Placed photons (Y, X) on the canvas of the image, and what turns values (N,) into their means under the beam."""
    size = image.probe.shape[-1]
    frame = Frame.of_positions(image.positions_px, size, margin=2)
    own = Frame((int(image.origin_px[0]), int(image.origin_px[1])), image.object_.shape)
    estimate = estimate_of(image, frame, device)
    beam = estimate.mean_beam().double()

    def placed(values: Floats) -> Floats:
        total = torch.zeros(frame.shape, dtype=beam.dtype, device=device)
        pairs = zip(estimate.positions_px.split(64), torch.from_numpy(values).to(beam).split(64), strict=True)
        for positions, part in pairs:
            total += place_patches(beam * part[:, None, None], split_position(positions)[0], frame.shape)
        return np.asarray(frame.moved(total.cpu().numpy(), own, fill=0))

    power = placed(np.ones(len(image.positions_px)))
    return power, lambda values: placed(values) / np.maximum(power, 1e-12 * max(float(power.max()), 1e-300))


def _ring_of_pixel(size: int) -> Tensor:
    """(H * W,): distance of each pixel from element (H//2, W//2), rounded."""
    offset = torch.arange(size) - size // 2
    return torch.hypot(offset[:, None].double(), offset.double()).round().long().flatten()


def _summed(values: Tensor, ring: Tensor, count: int) -> Tensor:
    """(B, K), double: sums of values (B, H, W) over rings."""
    flat = values.flatten(1).double()
    return flat.new_zeros(len(flat), count).index_add_(1, ring, flat)


def _median(values: NDArray[np.float32]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None
