r"""Whether the beam of a scan varies from pattern to pattern, or the sample moves during an exposure.

Short fits of some patterns with a probe that varies, with the path of a fly scan, and with a second mode of a beam that
is not coherent, are compared by withheld photons. Each of the three can make up for a part of the others, so that one
is named only where it explains these photons best.

The path lies along the line from each position to the next one. The patterns depend on its length L by the variance
\(s = L^2 / 12\) of the position during an exposure, and the deviance D of the withheld photons is close to a parabola
in s. Fits with no path and two lengths give the s of its minimum.
"""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.api.short_fits import Fitted, ShortFits
from ptychopinn.physics.fly import ExposurePath
from ptychopinn.solver import with_mode
from ptychopinn.solver.probe_modes import LEAST_POWER as LEAST_MODE_POWER

Kind = Literal["probe_relaxation", "fly_path", "probe_modes"]

LEAST_ERRORS = 3.0
"""Standard errors by which withheld photons must be explained better than by the plain fit."""
SURE_ERRORS = 2.0
"""The same than by the other fits; below it the second best is named too."""
LEAST_POWER = 0.01
"""Part of the photons in the varying part of the probe."""
LEAST_PATH_PX = 1.0
TRIED_PATHS = (0.5, 1.0)
"""Lengths in units of the step from a position to the next one. A stage that never stops moves by one step."""
STEPS = 3
"""Points of the path in these fits; they have the variance of a path that is shorter by a factor of (1 - 1/9)^0.5."""
STRAIGHT = 0.7
"""Length of the mean of \\(e^{2 i \\phi}\\) over the directions of the steps, from which they follow lines."""
FAR_STEPS = 2.0
"""Steps longer than this, in units of the median, lead to another line."""
PX_PER_STEP = 2.0
"""Longest part of a path for one point; the default of five `model.fly_steps` serves for five times as much."""


@final
@dataclass(frozen=True)
class _Advice:
    """Parts of a sentence on one beam."""

    fault: str
    """What looks wrong."""
    remedy: str
    condition: str
    """The fault after "if"."""
    options: str
    """Of the command line."""


@final
@dataclass(frozen=True)
class BeamTrial:
    """What short fits with other beams found; plain JSON values."""

    patterns: int
    gains: dict[Kind, float]
    """`probe_relaxation`, `fly_path`, `probe_modes` -> standard errors by which withheld photons are explained better;
    below 0 they are explained worse. What was not tried is missing."""
    named: tuple[Kind, ...] = ()
    """What explains the withheld photons, the best first; more than one where they do so equally well."""
    varying_power: float | None = None
    """Part of the photons in the varying part of the probe."""
    mode_power: float | None = None
    """Part of the photons in a second mode."""
    path_px: tuple[float, float] | None = None
    """(dy, dx) of an exposure; its sign is not known."""

    @property
    def sentence(self) -> str | None:
        """What is wrong, the evidence, and what to do; None where nothing is named."""
        if not self.named:
            return None
        evidence = (
            f"a fit of {self.patterns} patterns with this explains withheld photons better, by "
            f"{self.gains[self.named[0]]:.3g} standard errors"
        )
        first, *others = (self._advice(kind) for kind in self.named)
        text = f"{first.fault}: {evidence}; {first.remedy} ({first.options})."
        alike = " or ".join(f"{one.condition} ({one.options})" for one in others)
        return text + (f" The photons are explained equally well if {alike}." if others else "")

    def _advice(self, kind: Kind) -> "_Advice":
        if kind == "probe_relaxation":
            return _Advice(
                f"The shape of the beam seems to vary from pattern to pattern, by {self.varying_power:.1%} of its "
                "photons",
                "let the probe vary",
                "the shape of the beam varies",
                "--set reconstruction.refine.probe_relaxation=1",
            )
        if kind == "probe_modes":
            return _Advice(
                f"The beam seems to be partially coherent, with {self.mode_power:.1%} of its photons in a second mode",
                "use more probe modes",
                "the beam is partially coherent",
                "--set reconstruction.refine.probe_modes=auto",
            )
        assert self.path_px is not None
        length = float(np.hypot(*self.path_px))
        steps = f" --set model.fly_steps={int(np.ceil(length / PX_PER_STEP))}" if length > 5 * PX_PER_STEP else ""
        option = f"--set model.fly_path_px=[{self.path_px[0]:.2g},{self.path_px[1]:.2g}]{steps}"
        return _Advice(
            f"The sample seems to move during an exposure (a fly scan), by about {length:.2g} px along "
            f"{_direction(self.path_px)}",
            "give its path",
            f"the sample moves by {length:.2g} px during an exposure",
            option,
        )


def beam_trial(fits: ShortFits, positions: Fitted | None = None) -> BeamTrial:
    """Compare fits with other beams.

    Args:
        fits: of some patterns.
        positions: the fit with refined positions, where these look wrong: a beam is then named only if it explains the
            photons better.
    """
    made: dict[Kind, Fitted] = {}
    varying_power = mode_power = path = None
    config = fits.trials.config
    if config.object and config.probe and config.probe_relaxation == 0:
        found = fits.fitted(fits.trials.changed(probe_relaxation=1))
        if found is not None:
            varying_power = sum(found.image.relaxation_powers)
            made["probe_relaxation"] = found
    moving = _path_fit(fits)
    if moving is not None:
        made["fly_path"], path = moving
    is_any = any(fits.gain(one) > LEAST_ERRORS for one in made.values())
    if is_any and config.probe and len(fits.trials.start.probe) == 1:
        trials = fits.trials.begun_with(with_mode(fits.trials.start, 2))
        found = fits.fitted(trials)
        if found is not None:
            powers = np.square(np.abs(found.image.probe), dtype=np.float64).sum((-2, -1))
            mode_power = float(powers.min() / powers.sum())
            made["probe_modes"] = found
    gains = {kind: fits.gain(one) for kind, one in made.items()}
    enough = {
        "probe_relaxation": (varying_power or 0) > LEAST_POWER,
        "probe_modes": (mode_power or 0) >= LEAST_MODE_POWER,
        "fly_path": path is not None and float(np.hypot(*path)) > LEAST_PATH_PX,
    }
    named = _named(fits, {kind: one for kind, one in made.items() if enough[kind]}, positions)
    return BeamTrial(fits.patterns, gains, named, varying_power, mode_power, path)


def _named(fits: ShortFits, made: dict[Kind, Fitted], positions: Fitted | None) -> tuple[Kind, ...]:
    """The best of the fits, and those that are as good; none where another one of the fits is as good as the best."""
    better = [kind for kind, one in made.items() if fits.gain(one) > LEAST_ERRORS]
    if not better:
        return ()
    better.sort(key=lambda kind: float(made[kind].deviance.sum()))
    best = made[better[0]]
    if positions is not None and fits.gain(best, positions) < SURE_ERRORS:
        return ()
    return tuple(kind for kind in better if kind == better[0] or fits.gain(best, made[kind]) < SURE_ERRORS)


def _path_fit(fits: ShortFits) -> tuple[Fitted, tuple[float, float]] | None:
    """The better of the fits with a path, and the path by the parabola of their deviances."""
    start, model = fits.trials.start, fits.trials.model
    if model.path is not None or not model.propagator.is_fourier:
        return None
    step = scan_step_px(start.positions_px)
    if step is None:
        return None
    tried: list[tuple[float, Fitted]] = []
    for part in TRIED_PATHS:
        y, x = (float(part * side / (1 - 1 / STEPS**2) ** 0.5) for side in step)
        found = fits.fitted(fits.trials.along(ExposurePath((y, x), STEPS)))
        if found is None:
            break
        tried.append((part, found))
        if fits.gain(found) < -LEAST_ERRORS:
            break
    if not tried:
        return None
    part = _best_part(fits.plain, tried)
    _, best = min(tried, key=lambda one: float(one[1].deviance.sum()))
    return best, (round(float(part * step[0]), 2) + 0.0, round(float(part * step[1]), 2) + 0.0)


def _best_part(plain: Fitted, tried: list[tuple[float, Fitted]]) -> float:
    """Length of the path, in units of the step, at the minimum of the parabola in its square."""
    if len(tried) < len(TRIED_PATHS):
        return tried[0][0]
    squares = np.array([0.0, *(part**2 for part, _ in tried)])
    sums = [float(one.deviance.sum()) for one in (plain, *(one for _, one in tried))]
    bend, slope, _ = np.polyfit(squares, sums, 2)
    longest = 1.5 * squares[-1]
    if bend <= 0:
        return float(np.sqrt(longest if sums[-1] < sums[0] else 0.0))
    return float(np.sqrt(np.clip(-slope / (2 * bend), 0.0, longest)))


def scan_step_px(positions_px: NDArray[np.float64]) -> tuple[float, float] | None:
    """(dy, dx), from a position to the next one along a line of the scan; None where the steps follow no line.

    >>> raster = np.array([[y, x] for y in range(0, 12, 4) for x in range(0, 30, 3)], float)
    >>> scan_step_px(raster)
    (0.0, 3.0)
    """
    steps = np.diff(positions_px, axis=0)
    if len(steps) == 0:
        return None
    lengths = np.hypot(*steps.T)
    steps = steps[(lengths > 0) & (lengths < FAR_STEPS * max(float(np.median(lengths)), 1e-12))]
    if len(steps) == 0:
        return None
    twice = (steps[:, 1] + 1j * steps[:, 0]) ** 2
    mean = (twice / np.abs(twice)).mean()
    if abs(mean) < STRAIGHT:
        return None
    angle = float(np.angle(mean)) / 2
    along = np.array([np.sin(angle), np.cos(angle)])
    length = float(np.median(np.abs(steps @ along)))
    return float(length * along[0]) + 0.0, float(length * along[1]) + 0.0


def _direction(path_px: tuple[float, float]) -> str:
    """In words.

    >>> _direction((0.1, 4.0)), _direction((2.0, -2.0))
    ('x', 'a line at 45 degrees to x')
    """
    degrees = float(np.degrees(np.arctan2(path_px[0], path_px[1]))) % 180
    tilt = min(degrees, 180 - degrees)
    return "x" if tilt < 10 else "y" if tilt > 80 else f"a line at {tilt:.0f} degrees to x"
