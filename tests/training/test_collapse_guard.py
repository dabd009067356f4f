"""Images that have collapsed are told from samples that have no amplitude or no phase, at high and at low dose."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.collapse import Collapse, is_wanted
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.training import fit_prepared, judge, prepare
from ptychopinn.training.collapse import MOST_PATTERNS, _examined_patterns, contrast_and_coverage

Object = NDArray[np.complexfloating]
SAMPLES: dict[str, Callable[[Object], Object]] = {
    "both": lambda truth: truth,
    "amplitude only": lambda truth: np.abs(truth) + 0j,
    "phase only": lambda truth: np.exp(1j * np.angle(truth)),
}
DOSES = [1e6, 3e3]


def blurred(truth: Object) -> Object:
    """As an unfinished training gives it."""
    return gaussian_filter(np.abs(truth), 1.5) * np.exp(1j * gaussian_filter(np.angle(truth), 1.5))


@cache
def scan_of(sample: str, photons: float) -> Scan:
    """64 patterns of 32 px of one of the samples."""
    drawn = simulate(
        SimulationConfig(
            object_kind="dead_leaves",
            object_size_px=64,
            probe_size_px=32,
            step_px=3.5,
            photons_per_pattern=photons,
            seed=3,
        )
    )
    object_ = SAMPLES[sample](drawn.object_guess).astype(np.complex64)
    counts = record_patterns(object_, drawn.probe, drawn.positions_px, np.random.default_rng(0))
    return replace(drawn, patterns=counts, domain="counts", object_guess=object_)


def judged(scan: Scan, object_: Object, **changed: object) -> Collapse:
    """What the guard says of an image of a scan."""
    window = np.zeros(object_.shape, np.float32)
    window[8:-8, 8:-8] = 1
    image = Reconstruction(object_, window, np.zeros(2), scan.positions_px, scan.probe)
    return judge(ScanTensors(replace(scan, **changed)), image)


@pytest.mark.parametrize("photons", DOSES)
@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("seen", [lambda truth: truth, blurred, lambda truth: 0.6 * truth * np.exp(2j)])
def test_a_sound_image_is_left_in_peace(sample: str, photons: float, seen: Callable[[Object], Object]) -> None:
    """Whatever its scale and global phase, and also where the sample itself has no phase or no amplitude."""
    scan = scan_of(sample, photons)
    found = judged(scan, seen(scan.object_guess))
    assert (found.flat, found.message) == ((), None)
    assert found.evidence.explained > 0.3


@pytest.mark.parametrize("photons", DOSES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_dead_network_is_told_whatever_the_sample(sample: str, photons: float) -> None:
    scan = scan_of(sample, photons)
    found = judged(scan, np.full_like(scan.object_guess, 0.7))
    assert found.flat == ("amplitude", "phase")
    assert "no better than a flat object" in found.message
    assert found.contrast_amplitude < 1e-3
    assert found.contrast_phase_rad < 1e-3


@pytest.mark.parametrize("photons", DOSES)
@pytest.mark.parametrize(
    ("part", "spoil"),
    [
        ("phase", np.abs),
        ("phase", lambda truth: 0.7 * np.abs(truth) * np.exp(1j + 0.01j * np.arange(64))),
        ("amplitude", lambda truth: 0.8 * np.exp(1j * np.angle(truth))),
    ],
)
def test_a_collapsed_part_is_named(part: str, spoil: Callable[[Object], Object], photons: float) -> None:
    """A global phase or ramp is no phase, nor is a scale an amplitude."""
    scan = scan_of("both", photons)
    found = judged(scan, spoil(scan.object_guess) + 0j)
    assert found.flat == (part,)
    assert f"the {part} of the image" in found.message


def test_noise_in_place_of_a_phase_is_a_collapse() -> None:
    """Contrast alone would not tell."""
    scan = scan_of("both", 1e6)
    noise = gaussian_filter(np.random.default_rng(1).normal(0, 0.8, scan.object_guess.shape), 2)
    found = judged(scan, np.abs(scan.object_guess) * np.exp(1j * noise))
    assert found.contrast_phase_rad > 0.05
    assert "phase" in found.flat


@pytest.mark.parametrize("photons", DOSES)
def test_a_sample_without_structure_is_left_in_peace(photons: float) -> None:
    scan = scan_of("both", photons)
    flat = np.ones_like(scan.object_guess)
    counts = record_patterns(flat, scan.probe, scan.positions_px, np.random.default_rng(0))
    found = judged(scan, flat, patterns=counts)
    assert (found.flat, found.message) == ((), None)
    assert abs(found.evidence.structure_sigma) < 5


def test_a_beam_that_flickers_is_no_structure() -> None:
    scan = scan_of("both", 1e6)
    flat = np.ones_like(scan.object_guess)
    rng = np.random.default_rng(0)
    photons = record_patterns(flat, scan.probe, scan.positions_px, None)
    flicker = rng.uniform(0.8, 1.2, (len(scan), 1, 1))
    found = judged(scan, flat, patterns=rng.poisson(photons * flicker).astype(np.float32))
    assert abs(found.evidence.structure_sigma) < 5


def test_bad_pixels_do_not_count() -> None:
    scan = scan_of("both", 1e6)
    bad = np.zeros(scan.patterns.shape, dtype=bool)
    bad[::2, 12:20, 14:17] = True
    spoiled = np.where(bad, 60000, scan.patterns)
    found = judged(scan, scan.object_guess, patterns=spoiled, bad_pixels=bad)
    clean = judged(scan, scan.object_guess)
    assert found.message is None
    assert found.evidence.explained == pytest.approx(clean.evidence.explained, abs=0.05)
    assert judged(scan, np.abs(scan.object_guess) + 0j, patterns=spoiled, bad_pixels=bad).flat == ("phase",)


def test_too_few_patterns_and_an_empty_image_are_not_judged() -> None:
    scan = scan_of("both", 1e6)
    few = scan.select(slice(7))
    assert judged(few, np.ones_like(scan.object_guess)).evidence is None
    empty = judged(scan, np.zeros_like(scan.object_guess))
    assert (empty.contrast_amplitude, empty.evidence) == (0.0, None)


def test_errors_of_one_part_are_not_taken_for_the_other() -> None:
    assert is_wanted(0.2, 0.1)
    assert not is_wanted(0.2, 0.5)
    assert not is_wanted(0.04, 0.0)


def test_coverage_is_that_of_the_rectangle_that_the_positions_span() -> None:
    coverage = np.zeros((40, 60), np.float32)
    coverage[:, :30] = 0.5
    positions = np.array([[15.0, 25.0], [24.0, 44.0]])
    image = Reconstruction(np.ones((40, 60)), coverage, np.array([5, 10]), positions, np.ones((1, 4, 4)))
    assert contrast_and_coverage(image)["coverage"] == pytest.approx(15 / 20)


def test_a_training_that_never_learns_is_told(
    scan: Scan, make_recipe: Callable[..., Recipe], caplog: pytest.LogCaptureFixture
) -> None:
    from ptychopinn.api.train import train

    with caplog.at_level("INFO", "ptychopinn"):
        trained = train(scan, recipe=make_recipe("training.learning_rate=1e-12"))
    assert trained.collapse.flat == ("amplitude", "phase")
    assert trained.collapse.message in [
        record.getMessage() for record in caplog.records if record.levelname == "WARNING"
    ]
    assert (
        sum("amplitude contrast" in record.getMessage() for record in caplog.records if record.levelname == "INFO") == 2
    )


def test_a_network_taught_without_a_phase_is_told(make_recipe: Callable[..., Recipe]) -> None:
    """Labels that are moduli: the amplitude is learned, and the patterns decide the rest."""
    from ptychopinn.api.train import train

    whole = scan_of("both", 1e6)
    taught = replace(whole, object_guess=np.abs(whole.object_guess).astype(np.complex64))
    settings = ("model.kind=supervised", "training.epochs=12", "model.generator.width=4", "data.validation_fraction=0")
    trained = train(taught, recipe=make_recipe(*settings))
    assert trained.collapse.flat == ("phase",)
    assert trained.collapse.evidence.wanted_phase > 0.2


def test_looking_changes_nothing(
    scan: Scan, make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("training.epochs=3")
    seen = fit_prepared(prepare(scan, recipe))
    assert np.isfinite(
        [seen.history[name][-1] for name in ("contrast_amplitude", "contrast_phase_rad", "coverage")]
    ).all()
    monkeypatch.setattr("ptychopinn.training.contrast_monitor.ContrastMonitor.measure", lambda self, done, last: {})
    unseen = fit_prepared(prepare(scan, recipe))
    assert seen.history["train_loss"] == unseen.history["train_loss"]
    for name, value in seen.model.state_dict().items():
        assert torch.equal(value, unseen.model.state_dict()[name]), name


def test_of_a_large_scan_patches_of_neighbours_are_asked() -> None:
    """All patterns of a small one; of a large one at most as many, nearest to places all over it, always the same."""
    rows, columns = np.meshgrid(np.arange(60.0), np.arange(60.0), indexing="ij")
    positions = np.stack((rows, columns), -1).reshape(-1, 2)
    assert np.array_equal(_examined_patterns(positions[:MOST_PATTERNS]), np.arange(MOST_PATTERNS))
    index = _examined_patterns(positions)
    assert MOST_PATTERNS // 2 < len(index) <= MOST_PATTERNS
    assert np.array_equal(index, _examined_patterns(positions))
    assert np.ptp(positions[index], axis=0).min() > 40
    distance = np.abs(positions[index][:, None] - positions[index]).sum(-1)
    assert ((distance <= 1).sum(1) > 2).mean() > 0.9  # nearly all have two of their four neighbours among them
