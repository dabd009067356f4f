"""Intensities of the beam in each pattern: their gradients, the step, and when they are fitted unasked."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.simulation import simulate
from ptychopinn.solver import Refined, SolverInterrupted, flat_start, photons_of, refine

SETTINGS = {"object_size_px": 120, "probe_size_px": 32, "step_px": 5, "photons_per_pattern": 1e5, "seed": 3}
ITERATIONS = 40


@pytest.fixture(scope="module")
def steady() -> Scan:
    return simulate(SimulationConfig(**SETTINGS))


@pytest.fixture(scope="module")
def factors(steady: Scan) -> NDArray[np.float64]:
    drawn = 1 + 0.1 * np.random.default_rng(0).standard_normal(len(steady))
    return drawn / drawn.mean()


@pytest.fixture(scope="module")
def flickering(steady: Scan, factors: NDArray[np.float64]) -> Scan:
    truth = steady.object_guess
    assert truth is not None
    start = flat_start(steady, torch.from_numpy(steady.probe))
    known = replace(start, object_=truth, coverage=np.ones(truth.shape, np.float32), origin_px=np.zeros(2, np.int64))
    photons = photons_of(replace(known, intensities=factors), ScanTensors(steady)).double().numpy()
    return replace(steady, patterns=np.random.default_rng(1).poisson(photons).astype(np.uint32), domain="counts")


def solved(scan: Scan, **settings: object) -> Refined:
    config = RefineConfig(iterations=ITERATIONS).changed(**settings)
    return refine(flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan), config)


@pytest.fixture(scope="module")
def image(flickering: Scan) -> Reconstruction:
    """With the default settings."""
    return solved(flickering).reconstruction


@pytest.fixture(scope="module")
def of_steady(steady: Scan) -> Reconstruction:
    """The same of the steady beam."""
    return solved(steady).reconstruction


def amplitude_db(image: Reconstruction, scan: Scan) -> float:
    assert scan.object_guess is not None
    return compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"]


def test_a_flickering_beam_is_found_and_costs_less_than_a_decibel(
    steady: Scan,
    flickering: Scan,
    factors: NDArray[np.float64],
    of_steady: Reconstruction,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ptychopinn.reconstruction")
    found = solved(flickering).reconstruction
    assert found.intensities is not None
    assert "the beam seems to vary from pattern to pattern" in caplog.text
    assert np.std(np.log(found.intensities / factors)) < 0.015
    assert found.intensities.mean() == pytest.approx(1)
    assert found.metadata["refine"]["intensities_rms"] == pytest.approx(0.1, abs=0.02)
    held = amplitude_db(solved(flickering, intensities="given").reconstruction, steady)
    without = amplitude_db(of_steady, steady)
    assert amplitude_db(found, steady) > max(without - 1, held + 4)


def test_a_steady_beam_is_left_alone(steady: Scan, of_steady: Reconstruction) -> None:
    given = solved(steady, intensities="given").reconstruction
    assert of_steady.intensities is None
    assert np.array_equal(of_steady.object_, given.object_)


def test_fitting_them_under_a_steady_beam_costs_little(steady: Scan, of_steady: Reconstruction) -> None:
    fitted = solved(steady, intensities="fitted").reconstruction
    assert amplitude_db(fitted, steady) > amplitude_db(of_steady, steady) - 0.5
    assert fitted.intensities is not None
    assert fitted.intensities.std() < 0.01


def test_the_image_keeps_its_slope_where_the_probe_is_refined(
    flickering: Scan, image: Reconstruction, factors: NDArray[np.float64]
) -> None:
    assert image.intensities is not None
    error = np.log(image.intensities / factors)
    places = np.c_[np.ones(len(error)), flickering.positions_px - flickering.positions_px.mean(0)]
    slope = np.linalg.lstsq(places, error, rcond=None)[0]
    assert (places[:, 1:] @ slope[1:]).std() < 0.01


def test_a_poor_start_probe_does_not_tilt_the_object(flickering: Scan, factors: NDArray[np.float64]) -> None:
    """A change of the probe was taken for a slope of the beam, and the intensities were 160 % rms."""
    probe = flickering.probe
    lopsided = probe * (1 + 0.5 * np.linspace(-1, 1, probe.shape[-1], dtype=np.float32)) + 0.5 * np.roll(probe, 2, -1)
    poor = lopsided * np.linalg.norm(probe) / np.linalg.norm(lopsided)
    found = solved(replace(flickering, probe=poor.astype(np.complex64))).reconstruction
    assert found.intensities is not None
    assert np.std(np.log(found.intensities / factors)) < 0.05


def test_an_interrupted_run_goes_on_to_the_same_image(flickering: Scan, image: Reconstruction) -> None:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 25:
            raise KeyboardInterrupt

    start, tensors = flat_start(flickering, torch.from_numpy(flickering.probe)), ScanTensors(flickering)
    config = RefineConfig(iterations=ITERATIONS)
    with pytest.raises(SolverInterrupted) as caught:
        refine(start, tensors, config, on_iteration=stop)
    resumed = refine(start, tensors, config, checkpoint=caught.value.checkpoint).reconstruction
    assert image.intensities is not None
    assert resumed.intensities is not None
    assert np.array_equal(resumed.object_, image.object_)
    assert np.array_equal(resumed.intensities, image.intensities)


def test_the_model_multiplies_the_beam_and_not_the_background() -> None:
    model = DiffractionModel(background=2.0)
    object_, probe = torch.ones(24, 24) + 0j, torch.ones(1, 16, 16) + 0j
    positions = torch.tensor([[10.0, 10.0], [11.0, 12.0]])
    bright, half = model(object_, positions, probe), model(object_, positions, probe, torch.tensor([0.5, 1.0]))
    torch.testing.assert_close(half[0] - 2, (bright[0] - 2) / 2)
    torch.testing.assert_close(half[1], bright[1])


def test_a_file_holds_them(image: Reconstruction, tmp_path: Path) -> None:
    read = Reconstruction.load(image.save(tmp_path / "reconstruction.npz"))
    assert image.intensities is not None
    assert np.array_equal(read.intensities, image.intensities)
    with pytest.raises(ScanError, match=r"intensities has shape .* one for each position"):
        replace(image, intensities=image.intensities[:-1])


def test_they_cannot_be_fitted_with_a_held_object() -> None:
    with pytest.raises(ConfigError, match="intensities must not be fitted where object is false"):
        RefineConfig().changed(object=False, intensities="fitted")
