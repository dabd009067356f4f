"""A background that nobody gave is fitted where there is one, and left out where there is none."""

import logging
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.config import ModelConfig, RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import ScanError
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.simulation import simulate
from ptychopinn.solver import SolverInterrupted, flat_start, photons_of, refine

ITERATIONS = 24


def scan_of(background: float, photons: float = 1e5) -> Scan:
    settings = {"object_size_px": 120, "probe_size_px": 32, "step_px": 5, "seed": 3}
    return simulate(SimulationConfig(**settings, photons_per_pattern=photons), ModelConfig(background=background))


def solved(scan: Scan, model: DiffractionModel | None = None, **settings: object) -> Reconstruction:
    config = RefineConfig(iterations=ITERATIONS).changed(**settings)
    start = flat_start(scan, torch.from_numpy(scan.probe))
    return refine(start, ScanTensors(scan), config, model=model).reconstruction


def amplitude_db(image: Reconstruction, scan: Scan) -> float:
    assert scan.object_guess is not None
    return compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"]


def test_a_background_is_found_and_the_image_is_as_good_as_with_the_known_one() -> None:
    scan = scan_of(3.0)
    found = solved(scan)
    assert found.background == pytest.approx(3.0, abs=0.3)
    given = solved(scan, DiffractionModel(background=3.0))
    assert given.background is None
    ignored = solved(scan, background="given")
    assert amplitude_db(found, scan) > max(amplitude_db(given, scan) - 1, amplitude_db(ignored, scan) + 3)


@pytest.mark.parametrize("photons", [1e3, 1e5, 1e7])
def test_nothing_is_found_where_there_is_none(photons: float) -> None:
    scan = scan_of(0.0, photons)
    found, given = solved(scan), solved(scan, background="given")
    assert found.background is None
    assert amplitude_db(found, scan) > amplitude_db(given, scan) - 0.2


def test_in_the_near_field_none_is_sought() -> None:
    """There the beam is as even as a background, so that the photons do not tell them apart."""
    scan = scan_of(2.0)
    model = DiffractionModel(propagator=Fresnel(0.3))
    assert solved(scan, model, iterations=4).background is None
    assert solved(scan, model, iterations=4, background="flat").background is not None


def scatter(size: int, mean: float) -> NDArray[np.float32]:
    """Photons without symmetry: a broad spot beside the centre, a streak, and a floor."""
    y, x = np.mgrid[:size, :size] - size // 2
    pattern = np.exp(-((y - 4) ** 2 + (x + 3) ** 2) / 50) + 0.4 * np.exp(-np.abs(y + 0.3 * x - 4) / 2) + 0.1
    return (pattern / pattern.mean() * mean).astype(np.float32)


@pytest.fixture(scope="module")
def scattered() -> tuple[Scan, NDArray[np.float32]]:
    """With 4 photons per pixel of it in the mean."""
    scan = scan_of(0.0)
    assert scan.object_guess is not None
    pattern = scatter(scan.pattern_size, 4.0)
    whole = replace(
        flat_start(scan, torch.from_numpy(scan.probe)),
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape, np.float32),
        origin_px=np.zeros(2, np.int64),
        background=pattern,
    )
    counts = np.random.default_rng(0).poisson(photons_of(whole, ScanTensors(scan)).double().numpy())
    return replace(scan, patterns=counts.astype(np.uint32), domain="counts"), pattern


def test_a_pattern_is_found(scattered: tuple[Scan, NDArray[np.float32]], tmp_path: Path) -> None:
    scan, pattern = scattered
    found = solved(scan, background="pattern", iterations=30)
    assert isinstance(found.background, np.ndarray)
    assert np.corrcoef(found.background.ravel(), pattern.ravel())[0, 1] > 0.6  # poor where the beam is bright
    assert found.background_photons == pytest.approx(4.0, rel=0.25)
    assert found.metadata["refine"]["background_photons"] == found.background_photons
    assert amplitude_db(found, scan) > amplitude_db(solved(scan, iterations=30), scan) + 1
    given = solved(scan, DiffractionModel(background=pattern), background="given", iterations=30)
    assert amplitude_db(found, scan) > amplitude_db(given, scan) - 1.5
    read = Reconstruction.load(found.save(tmp_path / "reconstruction.npz"))
    assert np.array_equal(np.asarray(read.background), found.background)
    with pytest.raises(ScanError, match="background has shape"):
        replace(found, background=found.background[1:])


def test_a_pattern_without_need_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ptychopinn.reconstruction")
    scan = scan_of(3.0)
    found, plain = solved(scan, background="pattern", iterations=20), solved(scan, iterations=20)
    assert "background: one number for all pixels" in caplog.text
    assert np.array_equal(found.object_, plain.object_)


def test_a_run_too_short_for_a_pattern_fits_one_number_and_says_so(
    scattered: tuple[Scan, NDArray[np.float32]], caplog: pytest.LogCaptureFixture
) -> None:
    scan, _ = scattered
    found, flat = solved(scan, background="pattern", iterations=10), solved(scan, background="flat", iterations=10)
    (said,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "needs more than 10 iterations and reconstruction.refine.iterations is 10" in said.getMessage()
    assert isinstance(found.background, float)
    assert found.background == flat.background
    assert np.array_equal(found.object_, flat.object_)
    assert isinstance(solved(scan, background="pattern", iterations=11).background, np.ndarray)


def test_a_pattern_whose_trial_diverges_is_refused(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("ptychopinn.solver.refine"), "pattern_gain", lambda _: None)
    caplog.set_level(logging.INFO, "ptychopinn.reconstruction")
    scan = scan_of(3.0)
    found, plain = solved(scan, background="pattern", iterations=11), solved(scan, iterations=11)
    assert "one number for all pixels, since a trial diverged" in caplog.text
    assert np.array_equal(found.object_, plain.object_)


def test_an_interrupted_run_keeps_the_pattern(scattered: tuple[Scan, NDArray[np.float32]]) -> None:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 14:
            raise KeyboardInterrupt

    scan, _ = scattered
    start, tensors = flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan)
    config = RefineConfig(iterations=20, background="pattern")
    whole = refine(start, tensors, config).reconstruction
    with pytest.raises(SolverInterrupted) as caught:
        refine(start, tensors, config, on_iteration=stop)
    resumed = refine(start, tensors, config, checkpoint=caught.value.checkpoint).reconstruction
    assert np.array_equal(resumed.object_, whole.object_)
    assert np.array_equal(np.asarray(resumed.background), np.asarray(whole.background))
