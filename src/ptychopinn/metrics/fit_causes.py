r"""What a misfit of modelled and measured patterns looks like, and the likely cause.

Everything is measured in the excess \(X = D - D_0\), the deviance beyond what the counts allow: a cause is named where
it accounts for a good part of X. Thresholds were chosen on simulated scans drawn for the purpose, 1e3 to 1e7 photons
per pattern; see docs/dev/check.md.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.metrics.fit_sums import FitSums, Floats, Part
from ptychopinn.physics.deviance import deviance

Kind = Literal["patterns", "pixels", "background", "flicker", "drift", "model"]

FAR_PATTERN = 4.0
"""Times the median ratio, and a half, above which a pattern is outlying. Patterns at the rim of a scan reach 2.8."""
FAR_UNEXPLAINED = 0.25
"""Part of its own structure that the image must leave unexplained of an outlying pattern or pixel. Patterns at the rim
of a scan, whose object converges last, have up to 0.15 at 1e7 photons; wrong patterns 0.5 and more."""
MOST_PATTERNS = 0.1
"""Outlying patterns are few: not more than this part of the scan, or it is no matter of single patterns."""
FAR_PIXEL = 5.0
"""Times the median ratio in a window of `NEIGHBOURHOOD_PX`, and 1, above which a detector pixel is outlying."""
NEIGHBOURHOOD_PX = 9
PIXEL_PHOTONS = 0.2
"""Mean photons of a pixel, counted or modelled, below which it is not called outlying:
its ratio rests on few photons."""
SILENT = 0.1
"""Counted over modelled photons of a pixel below which it is dead."""
MANY_SILENT = 8
"""Dead pixels that are named at any share of the excess; fewer have no effect on an image."""
LINE_PART = 0.4
"""Part of a row or column of the detector that must be outlying to name the line instead of its pixels."""
LEAST_EXCESS = 0.03
"""Excess, in units of what the counts allow, of which shares are taken at least: a perfect model has none."""
LEAST_SHARE = 0.15
"""Part of the excess that single patterns must account for."""
LEAST_SHARE_PIXELS = 0.05
"""The same of detector pixels, whose ratio is far from their neighbours' in any case."""
FLICKER_SHARE = 0.25
"""Part of the excess that one factor per pattern must account for. 10 % rms give 0.33 at 1e4 photons and 0.75 at 1e6;
no other fault gave more than 0.07."""
LEAST_FLICKER = 0.005
"""Rms factor below which it is not reported."""
NOISY_FLICKER = 3.0
"""The same in units of the counting noise of a pattern: an image of 16 patterns of 1e3 photons, which the penalty holds
smooth, misses the photons of a pattern by up to 2.7 times the noise."""
DIM_PART = 0.25
"""Part of the detector, the dimmest, on which the background is looked for."""
BACKGROUND_PART = 0.15
"""Part of the photons of the dim pixels that does not vary with the model; 0.03 at most without a background."""
BACKGROUND_OF_MEAN = 1e-3
"""The same part of the mean photons of all pixels. Without a background the object takes up noise in pixels of 0.3
photons at 1e7 photons per pattern, which looks like one of 5e-5 of the mean; 1 % of it leaves 6e-3."""
BACKGROUND_SLOPE = 0.93
"""Variation of the dim pixels beside that of the model, below which a part of the model's photons there is constant. A
wrong scale of the positions gives 0.93 or more."""
BACKGROUND_EXPLAINED = 0.8
"""Part of the structure that the image must explain: a wrong model leaves constant photons too."""
DIM_PHOTONS = 0.05
"""Mean photons of the dim pixels below which they hold too few photons to find a background."""
DRIFT_SHARE = 0.4
"""Part of the variance of the ratios of the patterns that a steady change along the scan must account for. Random
ratios stay below 0.1 for 50 patterns."""
FEWEST_PATTERNS = 16
"""With fewer patterns no drift is reported."""
LEAST_LINE = 0.1
"""Part of the order of the patterns that must not follow from the distance from the centre to look for a drift."""
LISTED = 20
"""Patterns, pixels and lines that are listed at most; their number is always stated."""


@dataclass(frozen=True)
class Cause:
    """One cause of a misfit."""

    kind: Kind
    share: float
    """Part of the excess that it accounts for."""
    what: str
    """In plain words."""
    advice: str
    """What to do about it."""


@dataclass(frozen=True)
class PatternFit:
    """How well single patterns fit."""

    median_ratio: float
    """Median over the patterns of deviance over what the counts allow."""
    worst_ratio: float
    worst_pattern: int
    outlying: tuple[int, ...]
    """Patterns, counted from 0, that fit far worse than the others; the first `LISTED`."""
    outlying_number: int
    flicker: float
    """Rms of the factors between measured and modelled photons of a pattern, less counting noise."""


@dataclass(frozen=True)
class PixelFit:
    """How well detector pixels fit."""

    median_ratio: float
    worst_ratio: float
    worst_pixel: tuple[int, int]
    """(row, column)."""
    outlying: tuple[tuple[int, int], ...]
    """(row, column) of pixels that fit far worse than their neighbours, without those of the lines; the first
    `LISTED`."""
    outlying_number: int
    """With those of the lines."""
    rows: tuple[int, ...]
    """Lines of the detector that fit far worse."""
    columns: tuple[int, ...]
    background_photons: float | None
    """Photons per pixel and pattern of the dim pixels that do not vary with the model; None where these are dark."""


@dataclass(frozen=True)
class Course:
    """How the fit goes along the scan."""

    ratio: tuple[float, ...]
    """Deviance over what the counts allow of ten parts of the scan in the order of the patterns, fewer of a small
    scan."""
    slow_part: float
    """Part of the variance of the ratios that is a straight line along the scan."""


def pattern_fit(sums: FitSums) -> tuple[PatternFit, Cause | None, Cause | None]:
    """Statistics of the patterns; single patterns, and a beam that varies, where these are causes."""
    part = sums.patterns
    ratio, excess = part.ratio, _excess(part)
    far = _far_patterns(part)
    index = [int(i) for i in np.flatnonzero(far)]
    flicker, share, noise = _flicker(part, far, excess)
    worst = int(ratio.argmax())
    fit = PatternFit(float(np.median(ratio)), float(ratio[worst]), worst, tuple(index[:LISTED]), len(index), flicker)
    of_single = float((part.deviance - part.allowed)[far].sum() / excess)
    single = Cause(
        "patterns",
        of_single,
        f"{_number(len(index), 'pattern')} {'fits' if len(index) == 1 else 'fit'} far worse than the others "
        f"({_listed(index)}, counted from 0)",
        "remove these patterns from the scan, or refine the positions (reconstruction.refine.positions=true)",
    )
    varying = Cause(
        "flicker",
        share,
        f"the intensity of the beam varies from pattern to pattern by {flicker:.1%} rms",
        "fit it (reconstruction.refine.intensities=fitted), or divide the patterns by the readings of an ion chamber",
    )
    return (
        fit,
        single if index and of_single > LEAST_SHARE else None,
        varying if share > FLICKER_SHARE and flicker > max(LEAST_FLICKER, NOISY_FLICKER * noise) else None,
    )


def pixel_fit(sums: FitSums, explained: float | None) -> tuple[PixelFit, Cause | None, Cause | None]:
    """Statistics of the detector pixels; single pixels or lines, and a background, where these are causes.

    Args:
        sums: of the whole scan.
        explained: part of the structure that the image explains; where it is small, a background cannot be
            distinguished from a wrong model.
    """
    part = sums.pixels
    ratio, excess = part.ratio, _excess(part)
    bright = np.maximum(part.counts, part.expected) > PIXEL_PHOTONS * np.maximum(part.measured, 1)
    silent = part.counts < SILENT * part.expected
    far = bright & (silent | ((ratio > FAR_PIXEL * _typical(ratio) + 1) & _is_unexplained(part)))
    rows, columns = (tuple(int(i) for i in np.flatnonzero(far.mean(axis) > LINE_PART)) for axis in (1, 0))
    alone = far.copy()
    alone[list(rows), :] = False
    alone[:, list(columns)] = False
    pixels = [(int(y), int(x)) for y, x in np.argwhere(alone)]
    worst = np.unravel_index(int(ratio.argmax()), ratio.shape)
    background, steady = _background(part, far)
    fit = PixelFit(
        float(np.median(ratio)),
        float(ratio[worst]),
        (int(worst[0]), int(worst[1])),
        tuple(pixels[:LISTED]),
        int(far.sum()),
        rows,
        columns,
        background,
    )
    of_pixels = float((part.deviance - part.allowed)[far].sum() / excess)
    named = [f"rows {_listed(rows)}"] * bool(rows) + [f"columns {_listed(columns)}"] * bool(columns)
    named += [f"pixels (row, column) {_listed(pixels)}"] * bool(pixels)
    broken = Cause(
        "pixels",
        of_pixels,
        f"{_number(int(far.sum()), 'detector pixel')} {'fits' if far.sum() == 1 else 'fit'} far worse than the "
        f"neighbours: {', '.join(named)}",
        "mark dead, hot and hidden pixels in the mask (bad_pixels), "
        "or give --mask-pixels dead,hot (data.mask_pixels=[dead,hot])",
    )
    constant = Cause(
        "background",
        0.0,
        f"the dim pixels of the detector hold about {background or 0:.2g} photons per pixel in every pattern that do "
        "not vary with the image: a background (dark counts, scatter from air)",
        "fit it (reconstruction.refine.background=flat), "
        f"give it to the model (model.background={background or 0:.2g}), subtract a dark image (data.dark=subtract), "
        "or cut the detector (data.detector_region)",
    )
    many_silent = (bright & silent).sum() >= MANY_SILENT
    is_broken = bool(named) and (of_pixels > LEAST_SHARE_PIXELS or bool(many_silent))
    is_constant = steady and not is_broken and explained is not None and explained > BACKGROUND_EXPLAINED
    return fit, broken if is_broken else None, constant if is_constant else None


def course(sums: FitSums, beam_varies: bool, positions_px: Floats | None = None) -> tuple[Course, Cause | None]:
    """The ratio along the scan; a slow change where this is a cause.

    Args:
        sums: of all patterns, in the order of the scan.
        beam_varies: whether the intensity of the beam is a cause; its change is then reported.
        positions_px: (N, 2). The rim of a scan fits worse, and a spiral ends there: what the distance from the centre
            explains is no change along the scan.
    """
    part = sums.patterns
    ratio = part.ratio
    runs = np.array_split(np.arange(len(ratio)), min(10, len(ratio)))
    parts = tuple(float(part.deviance[run].sum() / max(part.allowed[run].sum(), 1e-12)) for run in runs)
    values = part.counts / np.maximum(part.expected, 1e-12) if beam_varies else np.log(np.maximum(ratio, 1e-3))
    slow = slow_part(values, positions_px)
    what = "the intensity of the beam" if beam_varies else "the fit"
    drift = Cause(
        "drift",
        slow,
        f"{what} changes steadily along the scan (deviance of its tenths, over what the counts allow: "
        f"{', '.join(f'{value:.2g}' for value in parts)})",
        "look for a drift of beam, sample or stage, or for damage; reconstruct the good part of the scan, or refine "
        "the positions (reconstruction.refine.positions=true)",
    )
    return Course(parts, slow), drift if slow > DRIFT_SHARE else None


def slow_part(values: Floats, positions_px: Floats | None = None) -> float:
    """Part of the variance of values (N,) that a straight line accounts for, beyond the distance from the centre."""
    if len(values) < FEWEST_PATTERNS or np.ptp(values) == 0:
        return 0.0
    index = np.arange(len(values), dtype=np.float64)
    known = np.ones((len(values), 1))
    if positions_px is not None:
        middle = (positions_px.min(0) + positions_px.max(0)) / 2
        distance = np.linalg.norm(positions_px - middle, axis=1)
        known = np.stack([known[:, 0], distance, distance**2], axis=1)
    line, rest = (column - known @ np.linalg.lstsq(known, column)[0] for column in (index, values))
    if line.var() < LEAST_LINE * index.var():
        return 0.0
    return float((line @ rest) ** 2 / (line @ line) / np.square(values - values.mean()).sum())


def _far_patterns(part: Part) -> NDArray[np.bool_]:
    """The outlying patterns; wrong ones raise the ratio of their neighbours, so that the few worst are looked for."""
    ratio = part.ratio
    for times in (1, 3, 9, 27):
        far = ratio > times * FAR_PATTERN * np.median(ratio) + 0.5
        if far.sum() <= MOST_PATTERNS * len(ratio):
            return np.asarray(far & _is_unexplained(part))
    return np.zeros(len(ratio), bool)


def _is_unexplained(part: Part) -> NDArray[np.bool_]:
    """Whether the image leaves a good part of the structure of each pattern or pixel unexplained."""
    return np.asarray(part.deviance - part.allowed > FAR_UNEXPLAINED * (part.of_mean - part.allowed))


def _excess(part: Part) -> float:
    return max(float((part.deviance - part.allowed).sum()), LEAST_EXCESS * float(part.allowed.sum()), 1e-12)


def _flicker(part: Part, far: NDArray[np.bool_], excess: float) -> tuple[float, float, float]:
    """Rms of the patterns' factors beyond counting noise, the part of the excess they account for, and the noise."""
    good = ~far & (part.expected > 0) & (part.counts > 0)
    if good.sum() < 2:
        return 0.0, 0.0, 0.0
    counts, expected = part.counts[good], part.expected[good]
    factor = counts / expected
    noise = float(np.mean(1 / counts))
    variance = float(np.var(factor / factor.mean())) - noise
    gained = float((deviance(torch.from_numpy(counts), torch.from_numpy(expected)) - 1).sum())
    return max(variance, 0.0) ** 0.5, gained / excess, noise**0.5


def _typical(ratio: Floats) -> Floats:
    """Median of the ratios around each pixel."""
    size = min(NEIGHBOURHOOD_PX, min(ratio.shape))
    before = size // 2
    padded = np.pad(ratio, (before, size - 1 - before), mode="edge")
    typical = np.empty(ratio.shape)
    for row in range(len(ratio)):  # the windows of all pixels together would be many times the patterns
        windows = np.lib.stride_tricks.sliding_window_view(padded[row : row + size], (size, size))[0]
        typical[row] = np.partition(windows.reshape(-1, size**2), size**2 // 2)[:, size**2 // 2]
    return typical


def _background(part: Part, far: NDArray[np.bool_]) -> tuple[float | None, bool]:
    r"""Photons of the dim pixels that do not vary with the model, and whether they are more than a right model leaves.

    Counts of the dim pixels are regressed on the model over the patterns, \(k = a \lambda + b\), each pixel about its
    own means. Where the object has taken up a constant background as noise, \(a < 1\) and b is the background.
    """
    number = np.maximum(part.measured, 1)
    mean = part.counts / number
    seen = (part.measured > 0) & ~far
    if not seen.any():
        return None, False
    dim = seen & (mean <= np.quantile(mean[seen], DIM_PART))
    level = float(mean[dim].mean())
    if level < DIM_PHOTONS:
        return None, False
    weight = 1 / np.maximum(mean[dim], DIM_PHOTONS)
    together = part.products[dim] - part.counts[dim] * part.expected[dim] / number[dim]
    alone = part.squares[dim] - part.expected[dim] ** 2 / number[dim]
    slope = float((weight * together).sum() / max((weight * alone).sum(), 1e-12))
    constant = float((part.counts[dim] - slope * part.expected[dim]).sum() / part.measured[dim].sum())
    least = max(BACKGROUND_PART * level, BACKGROUND_OF_MEAN * float(mean[seen].mean()))
    return max(constant, 0.0), slope < BACKGROUND_SLOPE and constant > least


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(values: list[int] | tuple[int, ...] | list[tuple[int, int]]) -> str:
    shown = ", ".join(str(value) for value in values[:8])
    return f"{shown}, ..." if len(values) > 8 else shown
