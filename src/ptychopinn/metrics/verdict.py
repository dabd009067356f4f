r"""Whether an image explains the patterns that it was made from: a verdict in plain words.

\[ r = D / D_0, \qquad e = 1 - \frac{D - D_0}{D_1 - D_0} \]

D is the Poisson deviance of the measured patterns under the image, \(D_0\) what the counts allow (that of a perfect
model), \(D_1\) the deviance if every pattern were the mean pattern. r grows with the dose for the same error of the
image; e, the part of the structure that the image explains, does not.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ptychopinn.metrics.fit_causes import Cause, Course, PatternFit, PixelFit, course, pattern_fit, pixel_fit
from ptychopinn.metrics.fit_sums import FitSums, Floats

Level = Literal["fits", "fits in part", "does not fit"]
Maker = Literal["solver", "network"]

GOOD_RATIO = 1.5
"""Largest ratio of an image that fits. Solver images of right scans have 1.1 to 1.4 up to 1e6 photons."""
BAD_RATIO = 10.0
"""Ratio that is always worth a warning."""
GOOD_EXPLAINED = 0.8
"""Least part of the structure that an image explains that fits. Right scans have 0.9 and more."""
BAD_EXPLAINED = 0.6
"""Part of the structure below which an image does not fit, if it does not have a good ratio. Flipped, swapped and
shifted positions give 0.2 to 0.6 at 1e4 to 1e7 photons. At 1e3 photons a smooth image explains little and yet fits."""
NOT_QUITE = 0.9
"""The same where the ratio is bad too."""
LEAST_STRUCTURE = 0.1
"""Excess of the mean pattern, in units of what the counts allow, below which the patterns differ too little to ask."""


@dataclass(frozen=True)
class Verdict:
    """How well an image explains its patterns, and what is the matter if it does not; plain JSON values."""

    level: Level
    ratio: float
    """Poisson deviance over what the counts allow: about 1 for a perfect model."""
    explained: float | None
    """Part of the structure of the patterns that the image explains: 1 is all, 0 as little as the mean pattern. None
    where the patterns differ too little from each other."""
    patterns: PatternFit
    pixels: PixelFit
    course: Course
    causes: tuple[Cause, ...]
    """The likely causes of a misfit, the largest first."""
    checked: str | None = None
    """What `ptychopinn check` found on this scan, where the fit was bad; see `with_check`."""

    @property
    def message(self) -> str:
        """The verdict in plain words, on one line."""
        text = f"the image {_IN_WORDS[self.level]}: the deviance is {self.ratio:.3g} times what the counts allow"
        if self.explained is not None:
            text += f", {_percent(self.explained)} of the structure is explained"
        sentences = [text, *(f"{cause.what}; {cause.advice}" for cause in self.causes)]
        if self.level == "fits in part" and not self.causes:
            sentences.append(_MORE if self.ratio > GOOD_RATIO else _UNDECIDED)
        return ". ".join([*(_capital(one) for one in sentences), *([self.checked] if self.checked else [])])

    @property
    def is_warning(self) -> bool:
        """Whether a person has to know it before using the image."""
        doubtful = self.ratio > BAD_RATIO or bool(self.causes)
        return self.level == "does not fit" or (self.level == "fits in part" and doubtful)

    @property
    def heading(self) -> str:
        """A few words for a figure."""
        return f"{self.level}: deviance {self.ratio:.3g} times what the counts allow"

    def with_check(self, found: str) -> "Verdict":
        """The same with the sentence of a check of the scan."""
        return replace(self, checked=found)

    def entry(self) -> dict[str, Any]:
        """The entry `verdict` of `metrics.json`."""
        return {**asdict(self), "message": self.message}


_MORE = (
    "the image may gain from more iterations (reconstruction.refine.iterations=100), refined positions (positions=true "
    "there), probe modes (probe_modes=auto) or a probe that varies from pattern to pattern (probe_relaxation=1)"
)
_UNDECIDED = "the photons are too few to confirm the geometry; `ptychopinn check` compares it with others"
_IN_WORDS = {
    "fits": "fits the patterns",
    "fits in part": "fits the patterns only in part",
    "does not fit": "DOES NOT FIT the patterns",
}


def verdict_of(sums: FitSums, maker: Maker = "solver", positions_px: Floats | None = None) -> Verdict:
    """The verdict on an image.

    Args:
        sums: of all patterns, in the order of the scan.
        maker: what made the image; it decides the advice.
        positions_px: (N, 2), which help to distinguish a drift from the rim of a scan.
    """
    by_pattern = sums.patterns
    deviance, allowed = float(by_pattern.deviance.sum()), max(float(by_pattern.allowed.sum()), 1e-12)
    ratio = deviance / allowed
    structure = float(by_pattern.of_mean.sum()) - allowed
    explained = None if structure < LEAST_STRUCTURE * allowed else 1 - (deviance - allowed) / structure
    patterns, single, flicker = pattern_fit(sums)
    pixels, broken, background = pixel_fit(sums, explained)
    along, drift = course(sums, flicker is not None, positions_px)
    is_good = ratio <= GOOD_RATIO and (explained is None or explained >= GOOD_EXPLAINED)
    special = [cause for cause in (single, broken, background, flicker) if cause is not None]
    if drift is not None and not is_good:
        special.append(drift)
    level = _level(ratio, explained, bool(special))
    others = [cause for cause in special if cause.kind != "drift"]
    is_vague = ratio > GOOD_RATIO and explained is not None and explained < NOT_QUITE and not others
    if (level == "does not fit" and sum(cause.share for cause in others) < 0.5) or (level != "fits" and is_vague):
        if level == "does not fit" and explained is not None and explained < BAD_EXPLAINED:
            # a wrong image misfits at any pixel, and in the sum of any pattern
            special = [cause for cause in special if cause.kind not in ("pixels", "flicker")]
        special.insert(0, _model(explained, maker))
    causes = tuple(sorted(special, key=lambda cause: -cause.share))
    return Verdict(level, ratio, explained, patterns, pixels, along, causes)


def _level(ratio: float, explained: float | None, any_cause: bool) -> Level:
    part = 1.0 if explained is None else explained
    is_bad = part < BAD_EXPLAINED and ratio > GOOD_RATIO
    if is_bad or (ratio > BAD_RATIO and (explained is None or explained < NOT_QUITE)):
        return "does not fit"
    return "fits" if ratio <= GOOD_RATIO and part >= GOOD_EXPLAINED and not any_cause else "fits in part"


def _model(explained: float | None, maker: Maker) -> Cause:
    """Nearly all patterns are wrong."""
    short, longer = (
        ("the network was trained too little", "refine the image (reconstruction.refine.iterations=50)")
        if maker == "network"
        else ("the run was too short", "take more iterations (reconstruction.refine.iterations=100)")
    )
    if explained is not None and explained >= BAD_EXPLAINED:
        what = (
            f"nearly all patterns are explained in part: {short}, positions have errors or another unit, or the beam "
            "is partially coherent"
        )
        advice = (
            f"{longer}, refine positions (reconstruction.refine.positions=true), use more modes (model.probe.modes=3), "
            "or run `ptychopinn check` on the scan"
        )
        return Cause("model", 1.0, what, advice)
    what = (
        "nearly all patterns are explained badly: axes, signs, order or unit of the positions, or the probe, are "
        f"wrong, or {short}"
    )
    return Cause("model", 1.0, what, f"run `ptychopinn check` on the scan; else {longer}")


def _percent(part: float) -> str:
    return f"{100 * max(part, 0.0):.3g} %"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
