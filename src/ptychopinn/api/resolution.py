"""Resolution without a reference: the solver's images of two halves of the data, compared by ring correlation.

Halves of the photons share the positions of the scan, so that they differ by counting noise alone. Halves of the scan
(every second position) have all photons and half the overlap. Both start from the same object of 1 and the same probe,
and are solved with the settings of the image; probe and positions are refined in each half by itself.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.evaluate import scanned_region
from ptychopinn.api.solver_work import Task
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.scan import Scan
from ptychopinn.data.thinning import half_of_photons, holds_photons
from ptychopinn.errors import PtychoPINNError
from ptychopinn.metrics.frc import FRCCurve
from ptychopinn.metrics.halves import HalvesCorrelation, correlate_halves

logger = logging.getLogger("ptychopinn")
SEED = 1
"""Of the draw of the photons; fixed, so that a resumed run draws the same halves."""
NOT_WHOLE = "the counts are not whole numbers, so that photons cannot be divided at random; take the halves of the scan"
OF_A_NETWORK = (
    "two halves are compared for images of the solver alone, which starts from an object of 1; a network has seen all "
    "data. Reconstruct the scan without a model"
)

Halves = Literal["photons", "scan"]
SolveHalf = Callable[[Scan, float, str], Reconstruction]
"""Makes the image of a half, given the fraction of the photons of a pattern that it has, and a name for its files."""


@dataclass(frozen=True, eq=False)
class Resolution:
    """The resolution of an image by the agreement of two halves of its data."""

    entry: dict[str, Any]
    """The entry `resolution` of `metrics.json`: for `photons` and `scan` the crossings, or a `reason`."""
    curves: dict[str, FRCCurve] = field(default_factory=dict)
    """What was measured, by a name for the figure."""
    region: tuple[int, int, int, int] | None = None
    """(y0, y1, x0, x1) in the object frame, of the first curve."""

    @classmethod
    def missing(cls, wanted: str, reason: str) -> "Resolution":
        """Nothing was measured."""
        return cls({kind: {"reason": reason} for kind in kinds_of(wanted)})


def kinds_of(wanted: str) -> tuple[Halves, ...]:
    """The halves that `reconstruction.resolution` asks for.

    >>> kinds_of("both"), kinds_of("none")
    (('photons', 'scan'), ())
    """
    kinds: tuple[Halves, ...] = ("photons", "scan")
    return kinds if wanted == "both" else tuple(kind for kind in kinds if kind == wanted)


def measure_resolution(task: Task, image: Reconstruction, solve_half: SolveHalf) -> Resolution:
    """Solve the halves that the recipe of a task asks for, one after the other, and compare each pair.

    Args:
        task: what the solver was given for the image.
        image: in whose frame, and on whose scanned region, the halves are compared.
        solve_half: makes the image of a half.

    Raises:
        SolverInterrupted: Ctrl-C.
    """
    found = Resolution({})
    for kind in kinds_of(task.recipe.reconstruction.resolution):
        try:
            compared = _compared(kind, task.tensors.scan, image, solve_half)
        except (PtychoPINNError, ValueError) as error:
            logger.info("resolution by halves of the %s: not measured: %s", kind, error)
            found.entry[kind] = {"reason": str(error)}
            continue
        region = _in_object_frame(image, compared.region)
        found.entry[kind] = {**compared.entries(image.pixel_size_m), "region": list(region)}
        found.curves[kind] = compared.frc
        found = replace(found, region=found.region or region)
    return found


def _compared(kind: Halves, scan: Scan, image: Reconstruction, solve_half: SolveHalf) -> HalvesCorrelation:
    if kind == "photons" and not holds_photons(scan):
        raise ValueError(NOT_WHOLE)
    shape = (image.object_.shape[0], image.object_.shape[1])
    origin = (int(image.origin_px[0]), int(image.origin_px[1]))
    objects, covered = [], image.covered
    for name, half, fraction in _halves(kind, scan):
        logger.info("solving again for the resolution: %s", name)
        object_, coverage = solve_half(half, fraction, name).in_frame(origin, shape)
        objects.append(object_)
        covered = covered & (coverage > 0)
    return correlate_halves(objects[0], objects[1], _with_some(covered), scanned_region(image))


def _halves(kind: Halves, scan: Scan) -> Iterator[tuple[str, Scan, float]]:
    """Name, data and fraction of the photons of each half; only one is held at a time."""
    for number in (0, 1):
        if kind == "photons":
            yield f"half_of_photons_{number + 1}", half_of_photons(scan, number, SEED), 0.5
        else:
            part = replace(scan.select(slice(number, None, 2)), truth_patches=None)
            yield f"half_of_scan_{number + 1}", part, 1.0


def _with_some(covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same mask.

    Raises:
        ValueError: the halves have no pixel in common.
    """
    if not covered.any():
        raise ValueError("the two halves cover no common pixel; the scan has too few patterns to be halved")
    return covered


def _in_object_frame(image: Reconstruction, region: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    y, x = (int(value) for value in image.origin_px)
    return region[0] + y, region[1] + y, region[2] + x, region[3] + x
