"""The verdict on a fit: level and cause of faults that are put into counts whose expectation is known."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ptychopinn.metrics.fit_causes import slow_part
from ptychopinn.metrics.fit_sums import FitSums
from ptychopinn.metrics.verdict import Verdict, verdict_of

N, SIZE = 60, 32
Patterns = NDArray[np.float64]


def speckle(seed: int, photons: float) -> Patterns:
    """(N, SIZE, SIZE): expected photons, developed speckle below a smooth envelope that is dim at the rim."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    envelope = np.exp(-(y**2 + x**2) / (2 * 5.0**2)) + 1e-3
    waves = rng.standard_normal((2, N, SIZE, SIZE))
    intensity = envelope * np.square(waves).sum(0)
    return np.asarray(intensity * photons / intensity.sum((1, 2)).mean())


def judged(counts: Patterns, expected: Patterns, measured: NDArray[np.bool_] | None = None) -> Verdict:
    sums = FitSums(counts.mean(0))
    for start in range(0, len(counts), 7):  # the last batch is smaller
        run = slice(start, start + 7)
        sums.add(counts[run], expected[run], measured if measured is None or measured.ndim == 2 else measured[run])
    return verdict_of(sums)


def kinds(verdict: Verdict) -> list[str]:
    return [cause.kind for cause in verdict.causes]


@pytest.mark.parametrize("photons", [1e3, 1e4, 1e6, 1e8])
def test_counts_of_the_model_itself_fit(photons: float) -> None:
    expected = speckle(3100, photons)
    verdict = judged(np.random.default_rng(0).poisson(expected).astype(float), expected)
    assert (verdict.level, verdict.causes, verdict.is_warning) == ("fits", (), False)
    assert verdict.ratio == pytest.approx(1, abs=0.02)
    assert verdict.explained is not None
    assert verdict.explained == pytest.approx(1, abs=0.05)


def test_batches_do_not_matter() -> None:
    expected = speckle(3101, 1e4)
    counts = np.random.default_rng(2).poisson(expected).astype(float)
    whole = FitSums(counts.mean(0))
    whole.add(counts, expected)
    one, other = verdict_of(whole).entry(), judged(counts, expected).entry()
    assert one["ratio"] == pytest.approx(other["ratio"], rel=1e-12)
    assert one["patterns"]["worst_pattern"] == other["patterns"]["worst_pattern"]
    assert one["pixels"]["worst_ratio"] == pytest.approx(other["pixels"]["worst_ratio"], rel=1e-9)


def test_masked_pixels_do_not_count() -> None:
    expected = speckle(3102, 1e5)
    counts = np.random.default_rng(3).poisson(expected).astype(float)
    bad = np.zeros((SIZE, SIZE), bool)
    bad[10:12, :] = True
    broken = np.where(bad, 0, counts)
    assert kinds(judged(broken, expected)) == ["pixels"]
    for mask in (~bad, np.broadcast_to(~bad, counts.shape)):
        assert judged(broken, expected, np.asarray(mask)).level == "fits"


def other_patterns(counts: Patterns, rng: np.random.Generator) -> Patterns:
    """Patterns of other places: every second one is that of the next position."""
    return np.where(np.arange(N)[:, None, None] % 2 == 0, counts, np.roll(counts, 1, 0))


def outlying(counts: Patterns, rng: np.random.Generator) -> Patterns:
    changed = counts.copy()
    changed[[7, 31]] = counts[[20, 50]]
    return changed


def gap(counts: Patterns, rng: np.random.Generator) -> Patterns:
    changed = counts.copy()
    changed[:, :, 13] = 0
    changed[:, 20, 5] += 40 * counts.mean()
    return changed


def flicker(counts: Patterns, rng: np.random.Generator) -> Patterns:
    return np.asarray(rng.binomial(counts.astype(int), rng.uniform(0.6, 1.0, N)[:, None, None]), float)


@pytest.mark.parametrize("photons", [1e4, 1e5, 1e6])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [(np.roll, "model"), (other_patterns, "model"), (outlying, "patterns"), (gap, "pixels"), (flicker, "flicker")],
)
def test_a_fault_is_named(photons: float, fault: Callable[..., Patterns], kind: str) -> None:
    expected = speckle(3103, photons)
    rng = np.random.default_rng(4)
    counts = rng.poisson(expected).astype(float)
    faulty = np.roll(counts, 1, 0) if fault is np.roll else fault(counts, rng)
    verdict = judged(faulty, expected)
    assert kinds(verdict)[0] == kind
    assert verdict.is_warning
    assert verdict.level == ("does not fit" if kind == "model" else verdict.level)


def test_no_pixels_are_blamed_under_a_wrong_model() -> None:
    """Those misfit anywhere; a true gap is named once the geometry is right."""
    expected = speckle(3103, 1e5)
    rng = np.random.default_rng(4)
    counts = gap(rng.poisson(expected).astype(float), rng)
    assert "pixels" in kinds(judged(counts, expected))
    assert kinds(judged(np.roll(counts, 1, 0), expected)) == ["model"]


def test_no_flicker_is_blamed_where_the_image_is_unfinished() -> None:
    """The sums of its patterns are wrong, too; a true flicker is named where the image fits otherwise."""
    expected = speckle(3103, 1e5)
    rng = np.random.default_rng(4)
    counts = rng.poisson(expected).astype(float)
    assert kinds(judged(flicker(counts, rng), expected)) == ["flicker"]
    unfinished = (0.6 * expected.mean(0) + 0.4 * expected) * np.random.default_rng(4).uniform(0.3, 1.7, (N, 1, 1))
    verdict = judged(counts, unfinished)
    assert kinds(verdict) == ["model"]
    assert verdict.patterns.flicker > 0.3


def test_which_patterns_and_pixels() -> None:
    expected = speckle(3104, 1e5)
    rng = np.random.default_rng(5)
    counts = rng.poisson(expected).astype(float)
    assert judged(outlying(counts, rng), expected).patterns.outlying == (7, 31)
    pixels = judged(gap(counts, rng), expected).pixels
    assert (pixels.columns, pixels.rows, pixels.outlying) == ((13,), (), ((20, 5),))


@pytest.mark.parametrize("photons", [1e5, 1e6])
def test_a_background_is_named_with_its_level(photons: float) -> None:
    """Where the model has taken up half of it as noise."""
    expected = speckle(3105, photons)
    rng = np.random.default_rng(6)
    level = 0.02 * expected.mean()
    absorbed = expected + level * rng.exponential(0.5, expected.shape)
    verdict = judged(rng.poisson(expected + level).astype(float), absorbed)
    assert kinds(verdict) == ["background"]
    assert verdict.pixels.background_photons == pytest.approx(level, rel=0.4)


def test_a_fit_that_becomes_worse_along_the_scan() -> None:
    expected = speckle(3106, 1e5)
    rng = np.random.default_rng(7)
    counts = rng.poisson(expected).astype(float)
    error = np.linspace(0, 0.6, N)[:, None, None] * rng.standard_normal(expected.shape)
    verdict = judged(counts, expected * np.exp(error))
    assert "drift" in kinds(verdict)
    assert verdict.course.ratio[-1] > 3 * verdict.course.ratio[0]


def test_the_rim_of_a_spiral_is_no_drift_and_a_drift_of_a_raster_is_one() -> None:
    index = np.arange(N, dtype=np.float64)
    spiral = np.sqrt(index)[:, None] * np.stack([np.sin(2.4 * index), np.cos(2.4 * index)], axis=1)
    raster = np.stack(np.divmod(index, 8), axis=1)
    assert slow_part(index) > 0.99
    assert slow_part(index, spiral) < 0.05
    assert slow_part(index, raster) > 0.95


def test_a_pattern_that_is_nearly_explained_is_not_outlying() -> None:
    """As at the rim of a scan of many photons: far above the others, and yet 95 % of its structure is explained."""
    expected = speckle(3108, 1e7)
    rng = np.random.default_rng(8)
    counts = rng.poisson(expected).astype(float)
    imperfect = expected.copy()
    imperfect[3] *= np.exp(0.15 * rng.standard_normal(expected.shape[1:]))
    verdict = judged(counts, imperfect)
    assert verdict.patterns.worst_pattern == 3
    assert verdict.patterns.worst_ratio > 10
    assert verdict.causes == ()


@pytest.mark.parametrize(("error", "causes"), [(0.5, ["model"]), (0.2, [])])
def test_a_fit_in_part_has_a_cause_or_says_what_may_help(error: float, causes: list[str]) -> None:
    expected = speckle(3109, 2e4)
    rng = np.random.default_rng(9)
    counts = rng.poisson(expected).astype(float)
    verdict = judged(counts, expected * np.exp(error * rng.standard_normal(expected.shape)))
    assert (verdict.level, kinds(verdict), verdict.is_warning) == ("fits in part", causes, bool(causes))
    assert verdict.ratio > 1.5
    assert ("The image may gain from more iterations" in verdict.message) == (not causes)


def test_entry_is_plain_json() -> None:
    expected = speckle(3107, 1e4)
    verdict = judged(np.roll(expected, 1, 0), expected).with_check("Try another axis")
    entry = json.loads(json.dumps(verdict.entry()))
    assert entry["level"] == "does not fit"
    assert entry["message"].startswith("The image DOES NOT FIT the patterns")
    assert entry["message"].endswith("Try another axis")


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="as large as the mean"):
        FitSums(np.ones((4, 4))).add(np.ones((2, 4, 5)), np.ones((2, 4, 5)))
