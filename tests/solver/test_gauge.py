"""The gauge: the scale is that of the probe, the image lies where the scan says, and what was applied is stated."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import align, compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Estimate
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.simulation import record_patterns, simulate
from ptychopinn.solver import Gauge, State, flat_start, photons_of, refine, with_gauge
from ptychopinn.solver.gauge import HeldPhotons, brightest_modulus, centre_of_mass, transmission

INSIDE = np.s_[20:76, 20:76]


@pytest.fixture(scope="module")
def drawn() -> Scan:
    """32 px patterns of 1e4 photons."""
    return simulate(SimulationConfig(object_size_px=96, probe_size_px=32, step_px=5, photons_per_pattern=1e4, seed=4))


def refined(scan: Scan, gauge: Gauge | None = None, **settings: object) -> Reconstruction:
    start = flat_start(scan, torch.from_numpy(scan.probe))
    config = RefineConfig(**{"iterations": 30, "smoothness": 10, **settings})
    return refine(start, ScanTensors(scan), config, gauge=gauge).reconstruction


def scale_of(image: Reconstruction, scan: Scan) -> float:
    """Re <truth, object> / <truth, truth>, after shift, ramp and phase are removed."""
    counts = np.zeros(scan.object_guess.shape, bool)
    counts[INSIDE] = True
    moved = align(image.object_, scan.object_guess, mask=counts, scale=False).object_[INSIDE]
    truth = scan.object_guess[INSIDE]
    return float(np.vdot(truth, moved).real / np.vdot(truth, truth).real)


@pytest.mark.parametrize("iterations", [15, 60])
def test_the_scale_is_kept_whatever_the_number_of_iterations(drawn: Scan, iterations: int) -> None:
    image = refined(drawn, iterations=iterations)
    assert scale_of(image, drawn) == pytest.approx(1, abs=0.02)
    assert np.square(np.abs(image.probe)).sum() == pytest.approx(np.square(np.abs(drawn.probe)).sum(), rel=1e-4)
    gauge = image.metadata["gauge"]
    assert gauge["scale"] == "absolute"
    assert not gauge["transmission"]["above_1"]


def test_held_photons_change_no_pattern(drawn: Scan) -> None:
    """The object takes the factor of the probe, also in the steps that momentum repeats."""
    probe = torch.from_numpy(drawn.probe)
    estimate = Estimate(torch.rand(96, 96) + 0.5j, probe, torch.from_numpy(drawn.positions_px))
    state = State(estimate, torch.ones(96, 96), RefineConfig(iterations=3))
    estimate.probe, state.probe_velocity, state.object_velocity = 2 * probe, 0.1 * probe, 0.2 * estimate.object_
    before, object_ = estimate.probe[0] * estimate.object_[5:37, 5:37], estimate.object_
    HeldPhotons().apply(state)
    torch.testing.assert_close(estimate.probe, probe)
    torch.testing.assert_close(estimate.probe[0] * estimate.object_[5:37, 5:37], before)
    torch.testing.assert_close(state.probe_velocity, 0.05 * probe)
    torch.testing.assert_close(state.object_velocity, 0.4 * object_)


def test_a_scale_that_is_not_known_is_called_relative(drawn: Scan) -> None:
    unknown = Gauge(photons_known=False, reason="rescaled")
    image = refined(replace(drawn, probe=drawn.probe * 0.8), unknown)
    gauge = image.metadata["gauge"]
    assert (gauge["scale"], gauge["reason"]) == ("relative", "rescaled")
    assert "transmission" not in gauge
    well = image.coverage > 0.25 * image.coverage.max()
    assert brightest_modulus(np.abs(image.object_[well])) == pytest.approx(1, abs=1e-4)
    known = refined(replace(drawn, probe=drawn.probe * 0.8))
    first, second = (photons_of(one, ScanTensors(drawn)) for one in (image, known))
    assert (
        float((first - second).abs().sum() / second.sum()) < 5e-3
    )  # the rest is that of pixels not covered, which are 1


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_a_transmission_above_1_is_reported(drawn: Scan, factor: float, caplog: pytest.LogCaptureFixture) -> None:
    """A probe with 0.64 times the photons makes an object that is 1.25 times too large."""
    found = refined(replace(drawn, probe=drawn.probe * factor)).metadata["gauge"]["transmission"]
    assert found["above_1"] is (factor < 1)
    assert ("transmission exceeds 1" in caplog.text) is (factor < 1)


def test_a_probe_that_starts_off_its_place_does_not_drag_the_image(drawn: Scan) -> None:
    image = refined(replace(drawn, probe=np.roll(drawn.probe, (5, -4), (-2, -1))))
    assert image.metadata["gauge"]["moved_px"] == [-5, 4]
    power = np.square(np.abs(image.probe)).sum(0)
    assert np.abs(centre_of_mass(power) - 16).max() < 0.5
    np.testing.assert_array_equal(image.positions_px, drawn.positions_px)
    moved = align(image.object_, drawn.object_guess, mask=None, support=image.covered)
    assert np.abs(moved.shift_px).max() < 0.2


def test_the_photons_of_a_transmission_are_those_of_a_probe_that_varies(drawn: Scan) -> None:
    """The same photons, half of them in a mode by which the probe varies, give a transmission the same error."""
    steady = refined(drawn, iterations=2)
    half = np.float32(0.5**0.5)
    varying = replace(
        steady,
        probe=half * steady.probe,
        relaxation_modes=half * steady.probe[None],
        relaxation_weights=np.resize([1.0, -1.0], (len(steady.positions_px), 1)),
    )
    assert transmission(varying)["error"] == pytest.approx(transmission(steady)["error"], rel=1e-6)


def image_of(scan: Scan, probe: np.ndarray) -> Reconstruction:
    """The truth, with an object that continues beyond all patterns, and a ramp."""
    frame = Frame.of_positions(scan.positions_px, scan.pattern_size, margin=6)
    object_ = np.random.default_rng(0).uniform(0.8, 1, frame.shape) * np.exp(0.3j + 0.05j * np.arange(frame.shape[1]))
    start = flat_start(scan, torch.from_numpy(probe))
    coverage = np.ones(frame.shape)
    return replace(start, object_=object_, coverage=coverage, origin_px=np.asarray(frame.origin_px))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("subpixel", ["probe", "bilinear"])
def test_no_rule_changes_a_pattern(drawn: Scan, known: bool, subpixel: str) -> None:
    """A probe well inside its array; also with a fractional shift and a ramp, where none was given."""
    y, x = np.mgrid[:32, :32] - 16
    probe = 40 * np.exp(-((y - 3.3) ** 2 + (x + 2.4) ** 2) / 18 + 0.02j * y * x)[None].astype(np.complex64)
    image, model = image_of(drawn, probe), DiffractionModel(subpixel)
    made = with_gauge(image, Gauge(photons_known=known, probe_known=known), model)
    assert (made.metadata["gauge"]["scale"] == "absolute") is known
    before, after = (photons_of(one, ScanTensors(drawn), model) for one in (image, made))
    error = float((before - after).abs().sum() / before.sum())
    assert error < (2e-3 if subpixel == "probe" or known else 2e-2)
    assert np.abs(np.angle((made.object_ * made.coverage).sum())) < 1e-5
    off = centre_of_mass(np.square(np.abs(made.probe)).sum(0)) - 16
    assert np.abs(off).max() < (0.5 if known or subpixel == "bilinear" else 0.01)
    assert ("ramp_removed_rad_per_px" in made.metadata["gauge"]) is not known


def test_the_near_field_is_not_moved(drawn: Scan) -> None:
    image = image_of(drawn, np.roll(drawn.probe, 6, -1))
    near, far = DiffractionModel(propagator=Fresnel(0.1)), DiffractionModel()
    assert "moved_px" not in with_gauge(image, Gauge(), near).metadata["gauge"]
    assert with_gauge(image, Gauge(), far).metadata["gauge"]["moved_px"] == [0, -6]


def test_a_beam_that_fills_its_array_is_not_moved(drawn: Scan) -> None:
    y, x = np.mgrid[:32, :32]
    probe = (1 + 0.5 * np.sin(y / 16) + 0 * x)[None].astype(np.complex64)
    assert with_gauge(image_of(drawn, probe), Gauge(), DiffractionModel()).metadata["gauge"]["moved_px"] == [0, 0]


def test_what_was_not_refined_is_left(drawn: Scan) -> None:
    image = image_of(drawn, np.roll(drawn.probe, 6, -1))
    kept = with_gauge(image, Gauge(False, False), DiffractionModel(), object_refined=False)
    np.testing.assert_array_equal(kept.object_, image.object_)
    np.testing.assert_array_equal(kept.probe, image.probe)
    known = with_gauge(image, Gauge(), DiffractionModel(), probe_refined=False)
    np.testing.assert_array_equal(known.probe, image.probe)
    np.testing.assert_array_equal(known.origin_px, image.origin_px)


def test_noise_free_patterns_keep_the_scale_exactly(drawn: Scan) -> None:
    exact = replace(drawn, patterns=record_patterns(drawn.object_guess, drawn.probe, drawn.positions_px, None))
    assert scale_of(refined(exact, smoothness=0, iterations=40), drawn) == pytest.approx(1, abs=0.003)


def test_a_weak_start_is_not_held(drawn: Scan) -> None:
    """Started from an image that is wrong at high frequencies, the solver comes as far as from nothing."""
    tensors, flat = ScanTensors(drawn), flat_start(drawn, torch.from_numpy(drawn.probe))
    wrong = 0.1 * np.random.default_rng(0).normal(size=drawn.object_guess.shape)
    weak = replace(flat, object_=drawn.object_guess * (1 + wrong))
    config = RefineConfig(iterations=20, smoothness=50)
    scores = [
        compare(refine(start, tensors, config).reconstruction.object_, drawn.object_guess, region=(20, 76, 20, 76))
        for start in (flat, weak)
    ]
    assert scores[1]["psnr_phase"] > scores[0]["psnr_phase"] - 0.5
    assert scores[1]["psnr_amplitude"] > scores[0]["psnr_amplitude"] - 0.5


def test_penalties_follow_from_the_dose_and_are_reported(drawn: Scan) -> None:
    bright = replace(drawn, probe=10 * drawn.probe, patterns=100.0 * drawn.patterns)
    few, many = (refined(scan, iterations=1, smoothness=None).metadata["refine"] for scan in (drawn, bright))
    assert few["edge_preserving"] == many["edge_preserving"] == 0.03
    assert 15 < few["smoothness"] < many["smoothness"] / 5
    given = refined(drawn, iterations=1, smoothness=7).metadata["refine"]
    assert (given["smoothness"], given["edge_preserving"]) == (7, None)


def test_few_photons_keep_the_scale() -> None:
    """The background that the likelihood adds to every pixel would take a sixth of the photons of the object."""
    dim = simulate(SimulationConfig(object_size_px=96, probe_size_px=32, step_px=4, photons_per_pattern=300, seed=4))
    assert scale_of(refined(dim, smoothness=None), dim) == pytest.approx(1, abs=0.04)
