r"""When an image counts as collapsed, told from the data alone; and when its contrast is not that of a reference.

The misfit of an object, in nats, is about the negative logarithm of its Poisson likelihood, with the same noise at any
dose. With Anscombe's root and the scale s that gives as many photons as were counted,

\[ M(O) = 2 \sum \left( \sqrt{k + 3/8} - \sqrt{s \lambda(O) + 3/8} \right)^2 \]

The structure in the data is \(U = M(1) - M_0\), what a flat object leaves unexplained beyond \(M_0\), which counting
alone gives. All shares below are parts of U.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PARTS = ("amplitude", "phase")
SURE_SIGMA = 5.0
"""Deviations from Poisson noise above which patterns differ from each other for certain."""
EXPLAINS_NOTHING = 0.03
"""Share below which an image explains the patterns no better than a flat object."""
CARRIES_NOTHING = 0.05
"""Share below which amplitude or phase explain the patterns no better than a flat image."""
WANTED = 0.05
"""Share that one step in amplitude or phase explains, on patterns that did not choose it, if the sample has one."""
OVER_THE_OTHER = 0.6
"""Least ratio to what the same step in the other part explains: errors of one part look a little like the other."""
CONTRAST_RANGE = (0.5, 2.0)
"""Contrast of the image over that of a reference outside which the image is called suspicious."""
SMALL_MEAN = 30.0
"""Below this expectation counting noise is summed exactly; above it the limit is right to 1e-4."""


@dataclass(frozen=True)
class Evidence:
    """What the patterns say of an image; None where it was not asked."""

    structure_sigma: float
    """How many deviations of counting noise the patterns differ from each other."""
    explained: float
    """Share of the structure that the image explains; 1 is all, below 0 it is worse than a flat object."""
    carried_amplitude: float
    """Share that is lost when its amplitude is made flat."""
    carried_phase: float
    """The same of its phase."""
    wanted_amplitude: float | None = None
    """Share that a first step in amplitude alone explains, from the image with a flat amplitude."""
    wanted_phase: float | None = None
    """The same of the phase."""


@dataclass(frozen=True)
class Collapse:
    """Contrast and coverage of an image, and whether it is flat where the data are not; plain JSON values."""

    contrast_amplitude: float
    """Standard deviation over mean."""
    contrast_phase_rad: float
    """Standard deviation without global phase and ramp, rad."""
    coverage: float
    """Covered part of the rectangle that the positions span."""
    flat: tuple[str, ...] = ()
    """`amplitude`, `phase`, or both: what has collapsed."""
    message: str | None = None
    """The same in plain words; none of a sound image."""
    evidence: Evidence | None = None
    """The numbers behind it; none where there are too few patterns to tell."""

    def entry(self) -> dict[str, Any]:
        """The entry `collapse` of `metrics.json`."""
        return {**asdict(self), "flat": list(self.flat)}


def may_be_flat(evidence: Evidence) -> tuple[str, ...]:
    """Parts that carry nothing in an image that explains something; of these the patterns are asked next."""
    if evidence.structure_sigma < SURE_SIGMA or evidence.explained < EXPLAINS_NOTHING:
        return ()
    carried = {"amplitude": evidence.carried_amplitude, "phase": evidence.carried_phase}
    return tuple(part for part in PARTS if carried[part] < CARRIES_NOTHING)


def is_wanted(share: float, other: float) -> bool:
    """Whether a step in one part explains enough, alone and beside the same step in the other part."""
    return share > WANTED and share > OVER_THE_OTHER * other


def collapse_of(
    contrast: tuple[float, float], coverage: float, evidence: Evidence | None, wanted: tuple[str, ...] = ()
) -> Collapse:
    """The verdict.

    Args:
        contrast: of amplitude, and of phase in rad.
        coverage: covered part.
        evidence: what the patterns say; none where there are too few.
        wanted: parts that may be flat and for which the patterns ask.
    """
    flat, message = _verdict(contrast, evidence, wanted)
    return Collapse(*contrast, coverage, flat, message, evidence)


def _verdict(
    contrast: tuple[float, float], evidence: Evidence | None, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None]:
    if evidence is None or evidence.structure_sigma < SURE_SIGMA:
        return (), None
    known = f"amplitude contrast {contrast[0]:.2g}, phase {contrast[1]:.2g} rad"
    if evidence.explained < EXPLAINS_NOTHING:
        return PARTS, (
            f"the image is flat or wrong ({known}): it explains the patterns no better than a flat object, though they "
            "differ from each other; the network has collapsed or was trained too briefly"
        )
    if not wanted:
        return (), None
    named = " and the ".join(wanted)
    return wanted, (
        f"the {named} of the image explains the patterns no better than a flat one would ({known}), though they show "
        "that it has structure; that part of the image has collapsed"
    )


def reference_warnings(report: Mapping[str, Any] | None) -> list[str]:
    """A sentence for amplitude or phase whose contrast is far from that of a reference.

    Args:
        report: what `compare` gave; none where there is no reference.

    >>> reference_warnings({"contrast_amplitude": 1.0, "contrast_phase": 0.25})
    ['the phase has 0.25 times the contrast of the reference; the image may have collapsed']
    """
    low, high = CONTRAST_RANGE
    known = {part: (report or {}).get(f"contrast_{part}") for part in PARTS}
    return [
        f"the {part} has {contrast:.2f} times the contrast of the reference; the image may have collapsed"
        for part, contrast in known.items()
        if contrast is not None and not low <= contrast <= high
    ]


def counting_misfit(expected: NDArray[Any]) -> float:
    """What counting alone adds to the misfit of a perfect model, nats: 1/2 for each pixel, less where counts are few.

    Args:
        expected: lambda, photons, of any shape.

    >>> round(counting_misfit(np.array([1e4])), 3), round(counting_misfit(np.array([0.0])), 3)
    (0.5, 0.0)
    """
    from ptychopinn.physics.likelihood import ANSCOMBE_PHOTONS as offset

    mean = np.asarray(expected, np.float64).ravel()
    small = mean[mean < SMALL_MEAN]
    counts = np.arange(int(SMALL_MEAN + 10 * SMALL_MEAN**0.5))
    probability = np.exp(-small)  # of k = 0; below it is multiplied by mean / k, which needs no import of scipy.stats
    mean_root = np.sqrt(offset) * probability
    for k in counts[1:]:
        probability = probability * small / k
        mean_root += np.sqrt(k + offset) * probability
    exact = 4 * (small + offset) - 4 * np.sqrt(small + offset) * mean_root
    return float(exact.sum() + 0.5 * (mean.size - small.size))
