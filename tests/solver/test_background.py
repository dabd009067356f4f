"""A background that nobody gave is fitted where there is one, and left out where there is none."""

import pytest
import torch

from ptychopinn.config import ModelConfig, RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.fresnel import Fresnel
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start, refine

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
