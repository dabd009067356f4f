"""What a run did to the scan positions, and how sure it is of them: an entry of the result, and lines of the log."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger("ptychopinn.reconstruction")

END_OF_SCAN = 0.1
"""Part of the patterns at the beginning and at the end between which a drift is stated."""
AT_LIMIT = 0.99
"""Part of the limit from which a position counts as having reached it."""


def position_report(
    start_px: NDArray[np.float64], end_px: NDArray[np.float64], *, limit_px: float, deviation_px: float | None
) -> dict[str, Any]:
    r"""How positions moved; the map of the scan is \(y \to y + A (y - \bar y)\) and the common shift is left out.

    Args:
        start_px: (N, 2), in the order of the scan.
        end_px: (N, 2).
        limit_px: largest move allowed along an axis.
        deviation_px: expected standard deviation of a position along an axis; None if it is not known.

    Returns:
        `moved_rms_px`, along an axis; of A the scale (%), the rotation from x to y and the shear (mrad); of what A
        leaves, the drift (y, x) from the first to the last tenth of the patterns and the RMS along an axis; the
        deviation; and how many positions are at the limit.
    """
    moved = end_px - start_px
    at_limit = int((np.abs(moved) >= AT_LIMIT * limit_px).any(1).sum())
    moved = moved - moved.mean(0)
    affine = affine_part(moved, start_px)
    rest = moved - (start_px - start_px.mean(0)) @ affine.T
    ends = max(1, round(END_OF_SCAN * len(rest)))
    drift = rest[-ends:].mean(0) - rest[:ends].mean(0)
    return {
        "moved_rms_px": _rms(moved),
        "scale_percent": float(50 * np.trace(affine)),
        "rotation_mrad": float(500 * (affine[0, 1] - affine[1, 0])),
        "shear_mrad": float(500 * np.hypot(affine[0, 0] - affine[1, 1], affine[0, 1] + affine[1, 0])),
        "drift_px": [float(value) for value in drift],
        "single_rms_px": _rms(rest),
        "deviation_px": deviation_px,
        "at_limit": at_limit,
        "limit_px": float(limit_px),
    }


def affine_part(moved: NDArray[np.float64], positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """A (2, 2) of moves (N, 2) by least squares; positions on a line decide only a part of it."""
    centred = positions_px - positions_px.mean(0)
    found, *_ = np.linalg.lstsq(centred, moved - moved.mean(0), rcond=1e-6)
    return np.asarray(found.T)


def log_positions(entry: dict[str, Any]) -> None:
    """Log the report; warn of positions at the limit."""
    deviation = entry["deviation_px"]
    logger.info(
        "positions moved by %.3g px rms along an axis%s: scale %+.2g %%, rotation %+.2g mrad, shear %.2g mrad, "
        "drift (%.2g, %.2g) px, single errors %.3g px rms",
        entry["moved_rms_px"],
        "" if deviation is None else f" (counting noise leaves {deviation:.2g} px)",
        entry["scale_percent"],
        entry["rotation_mrad"],
        entry["shear_mrad"],
        *entry["drift_px"],
        entry["single_rms_px"],
    )
    if entry["at_limit"]:
        logger.warning(
            "%d positions moved as far as they may, %.3g px; raise reconstruction.refine.positions_limit_px, or leave "
            "these patterns out if their positions cannot be right",
            entry["at_limit"],
            entry["limit_px"],
        )


def _rms(moves: NDArray[np.float64]) -> float:
    """Along an axis."""
    return float(np.sqrt(np.square(moves).mean()))
