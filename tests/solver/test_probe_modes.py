"""Probe modes that are added where withheld photons ask for them."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.config import RefineConfig, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import compare
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.illumination import with_modes
from ptychopinn.solver import Refined, flat_start, photons_in_batches, refine
from ptychopinn.solver.probe_modes import found_modes

SETTINGS = {"object_size_px": 96, "probe_size_px": 32, "step_px": 5, "seed": 3}
ITERATIONS = 30


def scan_of(modes: int, photons: float = 1e6) -> Scan:
    """A scan whose beam has so many modes, the second with a sixth of the power, and whose probe states the first."""
    from ptychopinn.simulation import simulate
    from ptychopinn.solver import photons_of

    scan = simulate(SimulationConfig(**SETTINGS, photons_per_pattern=photons))
    assert scan.object_guess is not None
    whole = replace(
        flat_start(scan, torch.from_numpy(scan.probe)),
        object_=scan.object_guess,
        coverage=np.ones(scan.object_guess.shape, np.float32),
        origin_px=np.zeros(2, np.int64),
        probe=with_modes(torch.from_numpy(scan.probe), modes, 0.2).numpy(),
    )
    counts = np.random.default_rng(0).poisson(photons_of(whole, ScanTensors(scan)).double().numpy())
    return replace(scan, patterns=counts.astype(np.uint32), domain="counts")


def solved(scan: Scan, modes: str, **settings: object) -> Refined:
    config = RefineConfig(iterations=ITERATIONS, probe_modes=modes).changed(**settings)
    return refine(flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan), config)


def amplitude_db(image: Reconstruction, scan: Scan) -> float:
    assert scan.object_guess is not None
    return compare(image.object_, scan.object_guess, mask=image.covered)["psnr_amplitude"]


def test_a_second_mode_is_added_where_the_beam_has_one(tmp_path: Path) -> None:
    scan = scan_of(2)
    asked = ["reconstruction.refine.probe_modes=auto"]
    made = ptychopinn.reconstruct(scan, output=tmp_path, refine=ITERATIONS, overrides=asked)
    entry = json.loads((tmp_path / "metrics.json").read_text())["refine"]
    assert entry["probe_modes"] == len(made.reconstruction.probe) == 2
    assert entry["probe_modes_evidence"]["gains_in_standard_errors"][0] > 2
    given = solved(scan, "given").reconstruction
    assert amplitude_db(made.reconstruction, scan) > amplitude_db(given, scan) + 0.5
    assert len(given.probe) == 1
    assert "probe_modes" not in given.metadata["refine"]


def test_one_mode_stays_where_the_beam_has_one(caplog: pytest.LogCaptureFixture) -> None:
    scan = scan_of(1)
    with caplog.at_level(logging.INFO, "ptychopinn.reconstruction"):
        found = solved(scan, "auto").reconstruction
    assert found.metadata["refine"]["probe_modes"] == len(found.probe) == 1
    assert "probe modes: 1" in caplog.text
    np.testing.assert_array_equal(found.object_, solved(scan, "given").reconstruction.object_)


@pytest.mark.parametrize("finds", ["nothing", "intensities", "blur"])
def test_fits_that_are_compared_have_the_same_intensities_and_blur(finds: str) -> None:
    """What the first one finds by `auto` is stated in all that are compared; else one alone might have it."""
    scan = scan_of(1)
    start, tensors = flat_start(scan, torch.from_numpy(scan.probe)), ScanTensors(scan)
    made: list[RefineConfig] = []

    def fit(
        begin: Reconstruction, kept: ScanTensors, config: RefineConfig, model: DiffractionModel
    ) -> Reconstruction | None:
        made.append(config)
        found = {"intensities": np.ones(len(kept)), "blur_px": 0.7}
        return replace(begin, **{name: value for name, value in found.items() if name.startswith(finds)})

    found = found_modes(start, tensors, RefineConfig(iterations=20), DiffractionModel(), fit, photons_in_batches)
    assert found.compared
    expected = ("fitted" if finds == "intensities" else "given", "fitted" if finds == "blur" else "given")
    settings = [(config.intensities, config.blur) for config in made]
    assert settings[0] == ("auto", "auto")
    assert settings[1:] == [expected] * (len(made) - 1)
    assert len(made) == len(found.compared) + (1 if finds == "nothing" else 2)


@pytest.mark.parametrize("case", ["few photons", "amplitudes", "two modes"])
def test_nothing_is_compared_where_it_cannot_be_told(case: str) -> None:
    scan = scan_of(1, 1e4 if case == "few photons" else 1e6)
    if case == "amplitudes":
        scan = replace(scan, patterns=(scan.patterns * 0.37).astype(np.float32))
    if case == "two modes":
        scan = replace(scan, probe=with_modes(torch.from_numpy(scan.probe), 2).numpy())
    entry = solved(scan, "auto", iterations=3).reconstruction.metadata["refine"]
    assert entry["probe_modes"] == (2 if case == "two modes" else 1)
    assert entry["probe_modes_evidence"] == {"gains_in_standard_errors": [], "powers_of_added_modes": []}
