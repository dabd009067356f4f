"""Ask the patterns whether an image is flat where the sample is not, by the rule of `ptychopinn.metrics.collapse`."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.collapse import (
    PARTS,
    Collapse,
    Evidence,
    collapse_of,
    counting_misfit,
    is_wanted,
    may_be_flat,
)
from ptychopinn.metrics.contrast import image_contrast, split_object
from ptychopinn.physics import DiffractionModel, extract_patches, intensity, place_patches
from ptychopinn.physics.likelihood import stable_root

logger = logging.getLogger("ptychopinn.collapse")
"""A logger of its own: commands say at their end what it warns of."""
FEWEST_PATTERNS = 8
"""Below this there are too few patterns to compare."""
MOST_PATTERNS = 256
"""Above this a part of the patterns decides: counting noise is then far below the shares that decide. Twice as many
take twice the time, about that of two iterations of the solver on so many patterns."""
NEIGHBOURS = 16
"""Patterns of each patch of neighbours among them; 16 patches."""
BATCH = 32
STEPS = (0.5, 1.0, 2.0)
"""Lengths of the step that is tried, relative to a full step of a gradient method."""
SCALE_EVERY = 8
"""The scale of an object is taken from every eighth pattern."""
LEAST_LIGHT = 0.02
"""Part of the largest illumination below which a step is held back."""


@dataclass(frozen=True)
class _Case:
    """Patterns, and the probe and positions of the objects that are compared."""

    tensors: ScanTensors
    frame: Frame
    """Of the objects (Y, X)."""
    probe: Tensor
    """(M, H, W), sqrt(photons)."""
    positions_px: Tensor
    """(N, 2), in that frame."""
    model: DiffractionModel

    @classmethod
    def of(cls, tensors: ScanTensors, image: Reconstruction, model: DiffractionModel) -> "_Case":
        """With the probe and the positions of an image."""
        frame = Frame.of_positions(image.positions_px, tensors.pattern_size, margin=2)
        positions = torch.from_numpy((image.positions_px - np.asarray(frame.origin_px)).astype(np.float32))
        probe = torch.from_numpy(image.probe)
        return cls(tensors, frame, probe.to(tensors.device), positions.to(tensors.device), model)

    def batches(self, index: NDArray[np.int64]) -> Iterator["_Beams"]:
        """What `index` selects, some patterns at a time."""
        tensors = self.tensors
        for rows in torch.from_numpy(index).to(tensors.device).split(BATCH):
            where, shift = self.model.split(self.positions_px[rows])
            probes = self.model.probes(self.probe, shift)
            yield _Beams(self.model, tensors.counts_of(rows), tensors.measured_of(rows), probes, where)

    def light(self, index: NDArray[np.int64]) -> Tensor:
        """(Y, X) photons that fell on each pixel."""
        total = torch.zeros(self.frame.shape, device=self.tensors.device)
        for beams in self.batches(index):
            total += place_patches(intensity(beams.probes), beams.positions_px, self.frame.shape)
        return total


@dataclass(frozen=True)
class _Beams:
    """P patterns with the beams that made them."""

    model: DiffractionModel
    counts: Tensor
    """(P, H, W), photons."""
    measured: Tensor | None
    """(P, H, W) or (H, W), False at bad pixels."""
    probes: Tensor
    """(P, M, H, W), sqrt(photons)."""
    positions_px: Tensor
    """(P, 2), whole or fractional, in the frame of the objects."""

    def expected(self, objects: Tensor) -> Tensor:
        """Photons (K, P, H, W) of objects (K, Y, X), 0 at bad pixels."""
        size = (self.probes.shape[-2], self.probes.shape[-1])
        patches = torch.stack([extract_patches(object_, self.positions_px, size) for object_ in objects])
        probes = self.probes.expand(len(objects), *self.probes.shape)
        return _masked(self.model.photons(patches, probes), self.measured)

    def difference(self, expected: Tensor) -> Tensor:
        """Difference of the stable roots of photons (..., P, H, W) and counts, 0 at bad pixels."""
        return stable_root(expected) - stable_root(_masked(self.counts, self.measured))


def contrast_and_coverage(image: Reconstruction) -> dict[str, float]:
    """Columns of the history: `contrast_amplitude`, `contrast_phase_rad`, `coverage`.

    Contrast is weighted by the coverage; `coverage` is the covered part of the rectangle that the positions span. An
    object that is zero everywhere has no contrast.
    """
    weight = image.coverage
    seen = bool((np.abs(image.object_) * weight).sum() > 0)
    contrast = image_contrast(image.object_, weight) if seen else (0.0, 0.0)
    low = np.floor(image.positions_px.min(axis=0)).astype(int) - image.origin_px
    high = np.ceil(image.positions_px.max(axis=0)).astype(int) + 1 - image.origin_px
    (y0, x0), (y1, x1) = np.maximum(low, 0), np.maximum(high, 1)
    covered = image.covered[y0:y1, x0:x1]
    return {
        "contrast_amplitude": contrast[0],
        "contrast_phase_rad": contrast[1],
        "coverage": float(covered.mean()) if covered.size else 0.0,
    }


def judge(tensors: ScanTensors, image: Reconstruction, model: DiffractionModel | None = None) -> Collapse:
    """Contrast and coverage of an image, and whether its amplitude, its phase or all of it has collapsed; also logged.

    An image without structure is called collapsed only if the patterns differ from each other by more than counting
    noise; a flat amplitude (or phase) only if half of the patterns propose an amplitude (phase) by which the other half
    is explained better. So a sample that has none is left in peace.

    Args:
        tensors: the patterns.
        image: what was made of them, with its probe and positions.
        model: of the patterns; the far field with shifted probes by default.
    """
    shown = contrast_and_coverage(image)
    contrast, coverage = (shown["contrast_amplitude"], shown["contrast_phase_rad"]), shown["coverage"]
    logger.info("the image: amplitude contrast %.3g, phase %.3g rad, %.0f %% covered", *contrast, 100 * coverage)
    evidence: Evidence | None = None
    wanted: tuple[str, ...] = ()
    if len(tensors) >= FEWEST_PATTERNS and np.abs(image.object_).any():
        evidence, wanted = _examined(_Case.of(tensors, image, model or DiffractionModel()), image)
    found = collapse_of(contrast, coverage, evidence, wanted)
    if found.message is not None:
        logger.warning(found.message)
    return found


def _examined(case: _Case, image: Reconstruction) -> tuple[Evidence, tuple[str, ...]]:
    """What the patterns say of an image, and for which of its flat parts they ask."""
    object_, weight = image.in_frame(case.frame.origin_px, case.frame.shape)
    split = split_object(object_, weight)
    everything = _examined_patterns(image.positions_px)
    sigma, floor = _structure(case.tensors, everything)
    objects = np.stack([np.ones_like(object_), object_, split.without("amplitude"), split.without("phase")])
    flat, whole, no_amplitude, no_phase = _misfits(case, _tensor(objects, case), everything).tolist()
    unexplained = flat - floor
    if unexplained <= 0:
        return Evidence(0.0, 0.0, 0.0, 0.0), ()
    shares = [(misfit - whole) / unexplained for misfit in (flat, no_amplitude, no_phase)]
    evidence = Evidence(sigma, *shares)
    wanted = []
    for part, other in zip(PARTS, reversed(PARTS), strict=True):
        if part in may_be_flat(evidence):
            gains = _gains(case, _tensor(split.without(part), case), unexplained, everything)
            evidence = replace(evidence, **{f"wanted_{part}": gains[part]})
            wanted += [part] if is_wanted(gains[part], gains[other]) else []
    return evidence, tuple(wanted)


def _examined_patterns(positions_px: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the patterns that decide: all, or of a large scan some patches of neighbours all over it.

    The patches lie around patterns that a generator of seed 0 draws, so that a scan is always judged by the same ones.
    Neighbours, because patterns that propose a step can only be checked by others that overlap with them.
    """
    count = len(positions_px)
    if count <= MOST_PATTERNS:
        return np.arange(count)
    centres = np.random.default_rng(0).choice(count, MOST_PATTERNS // NEIGHBOURS, replace=False)
    patches = [
        np.argpartition(np.square(positions_px - centre).sum(axis=1), NEIGHBOURS)[:NEIGHBOURS]
        for centre in positions_px[centres]
    ]
    return np.unique(patches).astype(np.int64)


def _tensor(object_: NDArray[np.complexfloating], case: _Case) -> Tensor:
    return torch.from_numpy(np.asarray(object_, np.complex64)).to(case.tensors.device)


def _counts(tensors: ScanTensors, index: Tensor) -> tuple[Tensor, Tensor]:
    """Counts (P, H, W) of some patterns, 0 at bad pixels, and 1 where they were measured; double precision."""
    counts = tensors.counts_of(index).double()
    mask = tensors.measured_of(index)
    if mask is None:
        return counts, torch.ones_like(counts)
    return _masked(counts, mask), mask.expand(counts.shape).double()


@torch.no_grad()
def _structure(tensors: ScanTensors, index: NDArray[np.int64]) -> tuple[float, float]:
    r"""How far the patterns differ from each other, in deviations, and the misfit that counting alone gives, nats.

    With \(\lambda\) the mean pattern, scaled to the photons of each, and weights \(w = 1/(1 + \lambda)\),
    \(S = \sum w ((k - \lambda)^2 N/(N-1) - \lambda)\) is 0 on average under Poisson noise and has the variance
    \(\sum w^2 (\lambda + 2 \lambda^2)\), at any dose.
    """
    number = len(index)
    slices = torch.from_numpy(index).to(tensors.device).split(BATCH)
    total, seen = (torch.stack(sums).sum(0) for sums in zip(*(_summed(tensors, one) for one in slices), strict=True))
    mean = total / seen.clamp_min(1)
    excess, variance = torch.zeros(2, dtype=torch.float64, device=tensors.device)
    for one in slices:
        counts, mask = _counts(tensors, one)
        expected = mean * mask
        expected = expected * (counts.sum((-2, -1)) / expected.sum((-2, -1)).clamp_min(1e-12))[:, None, None]
        weight = mask / (1 + expected)
        excess = excess + (weight * ((counts - expected).square() * number / (number - 1) - expected)).sum()
        variance = variance + (weight.square() * (expected + 2 * expected.square())).sum()
    visible = (seen > 0).sum().clamp_min(1)
    return float(excess / variance.sqrt().clamp_min(1e-12)), counting_misfit(mean.cpu().numpy()) * float(
        seen.sum() / visible
    )


def _summed(tensors: ScanTensors, index: Tensor) -> tuple[Tensor, Tensor]:
    counts, mask = _counts(tensors, index)
    return counts.sum(0), mask.sum(0)


@torch.no_grad()
def _misfits(case: _Case, objects: Tensor, index: NDArray[np.int64]) -> Tensor:
    """Misfit (K,) of objects (K, Y, X) on the patterns `index`, each with its own scale, nats."""
    scales = _scales(case, objects, index)[:, None, None, None]
    total = torch.zeros(len(objects), dtype=torch.float64, device=objects.device)
    for beams in case.batches(index):
        difference = beams.difference(scales * beams.expected(objects))
        total += 2 * difference.square().sum((-3, -2, -1), dtype=torch.float64)
    return total


@torch.no_grad()
def _scales(case: _Case, objects: Tensor, index: NDArray[np.int64]) -> Tensor:
    """Factors (K,) by which the photons of objects (K, Y, X) become as many as were counted on some patterns."""
    counted = torch.zeros((), dtype=torch.float64, device=objects.device)
    modelled = torch.zeros(len(objects), dtype=torch.float64, device=objects.device)
    for beams in case.batches(index[::SCALE_EVERY]):
        counted += _masked(beams.counts, beams.measured).sum(dtype=torch.float64)
        modelled += beams.expected(objects).sum((-3, -2, -1), dtype=torch.float64)
    return (counted / modelled.clamp_min(1e-30)).float()


def _masked(values: Tensor, measured: Tensor | None) -> Tensor:
    """Values (..., P, H, W), 0 at bad pixels."""
    return values if measured is None else torch.where(measured, values, torch.zeros_like(values))


def _gains(case: _Case, object_: Tensor, unexplained: float, every: NDArray[np.int64]) -> dict[str, float]:
    """Share that a step in `amplitude`, and one in `phase`, explains on every second pattern.

    The direction is that of the gradient on the other patterns, divided by the light that fell on each pixel.
    """
    chosen, held_out = every[::2], every[1::2]
    light = case.light(chosen)
    square = (light * object_.abs().square()).sum() / light.sum()
    curvature = 2 * square * (light + LEAST_LIGHT * light.max())
    amplitude_step, phase_step = (-gradient / curvature for gradient in _gradients(case, object_, chosen))
    zero = torch.zeros_like(phase_step)
    exponents = [torch.complex(length * amplitude_step, zero) for length in STEPS]
    exponents += [torch.complex(zero, length * phase_step) for length in STEPS]
    tried = torch.stack([object_, *(object_ * exponent.exp() for exponent in exponents)])
    misfits = _misfits(case, tried, held_out).cpu().numpy()
    gains = (misfits[0] - misfits[1:]).reshape(2, -1).max(axis=1)
    share = len(every) / len(held_out) / unexplained
    return {"amplitude": float(gains[0]) * share, "phase": float(gains[1]) * share}


@torch.enable_grad()
def _gradients(case: _Case, object_: Tensor, index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Gradients (Y, X) of the misfit by the logarithm of the amplitude and by the phase, per unit of the scale."""
    scale = _scales(case, object_[None], index)
    leaves = [torch.zeros(object_.shape, device=object_.device, requires_grad=True) for _ in range(2)]
    for beams in case.batches(index):
        moved = object_ * torch.complex(*leaves).exp()
        difference = beams.difference(scale * beams.expected(moved[None])[0])
        torch.autograd.backward(2 * difference.square().sum())
    log_amplitude, phase = (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves)
    return log_amplitude / scale, phase / scale
