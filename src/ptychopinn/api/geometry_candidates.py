"""Which readings of a scan are worth a trial, and their names in plain words."""

import numpy as np

from ptychopinn.data import Scan
from ptychopinn.data.adjust import LENGTHS_M
from ptychopinn.data.masks import masks_of
from ptychopinn.data.reading import EIGHT, Axes, ReadingConvention
from ptychopinn.data.start_probe import median_step_px, rms_diameter_px

PLAUSIBLE_STEP = (0.03, 1.0)
"""Step between neighbouring positions over the rms diameter of the beam; scans are planned with 0.1 to 0.5."""
NEARBY = (0.5, 0.8, 1.25, 2.0)
"""Factors of a wrong pixel, of binned detectors, of wrong energies or distances."""
POWERS = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)
"""Factors between units of length."""
STEPS = (0.1, 0.14, 0.2, 0.28, 0.4, 0.57)
"""Steps over the diameter that are tried where no unit gives a plausible one."""
TWIN = ReadingConvention(Axes(False, True, True), conjugate=True)
"""Positions and phase reversed: the same patterns, of the object turned by 180 degrees and conjugated, under a probe
that is the same when it is turned by 180 degrees."""
AMBIGUOUS = 10
"""Whole numbers no larger than this may as well be amplitudes."""


def first_readings(scan: Scan) -> list[ReadingConvention]:
    """Single changes of a scan, the first of which is none."""
    found = [ReadingConvention(axes) for axes in EIGHT]
    found += [TWIN, ReadingConvention(conjugate=True), ReadingConvention(fftshift=True)]
    found += [ReadingConvention(scale=factor) for factor in factors(scan)]
    found += [ReadingConvention(shift=1), ReadingConvention(shift=-1), ReadingConvention(reverse=True)]
    if may_be_other_domain(scan):
        found.append(ReadingConvention(domain="counts" if scan.domain == "amplitude" else "amplitude"))
    return found


def around(reading: ReadingConvention) -> list[ReadingConvention]:
    """Readings that may be as good as one that is good: its twin, the patterns changed in place of the positions."""
    found = [reading.then(TWIN), reading.then(ReadingConvention(conjugate=True))]
    if reading.positions != Axes():
        inverse = next(axes for axes in EIGHT if reading.positions.then(axes) == Axes())
        found.append(reading.then(ReadingConvention(inverse, patterns=inverse)))
    if reading.shift:
        found += [reading.then(ReadingConvention(shift=1)), reading.then(ReadingConvention(shift=-1))]
    return [one for one in found if one != ReadingConvention()]


def factors(scan: Scan) -> list[float]:
    """Factors on the positions under which neighbouring beams overlap as in a scan that somebody has planned."""
    step = median_step_px(scan.positions_px)
    powers = np.square(np.abs(scan.probe.astype(np.complex128))).sum(axis=0)
    relative = step / rms_diameter_px(powers)
    if relative == 0:
        return []
    low, high = PLAUSIBLE_STEP
    tried = [*NEARBY, *POWERS]
    if scan.pixel_size_m is not None:
        tried += [unit / scan.pixel_size_m for unit in LENGTHS_M.values()]
        tried += [scan.pixel_size_m / unit for unit in LENGTHS_M.values()]
    good = [factor for factor in tried if low <= relative * factor <= high]
    return good or [wanted / relative for wanted in STEPS]


def may_be_other_domain(scan: Scan) -> bool:
    """Whether the values may be the other of counts and amplitudes: whole numbers are counts, their roots are not."""
    some = slice(None, None, max(1, len(scan) // 16))
    values = np.asarray(scan.patterns[some], np.float64)
    if scan.bad_pixels is not None:
        values = values[np.broadcast_to(~masks_of(scan.bad_pixels, some), values.shape)]
    squares = np.square(values)
    whole = bool((values == np.rint(values)).all()) and values.max(initial=0) > AMBIGUOUS
    squares_whole = bool((np.abs(squares - np.rint(squares)) <= 1e-5 * (1 + squares)).all())
    if scan.domain == "counts":
        return not whole
    return whole or not squares_whole


def described(reading: ReadingConvention) -> str:
    """A reading in plain words.

    >>> described(ReadingConvention()), described(TWIN)
    ('as read', 'positions reversed along x and y, probe conjugated')
    """
    parts = [
        *_axes("positions", reading.positions, ("y", "x")),
        *_axes("patterns", reading.patterns, ("rows", "columns")),
    ]
    if reading.reverse:
        parts.append("positions in the reverse order")
    if reading.shift:
        parts.append(f"pattern n paired with position n {'+' if reading.shift > 0 else '-'} {abs(reading.shift)}")
    if reading.conjugate:
        parts.append("probe conjugated")
    if reading.scale != 1:
        parts.append(f"positions times {reading.scale:.4g}")
    if reading.domain is not None:
        parts.append(f"patterns as {reading.domain}")
    if reading.fftshift:
        parts.append("zero frequency moved from the corner to the centre")
    return ", ".join(parts) or "as read"


def _axes(what: str, axes: Axes, names: tuple[str, str]) -> list[str]:
    flipped = [name for name, wanted in ((names[1], axes.columns), (names[0], axes.rows)) if wanted]
    swapped = ["x and y exchanged" if what == "positions" else "transposed"] * axes.swap
    reversed_ = [f"{'reversed along' if what == 'positions' else 'reversed in'} {' and '.join(flipped)}"] * bool(
        flipped
    )
    words = " and ".join([*swapped, *reversed_])
    return [f"{what} {words}"] if words else []
