r"""Resolution without a reference: the ring correlation of two images that were made from two halves of the data.

The second image is aligned with the first one (shift, phase ramp, phase and scale, see `align`), because two solves may
end in two places. Where the correlation of the halves is C, an image of all data has the correlation
\(\sqrt{2 C / (1 + C)}\) with the true object: 0.5 at C = 1/7 (Rosenthal and Henderson, J. Mol. Biol. 333, 721, 2003).
The half-bit curve (van Heel and Schatz, J. Struct. Biol. 151, 250, 2005) also refers to all data.

What both images have in common beside the object, such as the same penalty or the same wrong geometry, is not seen: the
result says where two halves agree, not where they are right.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.alignment import Alignment, align
from ptychopinn.metrics.entries import frc_entries, plain
from ptychopinn.metrics.frc import FRCCurve, Threshold, fourier_ring_correlation
from ptychopinn.metrics.pose import moved_mask
from ptychopinn.metrics.region import MIN_SIDE_PX, Region, covered_region
from ptychopinn.metrics.translation import fill_outside

LEAST_COVERED = 0.95
"""Part of a region that both images must cover. The rest takes the nearest covered value of each image; half of the
positions of a coarse scan leave single pixels open."""
THRESHOLDS: dict[str, Threshold] = {"half_bit": "half_bit", "1/7": 1 / 7, "one_bit": "one_bit"}


@dataclass(frozen=True, eq=False)
class HalvesCorrelation:
    """How two images of halves of the data agree."""

    frc: FRCCurve
    region: Region
    """(y0, y1, x0, x1) of the arrays that were given."""
    alignment: Alignment
    """The second image on the first."""

    def entries(self, pixel_size_m: float | None) -> dict[str, Any]:
        """Flat, of plain JSON values: where the correlation falls below each threshold, and what was aligned.

        Args:
            pixel_size_m: adds `frc_*_full_period_nm` and `frc_*_half_period_nm`.
        """
        return plain(
            {
                **frc_entries(self.frc, pixel_size_m, THRESHOLDS),
                "region": list(self.region),
                "shift_px": list(self.alignment.shift_px),
                "ramp_rad_per_px": list(self.alignment.ramp_rad_per_px),
                "scale_abs": abs(self.alignment.scale),
            }
        )


def correlate_halves(
    first: NDArray[Any], second: NDArray[Any], covered: NDArray[np.bool_], region: Region | None = None
) -> HalvesCorrelation:
    """Align the second image with the first, and correlate both on a rectangle that both cover.

    Args:
        first: complex (Y, X).
        second: complex (Y, X), in the same frame.
        covered: (Y, X), True where both images hold data.
        region: (y0, y1, x0, x1) to which the comparison is limited; if less than 95 % of it are covered, or it is
            smaller than 16 px, a covered rectangle is taken instead, see `covered_region`.

    Raises:
        ValueError: unequal or non-finite images, or no covered rectangle of 16 px.
    """
    box = _covered_part(covered, region)
    inside = np.s_[box[0] : box[1], box[2] : box[3]]
    counts = np.zeros_like(covered)
    counts[inside] = covered[inside]
    alignment = align(second, first, mask=counts, support=covered)
    known = moved_mask(covered, alignment.shift_px) & covered
    compared = [_filled(one[inside], known[inside]) for one in (first, alignment.object_)]
    return HalvesCorrelation(fourier_ring_correlation(*compared), box, alignment)


def _filled(image: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """The image with the nearest known value where it is not known."""
    return fill_outside(image, known) if known.any() else image


def _covered_part(covered: NDArray[np.bool_], region: Region | None) -> Region:
    """The region, if it is large and covered well enough; else a covered rectangle, inside of it if it is large enough.

    Raises:
        ValueError: there is no covered rectangle of 16 px.
    """
    from scipy import ndimage

    within = covered
    if region is not None and min(region[1] - region[0], region[3] - region[2]) >= MIN_SIDE_PX:
        inside = np.s_[region[0] : region[1], region[2] : region[3]]
        if covered[inside].mean() >= LEAST_COVERED:
            return region
        within = np.zeros_like(covered)
        within[inside] = covered[inside]
    try:
        return covered_region(ndimage.binary_opening(within, np.ones((3, 3))))  # without stripes of dim fringes
    except ValueError:
        raise ValueError(
            f"both halves must cover a common rectangle of {MIN_SIDE_PX} px on each side, got less; halve the photons "
            "in place of the scan, or record more patterns"
        ) from None
