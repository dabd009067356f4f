"""A start for the probe of a scan that holds none, from its patterns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.chunks import frame_chunks
from ptychopinn.data.masks import masks_of

OVERLAP = 0.7
"""Linear overlap of neighbouring beams, 1 - step / diameter, where the patterns do not tell the diameter. Scans are
planned with 60 to 80 percent; at 0.85 the start is twice as wide."""
PAIRS = 120
"""Pairs of neighbouring patterns that are compared. Twice as many change the correlation by its noise of about 0.01."""
LEAST_CORRELATION = 0.05
"""Below it the movement of the patterns with the sample tells nothing; that of random patterns stays below 0.02."""
CLEARER = 1.5
"""How many times larger the correlation must be than with the other sign of the defocus."""
_FACTORS = 1.15 ** np.arange(-9, 11)
"""Diameters that are tried, relative to that of 70 % overlap: 0.28 to 4 times."""


FEW_PLACES = 1024
"""Positions up to which all their distances are found: that takes 0.05 s of CPU time, importing a tree 0.25 s, and a
command asks a few times."""


@final
@dataclass(frozen=True)
class _Beam:
    """Geometric diameter at the sample, and the sign of the defocus: 1 if the sample lies behind the focus."""

    diameter_px: float
    sign: int
    reason: str


def start_probe(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    counts: bool,
    positions_px: NDArray[np.float64],
    diameter_px: float | None = None,
) -> tuple[NDArray[np.complex64], str]:
    r"""The root of the mean pattern, taken to the sample, with a defocus that gives the beam a diameter.

    With the mean intensity \(I_k\) at the detector index \(k\) (from the centre) of N x N pixels,

    \[ P = F^{-1}( \sqrt{I_k}\, e^{-i c |k|^2} ), \quad c = \pm\frac{\pi D}{N \sqrt{8 \langle |k|^2 \rangle}} \]

    where c is the defocus of a beam whose geometric cross-section at the sample has the root mean square diameter
    \(D / \sqrt 2\), that of a filled disk of diameter D; c is positive where the sample lies behind the focus.

    In such a beam a feature of the sample moves by \(-\pi d / (c N)\) on the detector when the beam moves by d. D and
    the sign are those with which neighbouring patterns, so shifted, correlate best. Where they do not correlate, D is
    the median step of the scan divided by 0.3 (70 % overlap), and the sample lies behind the focus.

    Args:
        patterns: (N, H, H), zero frequency at the centre.
        bad_pixels: (H, H) or (N, H, H).
        counts: whether the patterns are counts, else amplitudes.
        positions_px: (N, 2).
        diameter_px: of the beam on the sample, where known.

    Returns:
        (H, H) probe in sqrt(photons) per pattern, and one sentence that states what was done.
    """
    size = patterns.shape[-1]
    mean = mean_counts(patterns, bad_pixels, counts)
    k = np.arange(size) - size // 2
    squared = np.square(k)[:, None] + np.square(k)
    spread = float((mean * squared).sum() / max(float(mean.sum()), np.finfo(float).tiny))
    per_px = np.pi / (size * np.sqrt(8 * spread)) if spread > 0 else 0.0
    beam = _beam(patterns, bad_pixels, counts, positions_px, per_px, diameter_px)
    wave = np.sqrt(mean) * np.exp(-1j * beam.sign * per_px * beam.diameter_px * squared)
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wave), norm="ortho")).astype(np.complex64)
    where = "behind" if beam.sign > 0 else "before"
    note = (
        "There is no probe: an estimate stands in, the root of the mean pattern taken to the sample, with a defocus "
        f"that gives a beam {beam.diameter_px:.1f} px across, {where} its focus ({beam.reason}). Give a measured or "
        "calculated probe by --probe FILE if there is one."
    )
    return probe, note


def _beam(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    counts: bool,
    positions_px: NDArray[np.float64],
    per_px: float,
    known_px: float | None,
) -> _Beam:
    """Diameter and sign, by the first rule that applies."""
    size = patterns.shape[-1]
    usual = min(median_step_px(positions_px) / (1 - OVERLAP), size / 2)
    diameters = np.array([known_px]) if known_px else usual * _FACTORS
    diameters = np.minimum(diameters, 0.75 * size)
    if per_px > 0 and usual > 0:
        values = _correlations(patterns, bad_pixels, counts, positions_px, np.pi / (per_px * diameters * size))
        best = values.max(axis=1)
        if best.max() >= max(LEAST_CORRELATION, CLEARER * best.min()):
            row, column = np.unravel_index(int(values.argmax()), values.shape)
            what = "diameter from the file, side" if known_px else "both"
            return _Beam(float(diameters[column]), 1 - 2 * int(row), f"{what} by the movement of the patterns")
    if known_px:
        return _Beam(float(diameters[0]), 1, "diameter from the file, side assumed")
    return _Beam(usual, 1, "assumed, for 70 % overlap of neighbouring beams")


def _correlations(
    patterns: NDArray[Any],
    bad_pixels: NDArray[np.bool_] | None,
    counts: bool,
    positions_px: NDArray[np.float64],
    magnifications: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(2, K): correlation of neighbours, shifted by -/+ magnification * step, for each of K magnifications."""
    frequency = np.fft.fftfreq(patterns.shape[-1])
    total, norm = np.zeros((2, len(magnifications))), 0.0
    for one, other, step in _pairs(patterns, bad_pixels, counts, positions_px):
        product = other * one.conj()
        norm += float(np.sqrt(np.square(np.abs(one)).sum() * np.square(np.abs(other)).sum()))
        for row, sign in enumerate((-1, 1)):
            shift = sign * magnifications[:, None] * step
            y, x = (np.exp(2j * np.pi * np.outer(shift[:, axis], frequency)) for axis in (0, 1))
            total[row] += np.einsum("ki,ki->k", y @ product, x).real
    return total / norm if norm > 0 else total


def _pairs(
    patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, counts: bool, positions_px: NDArray[np.float64]
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]]:
    """Fourier transforms of the amplitudes, less their mean, of neighbours, and the step between them in px."""
    from scipy.spatial import KDTree

    if len(positions_px) < 2:
        return
    chosen = np.unique(np.linspace(0, len(positions_px) - 1, PAIRS).astype(int))
    distance, neighbours = KDTree(positions_px).query(positions_px[chosen], k=2)
    partner = np.where(neighbours[:, 1] == chosen, neighbours[:, 0], neighbours[:, 1])
    moved = distance[:, 1] > 0
    chosen, partner = chosen[moved], partner[moved]

    def amplitudes(index: NDArray[Any]) -> NDArray[np.float64]:
        values = patterns[index].astype(np.float64)
        values = np.sqrt(np.clip(np.nan_to_num(values), 0, None)) if counts else np.nan_to_num(values)
        if bad_pixels is None:
            return np.asarray(values)
        return np.where(masks_of(bad_pixels, index), 0, values)

    if len(chosen):
        one, other = amplitudes(chosen), amplitudes(partner)
        mean = one.mean(axis=0)
        for a, b, step in zip(one, other, positions_px[partner] - positions_px[chosen], strict=True):
            yield np.fft.fft2(a - mean), np.fft.fft2(b - mean), step


def mean_counts(patterns: NDArray[Any], bad_pixels: NDArray[np.bool_] | None, counts: bool) -> NDArray[np.float64]:
    """(H, W): mean photons per pattern, zero at bad pixels."""
    total = np.zeros(patterns.shape[1:])
    for _, frames in frame_chunks(patterns, bad_pixels):
        values = frames.astype(np.float64)
        values = np.where(np.isfinite(values) & (values > 0), values, 0)
        total += (values if counts else np.square(values)).sum(axis=0)
    return total / len(patterns)


def median_step_px(positions_px: NDArray[np.float64]) -> float:
    """Median over the positions of the mean distance to the four nearest others; 0 for a single position."""
    places = np.unique(positions_px[np.isfinite(positions_px).all(axis=1)], axis=0)
    if len(places) < 2:
        return 0.0
    nearest = min(5, len(places))
    if len(places) <= FEW_PLACES:
        squares = np.concatenate(
            [
                np.partition(np.square(part[:, None] - places).sum(axis=-1), nearest - 1, axis=1)[:, :nearest]
                for part in np.array_split(places, -(-len(places) // 256))
            ]
        )
        distances = np.sqrt(np.sort(squares, axis=1))
    else:
        from scipy.spatial import KDTree

        distances = KDTree(places).query(places, k=nearest)[0]
    return float(np.median(distances[:, 1:].mean(axis=1)))


def rms_diameter_px(intensity: NDArray[np.float64]) -> float:
    r"""Twice the root mean square radius of an intensity (H, W), px.

    \[ D = 2 \sqrt{\sum I r^2 / \sum I} \]

    about the centre of mass; a thin ring has its own diameter, a full disk 0.71 of it.

    >>> ring = np.zeros((9, 9)); ring[4, 1] = ring[4, 7] = ring[1, 4] = ring[7, 4] = 1
    >>> rms_diameter_px(ring)
    6.0
    """
    y, x = np.indices(intensity.shape)
    total = float(intensity.sum())
    y0, x0 = float((intensity * y).sum()) / total, float((intensity * x).sum()) / total
    squared = float((intensity * ((y - y0) ** 2 + (x - x0) ** 2)).sum()) / total
    return max(2 * squared**0.5, 1.0)
