"""`check`: whether a scan is read with the right axes, order, domain and units, and the settings that correct it."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.beam_trial import BeamTrial, beam_trial
from ptychopinn.api.geometry_candidates import around, described, first_readings
from ptychopinn.api.geometry_trials import Part, Trial, part_of
from ptychopinn.api.inputs import RecipeSource, ScanSource, as_recipe, opened_scan, problems_of
from ptychopinn.api.position_trial import LEAST_ERRORS, LEAST_ERRORS_UNKNOWN, PositionTrial, position_trial
from ptychopinn.api.scan_facts import facts_of
from ptychopinn.api.short_fits import ShortFits
from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.frame import check_one_image
from ptychopinn.data.propagation import with_geometry
from ptychopinn.data.reading import ReadingConvention
from ptychopinn.errors import ScanError

logger = logging.getLogger("ptychopinn.check")

State = Literal["right", "wrong", "unknown"]

BETTER = 0.75
"""A reading is better than another one if it leaves less than this part of what that one leaves unexplained; readings
of which neither is better are called equally good. Exact twins differ by 0.02 at most, with a lens whose aberrations
are not even up to 0.2. Factors of 1.1 on the positions differ by 0.15 and are not tried."""
SURE_SIGMA = 4.0
"""Standard errors of the mean log ratio of what the patterns leave unexplained, by which it must be better."""
FAR_BETTER = 0.5
"""The same where two readings differ in the domain, with no regard to single patterns: amplitudes have less noise than
counts of their size, so that patterns taken for counts may seem better explained than a right model explains them.
Amplitudes read as counts leave 6 to 35 times as much as amplitudes."""
FEWEST_PATTERNS = 8
"""With fewer common patterns two geometries count as equally good."""
FLOOR = 0.02
"""Unexplained part of a pattern that counts as none, in units of the mean."""
SAME_PX = 0.05
"""Positions that differ by less, but for a shift of all, are the same geometry."""
EXPLAINS_LITTLE = 0.85
"""A reading that leaves more than this unexplained is not recommended: wrong ones leave 0.9 to 1.4."""
NOT_YET = 0.5
"""If the best single change leaves more than this, a second change is looked for."""
REFUSED = (
    ReadingConvention(fftshift=True),
    ReadingConvention(scale=1e-3),
    ReadingConvention(scale=1e-6),
    ReadingConvention(scale=1e-9),
)
"""Changes that are tried if the file is refused as it is."""


@dataclass(frozen=True)
class Tried:
    """One reading of the scan that was tried."""

    reading: ReadingConvention
    """As a change of the scan as it was read."""
    name: str
    """In plain words."""
    settings: tuple[str, ...]
    """`data.key=value` texts; empty for the scan as it was read."""
    unexplained: float
    """Part of the structure of the patterns that a short fit leaves unexplained."""
    ratio: float
    """Poisson deviance of that fit over what the counts allow."""
    as_good: bool
    """Whether it is as good as the best one."""


@dataclass(frozen=True)
class Checked:
    """What a check of the geometry of a scan found; plain JSON values."""

    verdict: State
    """`right`: no other reading is better; `wrong`: another one is; `unknown`: none explains the patterns."""
    settings: tuple[str, ...]
    """`data.key=value` texts that mend a wrong reading; empty otherwise."""
    message: str
    """The same in plain words, on one line."""
    trials: tuple[Tried, ...]
    """All readings that were tried, the best first."""
    seconds: float
    """Wall-clock time."""
    problems: tuple[str, ...] = ()
    """What `ptychopinn.info` finds wrong with the scan as it was read, and its positions and its beam where these look
    wrong; one sentence each."""
    positions: PositionTrial | None = None
    """What a short refinement of the positions found; None where the geometry is wrong, or nothing can be said."""
    beam: BeamTrial | None = None
    """What short fits with other beams found; None in the same cases."""

    @property
    def equivalent(self) -> tuple[Tried, ...]:
        """The readings that are as good as the best one; more than one where the patterns cannot tell them apart."""
        return tuple(trial for trial in self.trials if trial.as_good)

    @property
    def conclusion(self) -> str:
        """The message; of a right geometry without how the others compare, as it stands in a verdict."""
        return self.message.partition(";")[0] if self.verdict == "right" else self.message

    def entry(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def check(scan: ScanSource, recipe: RecipeSource = None, *, overrides: Sequence[str] = ()) -> Checked:
    """Try other orientations, orders, domains and units of a scan on some of its patterns, in seconds.

    A scan in memory is checked as it is; `ptychopinn.data.adjust.adjusted` applies the settings that mend it.

    Args:
        scan: a file, or a `Scan`.
        recipe: its `data` section says how the file is read; model and solver are used for short fits.
        overrides: `section.key=value` texts.

    Raises:
        PtychoPINNError: recipe or scan cannot be used in any reading.

    >>> from ptychopinn.api.simulate import simulate
    >>> small = ["simulation.object_size_px=64", "simulation.probe_size_px=32", "simulation.step_px=4"]
    >>> check(simulate(overrides=small).scan).verdict
    'right'
    """
    settings = as_recipe(recipe, overrides)
    data, base = _opened(scan, settings)
    checked = check_scan(data, settings, base, is_file=not isinstance(scan, Scan))
    problems = tuple(problems_of(data, facts_of(data), settings))
    if checked.verdict == "wrong":
        return replace(checked, problems=problems)
    started = time.perf_counter()
    positions, beam, sentences = tried_models(data, settings, checked.verdict)
    for sentence in sentences:
        logger.warning("%s", sentence)
    seconds = checked.seconds + time.perf_counter() - started
    return replace(checked, problems=(*problems, *sentences), positions=positions, beam=beam, seconds=seconds)


def tried_models(
    scan: Scan, recipe: Recipe, geometry: State
) -> tuple[PositionTrial | None, BeamTrial | None, tuple[str, ...]]:
    """What short fits of some patterns with refined positions and with other beams found, and what to say of it.

    Args:
        scan: whose geometry is not wrong.
        recipe: its model and solver.
        geometry: what `check_scan` found; where it is unknown, a better model must gain more.
    """
    least_errors = LEAST_ERRORS if geometry == "right" else LEAST_ERRORS_UNKNOWN
    fits = ShortFits.of(part_of(scan, recipe), with_geometry(recipe, scan))
    if fits is None:
        return None, None, ()
    moved = position_trial(fits)
    is_moved = moved is not None and moved[0].look_wrong(least_errors)
    beam = beam_trial(fits, moved[1] if moved is not None and is_moved else None)
    said = beam.sentence if beam.named and beam.gains[beam.named[0]] > least_errors else None
    if said is not None:  # the beam explains the photons better, so that positions only make up for it
        return (None if moved is None else moved[0]), beam, (said,)
    if moved is None:
        return None, beam, ()
    return moved[0], beam, ((moved[0].sentence,) if is_moved else ())


def check_scan(scan: Scan, recipe: Recipe, base: ReadingConvention | None = None, *, is_file: bool = False) -> Checked:
    """The same for a scan that is open.

    Args:
        scan: what is checked.
        recipe: as for `check`.
        base: how it was read to be readable at all, if the file was refused as it is.
        is_file: whether the settings of `data` have been applied to the scan; those that mend it add to them.
    """
    started = time.perf_counter()
    check_one_image(scan, recipe.model.propagation)
    search = _Search(scan, with_geometry(recipe, scan))
    found = search.best()
    unit = recipe.data if is_file else Recipe().data
    start = base or ReadingConvention()
    equal = search.equal_to(found)
    tried = [_tried(trial, start.then(trial.reading).settings(unit), trial in equal) for trial in search.near]
    tried.sort(key=lambda one: (not one.as_good, len(one.settings) if one.as_good else 0, one.unexplained))
    best, here = tried[0], search.beside(found.reading)
    state: State = "right" if best.settings == () else "wrong"
    if found.unexplained > EXPLAINS_LITTLE:
        state = "unknown"
    message = _message(state, tried, None if base else here)
    mended = best.settings if state == "wrong" else ()
    checked = Checked(state, mended, message, tuple(tried), time.perf_counter() - started)
    logger.info("%s", message)
    return checked


def _tried(trial: Trial, settings: tuple[str, ...], as_good: bool) -> Tried:
    return Tried(trial.reading, described(trial.reading), settings, trial.unexplained, trial.ratio, as_good)


class _Search:
    """Trials of readings, each made once."""

    def __init__(self, scan: Scan, recipe: Recipe) -> None:
        self._scan = scan
        self._parts = {along: part_of(scan, recipe, along) for along in (False, True)}
        self.trials: dict[tuple[ReadingConvention, bool], Trial] = {}
        self._same: list[tuple[_Place, Trial]] = []

    @property
    def near(self) -> list[Trial]:
        """All readings that were tried, on the nearest patterns if they were tried on these."""
        found = {reading: trial for (reading, along), trial in self.trials.items() if along}
        return list((found | {reading: trial for (reading, along), trial in self.trials.items() if not along}).values())

    def beside(self, reading: ReadingConvention) -> Trial:
        """The scan as read, on patterns on which a reading was tried."""
        return self._pair(reading, ReadingConvention())[0][1]

    def best(self) -> Trial:
        """The reading that explains the patterns best, by far better than the scan as read, or that one."""
        current = ReadingConvention()
        for _ in range(2):
            for reading in first_readings(self._scan):
                self._trial(current.then(reading), _is_order(reading))
            better = self._better_than(current)
            if better == current:
                break
            current = better
            if self._trial(current).unexplained < NOT_YET:
                break
        for other in around(current):
            self._trial(other, _is_order(other))
        return self._trial(self._better_than(current))

    def equal_to(self, best: Trial) -> list[Trial]:
        """Readings that the patterns cannot tell from the best one."""
        return [trial for trial in self.near if trial is best or not self._is_better(best.reading, trial.reading)]

    def _better_than(self, current: ReadingConvention) -> ReadingConvention:
        """The best of the readings that are better than another one, or that one."""
        better = [trial.reading for trial in self.near if self._is_better(trial.reading, current)]
        return min(better, key=lambda one: self._relative(one, current), default=current)

    def _trial(self, reading: ReadingConvention, along: bool = False) -> Trial:
        known = self.trials.get((reading, along))
        if known is None:
            known = self._trial_once(reading, along)
            self.trials[reading, along] = known
        return known

    def _trial_once(self, reading: ReadingConvention, along: bool) -> Trial:
        part = self._parts[along]
        place = _Place.of(part, reading)
        known = [trial for other, trial in self._same if place.is_same(other)]
        trial = known[0] if known else part.trial(reading)
        if not known:
            self._same.append((place, trial))
        return replace(trial, reading=reading)

    def _pair(self, one: ReadingConvention, other: ReadingConvention) -> list[tuple[Trial, Trial]]:
        """Trials of two readings on the same patterns."""
        places = [along for along in (False, True) if (one, along) in self.trials and (other, along) in self.trials]
        places = places or [along for reading, along in self.trials if reading == one]
        return [(self._trial(one, along), self._trial(other, along)) for along in places]

    def _relative(self, one: ReadingConvention, other: ReadingConvention) -> float:
        return max(a.unexplained / max(b.unexplained, 1e-9) for a, b in self._pair(one, other))

    def _is_better(self, one: ReadingConvention, other: ReadingConvention) -> bool:
        if one == other:
            return False
        return all(
            a.unexplained < EXPLAINS_LITTLE and (is_far_better(a, b) or _is_surely_better(a, b))
            for a, b in self._pair(one, other)
        )


def surely_less(one: Trial, other: Trial) -> bool:
    """Whether a trial leaves less unexplained than another one of the patterns of both: by the mean of log ratios."""
    common, first, second = np.intersect1d(one.numbers, other.numbers, return_indices=True)
    if len(common) < FEWEST_PATTERNS:
        return False
    floor = FLOOR * other.by_pattern.mean()
    ratios = np.log(np.maximum(one.by_pattern[first], floor) / np.maximum(other.by_pattern[second], floor))
    return bool(-ratios.mean() > SURE_SIGMA * ratios.std() / len(common) ** 0.5)


def _is_surely_better(one: Trial, other: Trial) -> bool:
    return one.unexplained < BETTER * other.unexplained and surely_less(one, other)


def is_far_better(one: Trial, other: Trial) -> bool:
    """The same of readings in different domains."""
    differ = one.reading.domain != other.reading.domain
    return differ and one.unexplained < FAR_BETTER * other.unexplained


def _is_order(reading: ReadingConvention) -> bool:
    """Whether a reading changes which pattern belongs to which position."""
    return reading.shift != 0 or reading.reverse


@dataclass(frozen=True, eq=False)
class _Place:
    """What a fit depends on."""

    changes: tuple[Any, ...]
    """Of patterns and probe."""
    part: Part
    positions_px: NDArray[np.float64]
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, part: Part, reading: ReadingConvention) -> "_Place":
        """Of a part under a reading."""
        changes = reading.patterns, reading.conjugate, reading.domain, reading.fftshift
        return cls(changes, part, *part.placed(reading))

    def is_same(self, other: "_Place") -> bool:
        """Whether the positions are the same but for a shift of all; a pattern at an end may have none."""
        if self.changes != other.changes or self.part is not other.part:
            return False
        common, mine, theirs = np.intersect1d(self.numbers, other.numbers, return_indices=True)
        if len(common) < 0.9 * len(other.numbers):
            return False
        apart = self.positions_px[mine] - other.positions_px[theirs]
        return bool(np.ptp(apart, axis=0).max() < SAME_PX)


def _opened(source: ScanSource, recipe: Recipe) -> tuple[Scan, ReadingConvention | None]:
    """The scan, and how it had to be read where it is refused as the settings say."""
    try:
        return opened_scan(source, recipe), None
    except ScanError as refusal:
        if isinstance(source, Scan):
            raise
        now = ReadingConvention.of(recipe.data)
        for change in REFUSED:
            try:
                data = now.then(change).on(recipe.data)
                return opened_scan(source, recipe.changed(data=data)), change
            except ScanError:
                continue
        raise refusal from None


def _message(state: State, tried: list[Tried], here: Trial | None) -> str:
    """One line.

    Args:
        state: what was found.
        tried: all readings, the best first.
        here: the scan as read; None if it cannot be read so.
    """
    best, equal = tried[0], [one for one in tried if one.as_good]
    number = f"{len(tried)} geometries were tried on a part of the patterns"
    good = f"explains {_percent(1 - best.unexplained)} of their structure"
    if state == "unknown":
        return (
            f"{number}, and none explains them: the best one {good}; there are too few photons or patterns, or the "
            "probe or the positions are wrong, or several settings are"
        )
    text = f"{number}: the geometry is right as read, which {good}"
    if state == "wrong":
        options = " ".join(f"--set {setting}" for setting in best.settings)
        before = "as given it cannot be read" if here is None else f"as read {_percent(1 - here.unexplained)}"
        text = f"{number}: the geometry is wrong. Read the scan with {options} ({best.name}), which {good}; {before}"
    others = [one for one in tried if not one.as_good and one.settings]
    if others:
        least = min(one.unexplained for one in others)
        text += f"; the {len(others)} worse changes explain {_percent(1 - least)} at most"
    if len(equal) > 1:
        named = "; ".join(f"{one.name} ({' '.join(one.settings) or 'no change'})" for one in equal[1:])
        text += f". These {len(equal)} geometries fit equally well: {best.name}; {named}"
    return text


def _percent(part: float) -> str:
    return f"{100 * max(part, 0.0):.0f} %"
