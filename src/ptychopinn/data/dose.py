"""The dose of amplitudes that carry none: those whose scale was normalised away."""

import logging
from dataclasses import replace

import numpy as np

from ptychopinn.data.chunks import changed_frames
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.data")

LARGEST_NORMALISED = 1.01
"""Mean squared amplitude per pixel up to which patterns may be normalised: legacy PtychoPINN sets it to 1/4 or 1.

Measured amplitudes in sqrt(photons) are rarely so weak; twice as much would take weak measurements for normalised
ones."""
_WHOLE = 1e-3
"""Largest distance from a whole number of the squares of amplitudes that are roots of counts in float32."""


def is_normalised(scan: Scan) -> bool:
    """Whether amplitudes have lost the scale of their photons: weak, and no roots of whole numbers.

    A scan whose metadata state the domain says by it that its amplitudes are roots of photons.
    """
    if scan.domain != "amplitude" or scan.domain_reason == "stated in the metadata":
        return False
    squares = np.square(scan.patterns[: min(len(scan), 64)].astype(np.float64))
    return bool(0 < squares.mean() <= LARGEST_NORMALISED and np.abs(squares - np.rint(squares)).max() > _WHOLE)


def with_photons(scan: Scan, photons: float) -> Scan:
    r"""Normalised amplitudes scaled so that a pattern has so many photons in the mean; the probe goes with them.

    \[ s^2 = n / \langle \sum A^2 \rangle, \qquad A \to s A, \quad P \to s P \]

    Any other scan is returned as it is.

    Raises:
        ScanError: a number of photons that is not positive.
    """
    if not is_normalised(scan):
        return scan
    if not photons > 0:
        raise ScanError(f"{scan.source}: nphotons is {photons}; must be positive, as the amplitudes are normalised")
    sums = changed_frames(
        scan.patterns, lambda frames: np.square(frames.astype(np.float32), dtype=np.float64).sum((1, 2))
    )
    factor = float(np.sqrt(photons / sums.mean()))
    logger.info("%s: the amplitudes are normalised; nphotons = %g sets their dose", scan.source, photons)
    probe = (scan.probe * factor).astype(np.complex64)
    patterns = changed_frames(scan.patterns, lambda frames: frames.astype(np.float32) * np.float32(factor))
    return replace(scan, patterns=patterns, probe=probe)
