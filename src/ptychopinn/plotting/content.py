"""What the figure of a reconstruction shows beside the image: the heading, the fit to the patterns, the resolution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.frc import FRCCurve

if TYPE_CHECKING:
    from ptychopinn.metrics.verdict import Level


@dataclass(frozen=True, eq=False)
class PatternFit:
    """One measured pattern with the photons that the image predicts for it."""

    label: str
    """How it was chosen, as in `best fit`."""
    number: int
    """Of the pattern in the scan, from 0."""
    ratio: float
    """Its deviance over what the counts allow."""
    measured: NDArray[Any]
    """(H, W), photons."""
    modelled: NDArray[Any]
    """(H, W), photons."""
    valid: NDArray[np.bool_] | None = None
    """(H, W), True where a pixel was measured; None where all were."""

    @property
    def residual(self) -> NDArray[np.float64]:
        r"""(H, W): \((k - \lambda) / \sqrt{\lambda + 3/8}\), the difference in expected standard deviations.

        The offset 3/8 is that of the deviance of the verdict, so that single photons on dark pixels do not dominate.
        """
        from ptychopinn.physics.likelihood import ANSCOMBE_PHOTONS

        k, mean = (np.asarray(part, np.float64) for part in (self.measured, self.modelled))
        return np.asarray((k - mean) / np.sqrt(mean + ANSCOMBE_PHOTONS))

    def shown(self, values: NDArray[Any]) -> Any:
        """Values (H, W), masked where nothing was measured."""
        return np.ma.masked_where(np.zeros(values.shape, bool) if self.valid is None else ~self.valid, values)


@dataclass(frozen=True, eq=False)
class Added:
    """What a trained prior added to the object."""

    correction: NDArray[np.complex64]
    """(Y, X)."""
    coverage: NDArray[Any]
    """(Y, X), of the object."""
    rms_sigma: float
    """Its root mean square, in standard deviations of the counting noise."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Standard deviations of an object."""

    amplitude: NDArray[Any]
    """(Y, X)."""
    phase: NDArray[Any]
    """(Y, X), rad."""
    is_valid: bool = True
    """False where the image does not fit its patterns, or only in part."""


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Parts of the figure; what is empty is left out, and the layout adapts.

    Attributes:
        method: What made the image.
        date: When.
        level: Of the verdict; None without one, for example of an image whose patterns are not at hand.
        message: The verdict in words.
        patterns: Up to three of them.
        ratio: (N,), deviance over what the counts allow at each position of the image.
        deviance: Per measured pixel, of each iteration of the solver.
        region: (y0, y1, x0, x1) in the object frame, what scores are taken of.
        region_label: Stands inside its outline.
        resolution: Ring correlation of two halves of the data, by the name of the halves.
        added: What a prior added to the object.
        bars: Standard deviations of amplitude and phase.
        reference_note: How the reference was moved for the comparison.
    """

    method: str = ""
    date: str = ""
    level: "Level | None" = None
    message: str = ""
    patterns: Sequence[PatternFit] = ()
    ratio: NDArray[Any] | None = None
    deviance: Sequence[float] = ()
    region: Sequence[int] | None = None
    region_label: str = "scored region"
    resolution: Mapping[str, FRCCurve] = field(default_factory=dict)
    added: Added | None = None
    bars: Bars | None = None
    reference_note: str = ""


def best_median_worst(ratio: NDArray[Any]) -> list[tuple[str, int]]:
    """The patterns that a figure shows, with how each was chosen: best, median and worst fit by the ratio (N,).

    Of equal ratios the first pattern counts. Two patterns are best and worst, one stands alone.

    >>> best_median_worst(np.array([3.0, 1.0, 2.0, 9.0, 2.5]))
    [('best fit', 1), ('median fit', 4), ('worst fit', 3)]
    >>> best_median_worst(np.array([3.0]))
    [('only pattern', 0)]
    """
    order = np.argsort(ratio, kind="stable")
    if len(order) == 0:
        return []
    if len(order) == 1:
        return [("only pattern", int(order[0]))]
    ends = [("best fit", int(order[0])), ("worst fit", int(order[-1]))]
    if len(order) > 2:
        ends.insert(1, ("median fit", int(order[(len(order) - 1) // 2])))
    return ends
