"""A background from end to end: `model.background` simulates, solves, trains and reconstructs; the solver fits one."""

from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.config import ModelConfig, Recipe, SimulationConfig
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import for_part
from ptychopinn.errors import ConfigError, ScanError
from ptychopinn.physics import DiffractionModel
from ptychopinn.simulation import simulate
from ptychopinn.solver import photons_of

PHOTONS = 5.0
GIVEN, NONE = f"model.background={PHOTONS}", "model.background=0"
FITTED = "reconstruction.refine.background=flat"
DOSE = 1e4
SMALL = [
    "simulation.object_size_px=64",
    "simulation.probe_size_px=32",
    "simulation.step_px=3",
    f"simulation.photons_per_pattern={DOSE}",
]
QUICK = ["training.threads=1", "model.generator.width=4", "model.generator.levels=2", "data.group_size=4"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Read from the file that `simulate` wrote: as many photons of background as half of those of the beam."""
    path = tmp_path_factory.mktemp("background") / "scan.npz"
    ptychopinn.simulate(path, overrides=[GIVEN, *SMALL])
    return read_scan(path)


def test_the_simulator_adds_it_to_the_expected_counts(scan: Scan) -> None:
    config = SimulationConfig(
        object_size_px=64, probe_size_px=32, step_px=3, photons_per_pattern=DOSE, poisson_noise=False
    )
    with_it, without = (simulate(config, ModelConfig(background=photons)).patterns for photons in (PHOTONS, 0))
    np.testing.assert_allclose(with_it - without, PHOTONS, rtol=1e-4)
    assert scan.patterns.mean() == pytest.approx(with_it.mean(), rel=0.01)
    assert scan.metadata["background"] == PHOTONS


@pytest.mark.parametrize(("probe", "least_gain"), [("true", 2), ("false", 5)], ids=["probe_fitted", "probe_fixed"])
def test_the_solver_finds_a_better_object_with_it(scan: Scan, probe: str, least_gain: float) -> None:
    """A fitted probe takes up a part of a background that the model does not know, but not all of it."""
    given, none = (
        ptychopinn.reconstruct(
            scan,
            None,
            refine=15,
            overrides=[value, "reconstruction.refine.background=given", f"reconstruction.refine.probe={probe}"],
        )
        for value in (GIVEN, NONE)
    )
    assert given.metrics["reference"]["psnr_phase"] > none.metrics["reference"]["psnr_phase"] + least_gain
    data = given.metrics["data"]
    assert data["poisson_deviance_per_pixel"] == pytest.approx(data["poisson_deviance_of_a_perfect_model"], rel=0.2)
    assert none.metrics["data"]["poisson_deviance_per_pixel"] > 1.2 * data["poisson_deviance_per_pixel"]


def test_the_solver_finds_the_background_itself(scan: Scan, tmp_path: Path) -> None:
    given, fitted = (
        ptychopinn.reconstruct(scan, None, folder, refine=15, overrides=[value])
        for value, folder in ((GIVEN, None), (FITTED, tmp_path))
    )
    image = Reconstruction.load(tmp_path)
    assert image.background == fitted.reconstruction.background == pytest.approx(PHOTONS, rel=0.03)
    assert fitted.metrics["refine"]["background_photons"] == image.background
    for score in ("psnr_amplitude", "psnr_phase"):
        assert fitted.metrics["reference"][score] > given.metrics["reference"][score] - 0.3
    expected = photons_of(image, ScanTensors(scan))
    assert float(expected.min()) >= image.background
    assert float(expected.mean()) == pytest.approx(scan.patterns.mean(), rel=0.01)


def test_it_is_found_without_being_asked_for(scan: Scan) -> None:
    found = ptychopinn.reconstruct(scan, None, refine=15)
    assert found.metrics["refine"]["background_photons"] == pytest.approx(PHOTONS, rel=0.03)


def test_without_a_background_the_fit_of_one_changes_nothing() -> None:
    scan = ptychopinn.simulate(overrides=SMALL).scan
    plain, fitted = (ptychopinn.reconstruct(scan, None, refine=15, overrides=over) for over in ([], [FITTED]))
    assert plain.reconstruction.background is None
    assert fitted.reconstruction.background == pytest.approx(0, abs=0.01)
    for score in ("psnr_amplitude", "psnr_phase"):
        assert fitted.metrics["reference"][score] > plain.metrics["reference"][score] - 0.1


def test_an_interrupted_fit_goes_on_with_its_background(scan: Scan, tmp_path: Path) -> None:
    def stop(done: int, total: int, numbers: dict[str, float]) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct(scan, None, tmp_path, refine=8, overrides=[FITTED], on_iteration=stop)
    resumed = ptychopinn.reconstruct(scan, None, tmp_path, refine=8, overrides=[FITTED], resume=True)
    whole = ptychopinn.reconstruct(scan, None, refine=8, overrides=[FITTED])
    np.testing.assert_array_equal(resumed.reconstruction.object_, whole.reconstruction.object_)
    assert resumed.reconstruction.background == whole.reconstruction.background


def test_a_run_trains_with_the_background_that_the_solver_found(scan: Scan) -> None:
    overrides = [FITTED, "model.generator.architecture=cnn", "training.epochs=1", *QUICK]
    made = ptychopinn.run(scan, overrides=[*overrides, "reconstruction.refine.iterations=15"])
    assert made.trained.recipe.model.background == pytest.approx(PHOTONS, rel=0.03)
    assert float(made.trained.model.network.physics.background) == made.trained.recipe.model.background


@pytest.mark.parametrize(("architecture", "least_gain"), [("cnn", 1), ("unrolled", 5)])
def test_networks_train_better_with_it(scan: Scan, tmp_path: Path, architecture: str, least_gain: float) -> None:
    overrides = [f"model.generator.architecture={architecture}", "training.epochs=6", *QUICK]
    given = ptychopinn.run(scan, tmp_path, overrides=[*overrides, GIVEN], solve=False).reconstructed
    none = ptychopinn.run(scan, None, overrides=[*overrides, NONE], solve=False).reconstructed
    assert given.metrics["reference"]["psnr_phase"] > none.metrics["reference"]["psnr_phase"] + least_gain
    deviances = [made.metrics["data"]["poisson_deviance_per_pixel"] for made in (given, none)]
    assert deviances[1] > 2 * deviances[0]
    again = ptychopinn.reconstruct(scan, tmp_path / "wts.h5.zip")
    np.testing.assert_allclose(again.reconstruction.object_, given.reconstruction.object_, atol=1e-5)


@pytest.mark.parametrize("rule", ["auto", "data"])
def test_the_scale_of_the_probe_is_that_of_the_wave_alone(scan: Scan, rule: str) -> None:
    photons = []
    for value in (GIVEN, NONE):
        overrides = [value, f"model.intensity_scale={rule}", "reconstruction.refine.probe=false"]
        image = ptychopinn.reconstruct(scan, None, refine=1, overrides=overrides).reconstruction
        factor = image.metadata["gauge"].get("object_multiplied_by", 1.0)  # of a relative scale; the probe takes 1 / it
        photons.append(factor**2 * np.square(np.abs(image.probe)).sum())
    transmitted = scan.patterns.sum((-2, -1)).mean() - PHOTONS * scan.pattern_size**2
    assert photons[0] == pytest.approx(DOSE if rule == "auto" else transmitted, rel=1e-3)
    if rule == "data":
        assert photons[1] - photons[0] == pytest.approx(PHOTONS * scan.pattern_size**2, rel=1e-3)


def test_a_run_withholds_a_part_of_the_background_too(scan: Scan) -> None:
    overrides = [GIVEN, "model.generator.architecture=cnn", "training.epochs=1", *QUICK]
    assert for_part(Recipe().with_overrides([GIVEN]), 0.1).model.background == pytest.approx(0.9 * PHOTONS)
    made = ptychopinn.run(scan, overrides=[*overrides, "reconstruction.refine.iterations=15"])
    assert made.trained.recipe.model.background == PHOTONS
    assert float(made.trained.model.network.physics.background) == PHOTONS
    data = made.reconstructed.metrics["data"]
    assert data["poisson_deviance_per_pixel"] == pytest.approx(data["poisson_deviance_of_a_perfect_model"], rel=0.2)


def test_more_background_than_counts_is_refused_with_the_way_out(scan: Scan) -> None:
    with pytest.raises(ScanError, match=r"model\.background must be less than .* photons, got 50; lower it"):
        ptychopinn.reconstruct(scan, None, refine=1, overrides=["model.background=50"])


def test_a_trained_model_keeps_its_background(scan: Scan) -> None:
    trained = ptychopinn.train(scan, overrides=[GIVEN, "training.epochs=1", *QUICK])
    with pytest.raises(ConfigError, match=r"model\.background is 1\.0 here but 5\.0 in the model"):
        ptychopinn.reconstruct(scan, trained, overrides=["model.background=1"])


def test_amplitudes_of_the_wave_alone() -> None:
    recorded = torch.tensor([[3.0, 2.0], [1.0, 0.0]])
    alone = DiffractionModel.of(ModelConfig(background=4)).without_background(recorded)
    torch.testing.assert_close(alone, torch.tensor([[5.0**0.5, 0.0], [0.0, 0.0]]))
    assert DiffractionModel.of(ModelConfig()).without_background(recorded) is recorded
