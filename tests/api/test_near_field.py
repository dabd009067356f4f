"""Near field from end to end: `model.propagation=near_field` simulates, solves, trains and reconstructs."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptychopinn import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.propagation import check_propagation, with_geometry
from ptychopinn.errors import ConfigError, ScanError

NEAR = "model.propagation=near_field"
SMALL = ["simulation.object_size_px=64", "simulation.probe_size_px=32", "simulation.step_px=4"]
QUICK = ["training.epochs=4", "training.threads=1", "model.generator.width=2", "model.generator.levels=2"]


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Read from the file that `simulate` wrote: patterns behind a diffuser."""
    path = tmp_path_factory.mktemp("near") / "near.npz"
    ptychopinn.simulate(path, overrides=[NEAR, "simulation.probe_kind=diffuser", *SMALL])
    return read_scan(path)


def test_a_simulated_scan_states_its_geometry(near: Scan) -> None:
    assert near.geometry.propagation == "near_field"
    assert near.geometry.fresnel_number == pytest.approx(0.0504, rel=1e-3)
    assert near.pixel_size_m == pytest.approx(1e-7)


def test_far_field_scans_state_nothing_new() -> None:
    scan = ptychopinn.simulate(overrides=SMALL).scan
    assert (scan.geometry.propagation, scan.geometry.energy_eV, scan.pixel_size_m) == (None, None, None)


def test_patterns_are_images_of_the_beam_at_its_place(near: Scan) -> None:
    """The mean pattern has the width of the beam, which no far field of a diffuser has."""
    y, x = np.indices(near.probe.shape[-2:]) - near.pattern_size // 2
    widths = [
        np.sqrt((image * (y**2 + x**2)).sum() / image.sum())
        for image in (near.patterns.mean(axis=0), np.square(np.abs(near.probe[0])))
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)


def test_the_solver_finds_the_object(near: Scan) -> None:
    made = ptychopinn.reconstruct(near, None, refine=30, overrides=[NEAR])
    assert made.metrics["reference"]["psnr_phase"] > 35
    data = made.metrics["data"]
    assert data["poisson_deviance_per_pixel"] == pytest.approx(data["poisson_deviance_of_a_perfect_model"], rel=0.25)
    assert made.collapse is not None
    assert made.collapse.flat == ()


def test_a_wrong_distance_is_seen_in_the_misfit(near: Scan, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ptychopinn.data"):
        wrong = ptychopinn.reconstruct(near, None, refine=20, overrides=[NEAR, "model.fresnel_number=0.06"])
    assert "is 0.05041 by the geometry of the scan, but the model uses 0.06" in caplog.text
    right = ptychopinn.reconstruct(near, None, refine=20, overrides=[NEAR])
    both = [made.metrics["data"]["amplitude_misfit"] for made in (right, wrong)]
    assert both[1] > 1.02 * both[0]


@pytest.mark.parametrize(("architecture", "least"), [("cnn", 24), ("unrolled", 32)])
def test_networks_train_and_reconstruct_from_their_bundle(
    near: Scan, tmp_path: Path, architecture: str, least: float
) -> None:
    overrides = [NEAR, f"model.generator.architecture={architecture}", "data.group_size=4", *QUICK]
    made = ptychopinn.run(near, tmp_path, overrides=overrides, solve=False)
    again = ptychopinn.reconstruct(near, tmp_path / "wts.h5.zip")
    np.testing.assert_allclose(again.reconstruction.object_, made.reconstruction.object_, atol=1e-5)
    assert again.metrics["reference"]["psnr_phase"] > least


def test_a_model_of_the_other_field_is_refused_with_the_way_out(near: Scan) -> None:
    sentence = r"near-field patterns, .* far-field model .*\(simulated\); use --set model\.propagation=near_field"
    with pytest.raises(ScanError, match=sentence):
        ptychopinn.reconstruct(near, None, refine=2)
    far = replace(near, geometry=replace_propagation(near, "far_field"))
    with pytest.raises(ScanError, match=r"far-field patterns, .*use --set model\.propagation=far_field"):
        ptychopinn.reconstruct(far, None, refine=2, overrides=[NEAR])


def replace_propagation(scan: Scan, propagation: str) -> object:
    known = scan.geometry
    numbers = (known.energy_eV, known.distance_m, known.detector_pixel_m, known.source_distance_m)
    return type(known)(*numbers, propagation=propagation)


def test_a_scan_that_states_nothing_leaves_the_choice_to_the_recipe() -> None:
    scan = ptychopinn.simulate(overrides=SMALL).scan
    for name in ("far_field", "near_field", "another"):
        check_propagation(scan, name)
    with pytest.raises(ConfigError, match=r"model\.fresnel_number must be given"):
        ptychopinn.reconstruct(scan, None, refine=2, overrides=[NEAR])


def test_the_fresnel_number_of_the_scan_is_kept_in_the_recipe(near: Scan) -> None:
    recipe = Recipe().with_overrides([NEAR])
    assert with_geometry(recipe, near).model.fresnel_number == near.geometry.fresnel_number
    assert with_geometry(Recipe(), near) == Recipe()
    given = recipe.with_overrides(["model.fresnel_number=0.05"])
    assert with_geometry(given, near) == given
    trained = ptychopinn.train(near, overrides=[NEAR, *QUICK, "data.group_size=4", "training.epochs=1"])
    assert trained.recipe.model.fresnel_number == near.geometry.fresnel_number
