r"""Short fits of a part of a scan under other readings of its geometry.

Some patterns of the part are kept from the solver and predicted by the object that the others gave, so that a reading
under which patterns do not overlap, or whose object fits noise, gains nothing. A reading is measured by the part of the
structure that stays unexplained, \(u = (D - D_0) / (D_1 - D_0)\), see `ptychopinn.metrics.verdict`, which does not
depend on the dose.
"""

import logging
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.adjust import adjusted
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reading import Axes, ReadingConvention
from ptychopinn.data.start_probe import mean_counts, median_step_px
from ptychopinn.errors import PtychoPINNError
from ptychopinn.metrics.fit_sums import FitSums
from ptychopinn.metrics.verdict import LEAST_STRUCTURE
from ptychopinn.models import prepare_probe, scan_scale
from ptychopinn.physics import DiffractionModel
from ptychopinn.solver import flat_start, photons_of, refine, unlogged

PATTERNS = 80
"""Patterns of the part."""
KEPT_BACK = 6
"""Every sixth one is predicted."""
PROBE_STEP = 0.5
"""Step of the probe in a short fit. With the usual step, and a step of the slowly varying phase, so few iterations end
at deviances that differ by chance: of two geometries that are equal by symmetry one then seemed better."""
ITERATIONS = 12
PATTERN_PX = 64
"""Larger patterns are cut to their centre, down to this size, as long as that holds `CENTRE_PHOTONS` of the photons."""
CENTRE_PHOTONS = 0.9
LARGEST_CANVAS_PX = 4_000_000
"""Image of the part beyond which patterns cannot overlap, so that no fit is made."""
logger = logging.getLogger("ptychopinn.check")


@final
@dataclass(frozen=True, eq=False)
class Trial:
    """How well one reading explains the part."""

    reading: ReadingConvention
    unexplained: float
    """u; 0 is perfect, 1 as bad as the mean pattern."""
    ratio: float
    """Deviance over what the counts allow, of patterns kept back and others alike."""
    by_pattern: NDArray[np.float64]
    """Share of each pattern in `unexplained`."""
    numbers: NDArray[np.int64]
    """Of these patterns in the scan: a reading may leave some out."""


@final
@dataclass(frozen=True, eq=False)
class Part:
    """Patterns of a scan on which readings are tried."""

    scan: Scan
    """The whole scan, with patterns of a size that is quick."""
    index: NDArray[np.int64]
    """Patterns of the part."""
    recipe: Recipe
    """Its model and solver."""

    def trial(self, reading: ReadingConvention) -> Trial:
        """Fit the part under a reading."""
        positions, numbers = self.placed(reading)
        given = replace(self.scan.select(numbers), positions_px=positions)
        part = replace(reading, positions=Axes(), reverse=False, shift=0, scale=1.0).scan(given)
        tensors = ScanTensors(part)
        kept = (numbers % KEPT_BACK == KEPT_BACK // 2) & (numbers < len(self.scan) - 1)
        counts = tensors.counts_of(slice(None))
        expected = counts.mean(0).expand(counts.shape)
        if float(np.prod(np.ptp(positions, axis=0) + part.pattern_size)) < LARGEST_CANVAS_PX:
            try:
                expected = self._predicted(part, kept)
            except PtychoPINNError as error:
                logger.info("a reading cannot be fitted: %s", error)
        return _trial(reading, tensors, expected, numbers, kept)

    def placed(self, reading: ReadingConvention) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Positions (P, 2) of the part under a reading, and the numbers of the patterns that have one."""
        count = len(self.scan)
        empty = replace(
            self.scan, patterns=np.zeros((count, 1, 1)), bad_pixels=None, scan_index=np.arange(count), domain="counts"
        )
        moved = replace(reading, patterns=Axes(), conjugate=False, domain=None, fftshift=False).scan(empty)
        numbers = np.arange(count) if moved.scan_index is None else moved.scan_index
        mine = np.isin(numbers, self.index)
        return moved.positions_px[mine], numbers[mine]

    def _predicted(self, part: Scan, kept: NDArray[np.bool_]) -> torch.Tensor:
        """Expected photons of all patterns, by an object that was fitted to those that were not kept back."""
        fitted = ScanTensors(part.select(~kept))
        recipe = self.recipe
        model = DiffractionModel.of(recipe.model)
        probe = prepare_probe(part.probe, recipe.model.probe)
        scale, _ = scan_scale(recipe, fitted, probe)
        start = flat_start(fitted.scan, probe * scale)
        with unlogged():
            given = dict.fromkeys(("intensities", "blur", "probe_modes"), "given")
            config = recipe.reconstruction.refine.changed(**given, probe_relaxation=0)
            if config.background in ("auto", "pattern"):
                config = config.changed(background="given")  # a wrong reading must not be explained by a background
            image = refine(start, fitted, config, model=model).reconstruction
        return photons_of(replace(image, positions_px=part.positions_px), ScanTensors(part), model)


def part_of(scan: Scan, recipe: Recipe, along: bool = False) -> Part:
    """Neighbouring patterns of a scan.

    Args:
        scan: the whole scan.
        recipe: what the model is; of its solver the penalties are used.
        along: patterns that follow each other in time, so that the ends of scan lines are among them.
    """
    small = replace(_cut(scan), object_guess=None, truth_patches=None, nominal_positions_px=None, notes=())
    index = _following(small.positions_px) if along else _nearest(small.positions_px)
    short = recipe.reconstruction.refine.changed(
        iterations=ITERATIONS,
        positions=False,
        positions_distortion=False,
        single_material=0.0,
        probe_start=0,
        probe_step=PROBE_STEP,
        low_frequency_step=0.0,
    )
    settings = recipe.changed(reconstruction=recipe.reconstruction.changed(refine=short))
    return Part(small, index, settings)


def _weights(kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weight of each pattern, so that those kept back count as much as the others together."""
    if kept.all() or not kept.any():
        return np.ones(len(kept))
    return np.where(kept, len(kept) / (2 * kept.sum()), len(kept) / (2 * (~kept).sum()))


def _trial(
    reading: ReadingConvention,
    tensors: ScanTensors,
    expected: torch.Tensor,
    numbers: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> Trial:
    counts = tensors.counts_of(slice(None)).numpy()
    measured = None if tensors.measured is None else tensors.measured.numpy()
    sums = FitSums(counts.mean(0))
    sums.add(counts, expected.numpy(), measured)
    part, weight = sums.patterns, _weights(kept)
    allowed = max(float(part.allowed.sum()), 1e-9)
    ratio = float((weight * part.deviance).sum() / max((weight * part.allowed).sum(), 1e-9))
    structure = float((part.of_mean - part.allowed).sum())
    if structure < LEAST_STRUCTURE * allowed:
        return Trial(reading, 1.0, ratio, np.full(len(numbers), 1 / len(numbers)), numbers)
    by_pattern = weight * (part.deviance - part.allowed) / structure
    return Trial(reading, float(by_pattern.sum()), ratio, by_pattern, numbers)


def _nearest(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """The patterns nearest to the middle one."""
    from scipy.spatial import KDTree

    middle = np.median(positions, axis=0)
    _, index = KDTree(positions).query(middle, k=min(PATTERNS, len(positions)))
    return np.sort(np.atleast_1d(index).astype(np.int64))


def _following(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Patterns in the middle of the scan that follow each other, if they overlap; else the nearest ones."""
    start = max(0, (len(positions) - PATTERNS) // 2)
    index = np.arange(start, min(start + PATTERNS, len(positions)))
    step = median_step_px(positions)
    return index if median_step_px(positions[index]) <= 1.5 * step else _nearest(positions)


def _cut(scan: Scan) -> Scan:
    """The scan with the centre of its patterns, in which most photons are."""
    size = scan.pattern_size
    mean = mean_counts(scan.patterns[:: max(1, len(scan) // 64)], None, scan.domain == "counts")
    total = float(mean.sum())
    goal = size
    while goal // 2 >= PATTERN_PX and goal % 2 == 0:
        first = size // 2 - goal // 4
        inside = float(mean[first : first + goal // 2, first : first + goal // 2].sum())
        if inside < CENTRE_PHOTONS * total:
            break
        goal //= 2
    if goal == size:
        return scan
    first = size // 2 - goal // 2
    region = (first, first + goal, first, first + goal)
    return adjusted(replace(scan, scan_index=None), Recipe().data.changed(detector_region=region))
