"""The point spread of the detector: its gradients, the step, and when it is fitted unasked."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.config import ModelConfig, RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.losses import data_loss
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.physics.gradients import amplitude_change, gradients
from ptychopinn.solver import SolverInterrupted, flat_start, refine

SETTINGS = {"object_size_px": 120, "probe_size_px": 32, "step_px": 5, "seed": 3}
ITERATIONS = 30


def scan_of(blur_px: float, photons: float = 1e6, **settings: object) -> Scan:
    config = SimulationConfig(**{**SETTINGS, "photons_per_pattern": photons, **settings})
    return simulated(config, ModelConfig(blur_px=blur_px))


def simulated(config: SimulationConfig, model: ModelConfig) -> Scan:
    from ptychopinn.simulation import simulate

    return simulate(config, model)


def solved(scan: Scan, model: DiffractionModel | None = None, **settings: object) -> Reconstruction:
    config = RefineConfig(iterations=ITERATIONS).changed(**settings)
    start = flat_start(scan, torch.from_numpy(scan.probe))
    return refine(start, ScanTensors(scan), config, model=model).reconstruction


def amplitude_db(image: Reconstruction, scan: Scan) -> float:
    assert scan.object_guess is not None
    return compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"]


def case(blur_px: float) -> tuple[DiffractionModel, Estimate, torch.Tensor]:
    """A small scan in double precision, with a beam of half of the window and counts near the expected ones."""
    generator = torch.Generator().manual_seed(1)
    model = DiffractionModel(blur_px=blur_px, background=0.5)
    object_ = 1 + 0.3 * torch.randn(28, 28, dtype=torch.complex128, generator=generator)
    envelope = torch.exp(-(torch.arange(16, dtype=torch.float64) - 8).square() / 5)
    probe = 9 * envelope[:, None] * envelope * torch.exp(1j * torch.rand(1, 16, 16, generator=generator).double())
    positions = torch.tensor([[11.3, 12.2], [13.6, 14.1], [15.0, 11.7]], dtype=torch.float64)
    now = Estimate(object_, probe, positions)
    noise = torch.rand(3, 16, 16, dtype=torch.float64, generator=generator)
    return model, now, (model(object_, positions, probe) * (0.8 + 0.4 * noise)).sqrt()


def loss_of(model: DiffractionModel, now: Estimate, amplitude: torch.Tensor) -> torch.Tensor:
    photons = model(now.object_, now.positions_px, now.probe)
    return data_loss("poisson").value_and_slope(photons, amplitude.square())[0].sum()


@pytest.mark.parametrize("blur_px", [0.3, 0.7, 1.5])
def test_gradients_are_those_of_the_blurred_patterns(blur_px: float) -> None:
    model, now, amplitude = case(blur_px)
    index, compare_by = torch.arange(3), data_loss("poisson").value_and_slope
    counted = Counted.of(model.propagator, amplitude.square())
    found = gradients(model, now, index, counted, loss=compare_by, blur=True, positions_curvature=True)
    leaves = [one.clone().requires_grad_() for one in (now.object_, now.probe, now.positions_px)]
    loss_of(model, Estimate(*leaves), amplitude).backward()
    torch.testing.assert_close(found.object_, leaves[0].grad / 2)
    torch.testing.assert_close(found.probe, leaves[1].grad / 2)
    torch.testing.assert_close(found.positions, leaves[2].grad)
    step = 1e-5
    sides = [loss_of(model.with_detector(blur_px=(blur_px**2 + way * step) ** 0.5), now, amplitude) for way in (-1, 1)]
    assert found.blur is not None
    assert float(found.blur.slope) == pytest.approx(float(sides[1] - sides[0]) / (2 * step), rel=1e-5)
    assert float(found.blur.curvature) > 0


def test_the_step_of_pie_is_that_of_the_blurred_patterns() -> None:
    model, now, amplitude = case(0.7)
    patch = now.object_[:16, :16].clone().requires_grad_()
    (model.photons(patch, now.probe).sqrt() - amplitude[0]).square().sum().backward()
    step = amplitude_change(model, patch.detach(), now.probe, amplitude[0])
    torch.testing.assert_close(step, -patch.grad / 2)


def test_photons_are_kept_and_spread() -> None:
    _, now, _ = case(0.7)
    sharp, blurred = (DiffractionModel(blur_px=width).photons(now.object_[:16, :16], now.probe) for width in (0, 0.7))
    assert float(blurred.sum()) == pytest.approx(float(sharp.sum()))
    assert float(blurred.max()) < 0.9 * float(sharp.max())


@pytest.mark.parametrize("blur_px", [0.4, 0.7])
def test_a_blur_is_found_and_the_image_is_as_good_as_with_the_known_one(
    blur_px: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scan = scan_of(blur_px)
    with caplog.at_level(logging.INFO, logger="ptychopinn.reconstruction"):
        found = solved(scan)
    assert "a point spread of the detector is fitted" in caplog.text
    assert found.blur_px == pytest.approx(blur_px, abs=0.04)
    assert found.metadata["refine"]["blur_px"] == found.blur_px
    given = solved(scan, DiffractionModel(blur_px=blur_px))
    assert given.blur_px is None
    ignored = solved(scan, blur="given")
    assert amplitude_db(found, scan) > max(amplitude_db(given, scan) - 1, amplitude_db(ignored, scan) + 2)
    assert Reconstruction.load(found.save(tmp_path / "image.npz")).blur_px == found.blur_px


def test_a_blur_is_found_at_a_tenth_of_the_photons() -> None:
    assert solved(scan_of(0.7, 1e5)).blur_px == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize("photons", [1e3, 1e4, 1e5, 1e7])
def test_nothing_is_found_where_there_is_none(photons: float) -> None:
    scan = scan_of(0.0, photons)
    found, given = solved(scan), solved(scan, blur="given")
    assert found.blur_px is None
    np.testing.assert_array_equal(found.object_, given.object_)


SMOOTH = {"object_kind": "lines", "probe_kind": "gaussian", "object_size_px": 132, "probe_size_px": 64}
"""An object that the penalty on gradients makes too smooth."""


@pytest.mark.parametrize("photons", [1e4, 1e5])
def test_an_object_that_is_too_smooth_is_not_taken_for_a_blur(photons: float) -> None:
    drawn = {"step_px": 6.342, "amplitude_min": 0.71, "phase_range_rad": 1.017, "object_correlation": 0.5, "seed": 1006}
    assert solved(scan_of(0.0, photons, **SMOOTH, **drawn)).blur_px is None


def test_a_blur_that_was_asked_for_ends_near_0_without_one() -> None:
    scan = scan_of(0.0)
    found = solved(scan, blur="fitted")
    assert found.blur_px is not None
    assert found.blur_px < 0.1
    assert amplitude_db(found, scan) > amplitude_db(solved(scan, blur="given"), scan) - 0.2


def test_it_is_not_sought_in_the_near_field_or_beside_a_given_one() -> None:
    scan = scan_of(0.7)
    assert solved(scan, DiffractionModel(propagator=Fresnel(0.3)), iterations=20).blur_px is None
    assert solved(scan, DiffractionModel(blur_px=0.2), iterations=20).blur_px is None


def test_an_interrupted_run_goes_on_to_the_same_image() -> None:
    scan = scan_of(0.7)
    whole = solved(scan)
    config, start = RefineConfig(iterations=ITERATIONS), flat_start(scan, torch.from_numpy(scan.probe))

    def stop(done: int, *_: object) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(SolverInterrupted) as stopped:
        refine(start, ScanTensors(scan), config, on_iteration=stop)
    continued = refine(start, ScanTensors(scan), config, checkpoint=stopped.value.checkpoint).reconstruction
    assert continued.blur_px == whole.blur_px
    np.testing.assert_array_equal(continued.object_, whole.object_)


def test_the_commands_simulate_fit_and_use_it(tmp_path: Path) -> None:
    settings = [f"simulation.{name}={value}" for name, value in {**SETTINGS, "photons_per_pattern": 1e6}.items()]
    scan = ptychopinn.simulate(overrides=[*settings, "model.blur_px=0.7"]).scan
    made = ptychopinn.reconstruct(replace(scan, object_guess=None), None, tmp_path, refine=ITERATIONS)
    assert made.metrics["refine"]["blur_px"] == pytest.approx(0.7, abs=0.04)
    assert made.verdict is not None
    assert made.verdict.ratio < 2, "the verdict uses the blur"


@pytest.mark.parametrize("width", [-1.0, float("nan")])
def test_a_blur_that_is_none_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="blur_px must be at least 0"):
        DiffractionModel(blur_px=width)
