"""The whole experiment against an independent numpy model; the types; the energy; errors and labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import SimulationConfig
from ptychopinn.errors import ConfigError, PtychoPINNError
from ptychopinn.simulation import (
    OBJECTS,
    SCANS,
    calibrated_probe,
    make_object,
    make_probe,
    object_patches,
    record_patterns,
    simulate,
    with_object,
)
from ptychopinn.simulation.record import _on_device

SMALL = SimulationConfig(object_size_px=56, probe_size_px=24, step_px=6, jitter_px=1, probe_modes=2, seed=7)


def numpy_model(object_: np.ndarray, probe: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """One pattern at a time, from the equation in the conventions; shares no code with the package."""
    height, width = probe.shape[-2:]
    patterns = []
    for position in positions:
        whole = np.floor(position + 0.5).astype(int)
        dy, dx = position - whole
        ramp = np.exp(-2j * np.pi * (np.fft.fftfreq(height)[:, None] * dy + np.fft.fftfreq(width)[None] * dx))
        top, left = whole[0] - height // 2, whole[1] - width // 2
        patch = object_[top : top + height, left : left + width]
        total = np.zeros((height, width))
        for mode in probe:
            moved = np.fft.ifft2(np.fft.fft2(mode.astype(complex)) * ramp)
            wave = np.fft.fft2(np.fft.ifftshift(moved * patch), norm="ortho")
            total += np.abs(np.fft.fftshift(wave)) ** 2
        patterns.append(total)
    return np.array(patterns)


@pytest.fixture
def experiment() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sample with more columns than rows, two modes, positions with odd fractions."""
    object_ = make_object("dead_leaves", (40, 57), np.random.default_rng(0), amplitude_min=0.3, phase_range_rad=3.0)
    probe = make_probe("zone_plate", 24, modes=2, photons_per_pattern=1e4)
    positions = np.array([[14.0, 20.0], [17.3, 31.6], [25.5, 41.25], [13.2, 43.9]])
    return object_, probe, positions


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(np.sqrt(a) - np.sqrt(b)).sum() / np.sqrt(b).sum())


def test_expected_counts_equal_the_numpy_model(experiment: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    patterns = record_patterns(*experiment, None)
    assert patterns.dtype == np.float32
    assert relative(patterns, numpy_model(*experiment)) < 1e-4


@pytest.mark.parametrize(
    "mistake",
    [
        lambda o, p, x: (np.roll(o, 1, 0), p, x),
        lambda o, p, x: (np.roll(o, 1, 1), p, x),
        lambda o, p, x: (o[::-1], p, x),
        lambda o, p, x: (o[:, ::-1], p, x),
        lambda o, p, x: (o, p[:, ::-1], x),
        lambda o, p, x: (o.conj(), p, x),
        lambda o, p, x: (o, p, np.floor(x + 0.5)),
        lambda o, p, x: (o, p, 2 * np.floor(x + 0.5) - x),
    ],
    ids=[
        "row+1",
        "column+1",
        "flip rows",
        "flip columns",
        "flip probe",
        "conjugate",
        "no fraction",
        "fraction sign",
    ],
)
def test_a_misplaced_axis_or_sign_would_show(
    experiment: tuple[np.ndarray, np.ndarray, np.ndarray], mistake: object
) -> None:
    wrong = numpy_model(*mistake(*experiment))  # type: ignore[operator]
    assert relative(record_patterns(*experiment, None), wrong) > 0.01


def test_a_single_grain_off_centre_lies_where_the_positions_say() -> None:
    """An absorbing dot at (20, 30) dims exactly the patterns whose beam stands there."""
    object_ = np.ones((48, 60), np.complex64)
    object_[19:22, 29:32] = 0
    probe = make_probe("gaussian", 16, photons_per_pattern=100.0)
    positions = np.array([[20.0, 30.0], [30.0, 20.0], [27.0, 29.0], [20.0, 36.0]])
    totals = record_patterns(object_, probe, positions, None).sum((1, 2))
    assert totals[0] < 85
    np.testing.assert_allclose(totals[1], 100, rtol=1e-3)
    assert totals[0] < totals[3] < totals[2]


def test_energy_is_conserved(experiment: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    object_, probe, _ = experiment
    corners = [(12, 12), (20, 33)]
    totals = record_patterns(object_, probe, np.array(corners, float), None).sum((1, 2))
    for total, (y, x) in zip(totals, corners, strict=True):
        patch = object_[y - 12 : y + 12, x - 12 : x + 12]
        assert total == pytest.approx(np.square(np.abs(probe * patch)).sum(), rel=1e-5)


def test_many_batches_give_the_same_as_one(experiment: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    whole = record_patterns(*experiment, None)
    np.testing.assert_allclose(record_patterns(*experiment, None, batch_size=3), whole, rtol=1e-4, atol=1e-3)
    counts = record_patterns(*experiment, np.random.default_rng(0), batch_size=3)
    assert counts.shape == whole.shape
    assert counts.dtype == np.uint16


def test_a_patch_that_leaves_the_object_is_refused(
    experiment: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    object_, probe, _ = experiment
    with pytest.raises(PtychoPINNError, match="leave the canvas"):
        record_patterns(object_, probe, np.array([[5.0, 20.0]]), None)


def test_scan_holds_the_truth_and_says_what_it_is() -> None:
    scan = simulate(SMALL)
    n = len(scan)
    assert scan.domain == "counts"
    assert scan.patterns.shape == (n, 24, 24)
    assert scan.patterns.dtype == np.uint16
    assert scan.positions_px.shape == (n, 2)
    assert scan.probe.shape == (2, 24, 24)
    assert scan.object_guess is not None
    assert scan.object_guess.shape == (56, 56)
    assert scan.metadata["simulated"] is True
    assert SimulationConfig(**scan.metadata["simulation"]) == SMALL
    assert json.loads(json.dumps(scan.metadata)) == scan.metadata
    expected = numpy_model(scan.object_guess, scan.probe, scan.positions_px)
    deviation = (scan.patterns - expected) / np.sqrt(expected + 1)
    assert abs(deviation.mean()) < 0.02
    assert np.square(deviation[expected > 5]).mean() == pytest.approx(1, abs=0.1)


def test_without_noise_the_patterns_are_expected_counts() -> None:
    scan = simulate(SMALL.changed(poisson_noise=False))
    assert scan.domain == "counts"
    assert scan.patterns.dtype == np.float32
    assert scan.metadata["noise"].startswith("none")
    assert scan.object_guess is not None
    assert relative(scan.patterns, numpy_model(scan.object_guess, scan.probe, scan.positions_px)) < 1e-4


def test_photons_scale_the_counts_and_widen_the_type() -> None:
    low = simulate(SMALL.changed(photons_per_pattern=1e4))
    high = simulate(SMALL.changed(photons_per_pattern=1e9))
    assert low.patterns.dtype == np.uint16
    assert high.patterns.dtype == np.uint32
    mean_low, mean_high = (scan.patterns.sum((1, 2), dtype=np.float64).mean() for scan in (low, high))
    assert 0.36e4 < mean_low < 1e4
    assert mean_high / mean_low == pytest.approx(1e5, rel=0.01)
    np.testing.assert_array_equal(low.positions_px, high.positions_px)
    np.testing.assert_array_equal(low.object_guess, high.object_guess)


@pytest.mark.parametrize("object_kind", sorted(set(OBJECTS) - {"text"}))
@pytest.mark.parametrize("probe_kind", ["zone_plate", "zernike"])
@pytest.mark.parametrize("scan_kind", sorted(SCANS))
def test_every_combination_runs(object_kind: str, probe_kind: str, scan_kind: str) -> None:
    kinds = {"object_kind": object_kind, "probe_kind": probe_kind, "scan_kind": scan_kind}
    config = SimulationConfig.model_validate({**kinds, "object_size_px": 40, "probe_size_px": 16})
    scan = simulate(config)
    assert 5 < len(scan) < 40
    assert scan.patterns.sum((1, 2)).min() > 0.3 * config.photons_per_pattern


def test_position_error_is_in_the_record_and_not_in_the_patterns() -> None:
    exact, wrong = simulate(SMALL), simulate(SMALL.changed(position_error_px=0.8))
    np.testing.assert_array_equal(wrong.patterns, exact.patterns)
    np.testing.assert_array_equal(wrong.metadata["true_positions_px"], exact.positions_px)
    assert "true_positions_px" not in exact.metadata
    away = np.sqrt(np.square(wrong.positions_px - exact.positions_px).sum(axis=1).mean())
    assert away == pytest.approx(0.8, rel=0.35)
    assert json.loads(json.dumps(wrong.metadata)) == wrong.metadata


def test_labels_are_the_windows_that_the_patterns_saw() -> None:
    scan = simulate(SMALL.changed(labels=True, position_error_px=3.0, poisson_noise=False))
    assert scan.object_guess is not None
    assert scan.truth_patches is not None
    assert scan.truth_patches.shape == scan.patterns.shape
    for n, (y, x) in enumerate(scan.metadata["true_positions_px"]):
        top, left = int(np.floor(y + 0.5)) - 12, int(np.floor(x + 0.5)) - 12
        np.testing.assert_array_equal(scan.truth_patches[n], scan.object_guess[top : top + 24, left : left + 24])


def test_calibrated_probe_gives_the_mean_dose_asked_for(
    experiment: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    object_, probe, positions = experiment
    scaled = calibrated_probe(object_, probe, positions, 3e3)
    assert numpy_model(object_, scaled, positions).sum(axis=(1, 2)).mean() == pytest.approx(3e3, rel=1e-4)


def test_rectangular_objects_have_more_columns_than_rows() -> None:
    scan = simulate(SMALL.changed(object_size_px=(50, 90)))
    assert scan.object_guess is not None
    assert scan.object_guess.shape == (50, 90)
    assert scan.positions_px[:, 1].max() > 60


def test_a_measured_scan_gets_an_object_and_labels_in_the_frame_of_its_canvas() -> None:
    scan = replace(simulate(SMALL), object_guess=None, nominal_positions_px=simulate(SMALL).positions_px)
    truth = simulate(SMALL).object_guess
    assert truth is not None
    canvas = np.pad(truth, ((4, 3), (0, 5)), constant_values=1)
    labelled = with_object(scan, canvas, np.array([-4, 0]), scan.probe * 2)
    np.testing.assert_array_equal(labelled.positions_px, scan.positions_px + np.array([4, 0]))
    np.testing.assert_array_equal(labelled.nominal_positions_px, labelled.positions_px)
    np.testing.assert_array_equal(labelled.truth_patches, object_patches(truth, scan.positions_px, 24))
    np.testing.assert_array_equal(labelled.probe, scan.probe * 2)
    np.testing.assert_array_equal(labelled.patterns, scan.patterns)


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match="use auto or cpu"):
        simulate(SMALL.changed(device="cuda:7"))


def test_counts_drawn_on_the_device_have_the_expected_mean_and_spread(
    experiment: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """The draw that a GPU uses, on whatever device there is."""
    expected = torch.from_numpy(np.repeat(record_patterns(*experiment, None), 50, axis=0))
    counts = _on_device(np.random.default_rng(0), expected)
    assert counts.dtype == np.uint16
    np.testing.assert_array_equal(counts, _on_device(np.random.default_rng(0), expected))
    deviation = (counts - expected.numpy()) / np.sqrt(expected.numpy() + 1e-9)
    bright = expected.numpy() > 5
    assert abs(deviation[bright].mean()) < 0.02
    assert np.square(deviation[bright]).mean() == pytest.approx(1, abs=0.05)
