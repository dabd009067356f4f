"""A prior in `reconstruct` and `run`: what it changes, what is told of it, resumed and interrupted runs."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ptychopinn
from ptychopinn.api import prior_use
from ptychopinn.api.prior_info import prior_rows
from ptychopinn.api.prior_use import INTERRUPTED, NETWORK_ALONE, OBJECT_HELD, without_prior
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.bundle.tensors import pack_tensors
from ptychopinn.data import Scan
from ptychopinn.errors import BundleError
from ptychopinn.prior import Prior, load_prior, save_prior

SCAN = [
    "simulation.object_size_px=64",
    "simulation.probe_size_px=32",
    "simulation.step_px=4",
    "simulation.object_kind=gaussian_field",
    "simulation.photons_per_pattern=1e3",
]
SOLVER = ["reconstruction.refine.smoothness=0", "reconstruction.check=false", "reconstruction.prior=none"]
"""Without a penalty, so that noise is left to take off."""
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]


def using(prior: Path | str, *more: str) -> list[str]:
    return [*SOLVER, f"reconstruction.prior={json.dumps(str(prior))}", *more]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return ptychopinn.simulate(overrides=SCAN).scan


@pytest.fixture(scope="module")
def plain(scan: Scan) -> Reconstructed:
    return ptychopinn.reconstruct(scan, refine=12, overrides=SOLVER)


@pytest.fixture(scope="module")
def written(scan: Scan, smoothing_prior: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reconstructed, Path]:
    folder = tmp_path_factory.mktemp("with_prior")
    return ptychopinn.reconstruct(scan, None, folder, refine=12, overrides=using(smoothing_prior)), folder


def test_the_image_is_that_of_the_solver_and_the_correction(
    plain: Reconstructed, written: tuple[Reconstructed, Path]
) -> None:
    image = written[0].reconstruction
    assert image.prior_correction is not None
    np.testing.assert_allclose(without_prior(image).object_, plain.reconstruction.object_, atol=1e-6)
    assert "prior" not in without_prior(image).metadata
    better = written[0].metrics["reference"]
    assert better["psnr_amplitude"] > plain.metrics["reference"]["psnr_amplitude"] + 0.5
    assert "prior" not in plain.metrics
    assert plain.reconstruction.prior_correction is None
    assert "prior_s" not in plain.metrics["timings"]


def test_everything_that_is_written_says_which_prior_did_what(
    written: tuple[Reconstructed, Path], smoothing_prior: Path
) -> None:
    made, folder = written
    entry = json.loads((folder / "metrics.json").read_text())["prior"]
    assert entry["prior"] == str(smoothing_prior)
    assert entry["sha256"] == hashlib.sha256(smoothing_prior.read_bytes()).hexdigest()
    assert 0.2 < entry["strength"] <= 1
    assert 0.05 < entry["moved_rms_sigma"] < entry["moved_largest_sigma"]
    assert entry["withheld_deviance_per_pixel"]["with"] < entry["withheld_deviance_per_pixel"]["without"]
    assert entry["reason"].startswith("the withheld photons are explained")
    saved = ptychopinn.Reconstruction.load(folder)
    assert saved.metadata["prior"] == entry
    assert saved.prior_correction is not None
    assert made.reconstruction.prior_correction is not None
    np.testing.assert_array_equal(saved.prior_correction, made.reconstruction.prior_correction)
    log = (folder / "run.log").read_text()
    assert entry["sha256"] in log
    assert entry["reason"] in log
    assert made.metrics["timings"]["prior_s"] > 0
    assert saved.metadata["method"].endswith(", prior blur.safetensors")


def test_verdict_and_misfit_are_those_of_the_image_with_the_prior(
    scan: Scan, written: tuple[Reconstructed, Path], plain: Reconstructed
) -> None:
    assert written[0].metrics["data"] != plain.metrics["data"]
    again = ptychopinn.reconstruct(scan, None, written[1], refine=12, overrides=written_with(written), resume=True)
    assert again.metrics["data"] == written[0].metrics["data"]


def written_with(written: tuple[Reconstructed, Path]) -> list[str]:
    return using(written[0].metrics["prior"]["prior"])


def test_a_resumed_run_does_not_apply_it_twice(scan: Scan, written: tuple[Reconstructed, Path]) -> None:
    again = ptychopinn.reconstruct(scan, None, written[1], refine=12, overrides=written_with(written), resume=True)
    np.testing.assert_array_equal(again.reconstruction.object_, written[0].reconstruction.object_)
    assert again.metrics["prior"] == written[0].metrics["prior"]
    assert again.metrics["timings"]["refine_s"] == 0


def test_another_prior_of_a_resumed_run_takes_the_place_of_the_first(
    scan: Scan, plain: Reconstructed, smoothing_prior: Path, tmp_path: Path
) -> None:
    ptychopinn.reconstruct(scan, None, tmp_path, refine=12, overrides=using(smoothing_prior))
    calls: list[int] = []
    without = ptychopinn.reconstruct(
        scan, None, tmp_path, refine=12, overrides=SOLVER, resume=True, on_iteration=lambda *_: calls.append(1)
    )
    assert not calls
    assert "prior" not in without.metrics
    np.testing.assert_allclose(without.reconstruction.object_, plain.reconstruction.object_, atol=1e-6)
    assert "prior_correction" not in np.load(tmp_path / "reconstruction.npz").files
    ptychopinn.reconstruct(scan, None, tmp_path, refine=12, overrides=using(smoothing_prior), resume=True)
    assert "prior_correction" in np.load(tmp_path / "reconstruction.npz").files


def test_ctrl_c_in_the_prior_keeps_the_image_of_the_solver_and_resume_applies_it(
    scan: Scan, plain: Reconstructed, smoothing_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prior_use, "with_prior", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ptychopinn.reconstruct(scan, None, tmp_path, refine=12, overrides=using(smoothing_prior))
    kept = ptychopinn.Reconstruction.load(tmp_path)
    assert kept.metadata["prior"]["reason"] == INTERRUPTED
    np.testing.assert_array_equal(kept.object_, plain.reconstruction.object_)
    calls: list[int] = []
    resumed = ptychopinn.reconstruct(
        scan,
        None,
        tmp_path,
        refine=12,
        overrides=using(smoothing_prior),
        resume=True,
        on_iteration=lambda *_: calls.append(1),
    )
    assert not calls
    assert resumed.reconstruction.prior_correction is not None


def test_a_correction_that_is_not_finite_leaves_the_image_of_the_solver(
    scan: Scan, plain: Reconstructed, smoothing_prior: Path, tmp_path: Path
) -> None:
    prior = load_prior(smoothing_prior)
    with torch.no_grad():
        for parameter in prior.network.parameters():
            parameter.fill_(1e38)
    with pytest.raises(BundleError, match="too large for float16"):
        save_prior(prior, tmp_path / "broken.safetensors")
    broken = tmp_path / "broken.safetensors"  # in float32, as earlier versions wrote it
    parts = {"recipe": prior.recipe.model_dump(mode="json"), "record": prior.record.model_dump(mode="json")}
    broken.write_bytes(pack_tensors(prior.network.state_dict(), {"prior": json.dumps(parts)}))
    made = ptychopinn.reconstruct(scan, refine=12, overrides=using(broken))
    np.testing.assert_array_equal(made.reconstruction.object_, plain.reconstruction.object_)
    assert "not finite" in made.metrics["prior"]["reason"]


def test_counts_that_are_no_photons_say_why_nothing_was_done(scan: Scan, smoothing_prior: Path) -> None:
    scaled = replace(scan, patterns=scan.patterns.astype(np.float32) * 0.37)
    made = ptychopinn.reconstruct(scaled, refine=3, overrides=using(smoothing_prior))
    assert "not photon counts" in made.metrics["prior"]["reason"]
    assert made.reconstruction.prior_correction is None


@pytest.mark.parametrize("command", ["reconstruct", "run"])
def test_a_missing_prior_is_refused_before_work_starts(scan: Scan, tmp_path: Path, command: str) -> None:
    with pytest.raises(BundleError, match=r"reconstruction\.prior \(--prior\): .*; none uses no prior"):
        getattr(ptychopinn, command)(scan, output=tmp_path / "out", overrides=using(tmp_path / "no.safetensors"))
    assert not (tmp_path / "out").exists()


def test_run_compares_images_with_the_prior(scan: Scan, smoothing_prior: Path, tmp_path: Path) -> None:
    settings = [*MODEL, "reconstruction.refine.iterations=6"]
    made = ptychopinn.run(scan, tmp_path, overrides=using(smoothing_prior, *settings))
    part = ptychopinn.Reconstruction.load(tmp_path / "checkpoints" / "part_image.npz")
    assert part.prior_correction is not None
    for image in (made.reconstructed, made.other):
        assert image is not None
        assert image.metrics["prior"]["sha256"] == part.metadata["prior"]["sha256"]
    assert made.reconstructed.metrics["other_image"]["prior"]["strength"] > 0
    without = ptychopinn.run(scan, overrides=[*SOLVER, *settings])
    assert made.choice is not None
    assert without.choice is not None
    assert made.choice.entry()["deviance_per_pixel"]["solver"] < without.choice.entry()["deviance_per_pixel"]["solver"]


def test_the_image_of_a_network_alone_says_why_it_is_not_used(scan: Scan, smoothing_prior: Path) -> None:
    trained = ptychopinn.train(scan, overrides=MODEL)
    made = ptychopinn.reconstruct(scan, trained, overrides=using(smoothing_prior))
    assert made.metrics["prior"]["reason"] == NETWORK_ALONE
    assert made.reconstruction.prior_correction is None
    refined = ptychopinn.reconstruct(scan, trained, refine=4, overrides=using(smoothing_prior))
    assert refined.reconstruction.prior_correction is not None


def test_halves_of_the_data_are_solved_without_it(scan: Scan, smoothing_prior: Path, tmp_path: Path) -> None:
    halves = "reconstruction.resolution=photons"
    ptychopinn.reconstruct(scan, None, tmp_path, refine=4, overrides=using(smoothing_prior, halves))
    for number in (1, 2):
        half = ptychopinn.Reconstruction.load(tmp_path / "checkpoints" / f"half_of_photons_{number}_image.npz")
        assert half.prior_correction is None
        assert "prior" not in half.metadata


def test_info_tells_recipe_record_and_scores(smoothing_prior: Path) -> None:
    rows = dict(prior_rows(smoothing_prior))
    assert rows["sha256"] == hashlib.sha256(smoothing_prior.read_bytes()).hexdigest()
    assert rows["recipe: width"] == "4"
    assert rows["trained_on"] == "nothing"
    assert rows["settings: seed"] == "3"
    assert rows["scores: gain: phase_dB"] == "1.5"
    prior = load_prior(smoothing_prior)
    assert int(rows["weights"]) == sum(value.numel() for value in prior.network.state_dict().values())


def test_a_long_record_is_cut(smoothing_prior: Path, tmp_path: Path) -> None:
    known = load_prior(smoothing_prior)
    record = known.record.changed(scores={str(number): number for number in range(99)})
    rows = prior_rows(save_prior(Prior(known.network, record, ""), tmp_path / "long.safetensors"))
    assert len(rows) < 60
    assert rows[-1][1].endswith("more entries of the record")


@pytest.mark.parametrize(("photons", "used"), [("1e3", True), ("1e7", False)])
def test_by_default_the_prior_of_the_package_is_used_where_photons_are_few(photons: str, used: bool) -> None:
    scan = ptychopinn.simulate(overrides=[*SCAN, f"simulation.photons_per_pattern={photons}"]).scan
    made = ptychopinn.reconstruct(scan, refine=4, overrides=["reconstruction.check=false"])
    entry = made.metrics["prior"]
    assert entry["prior"] == "default"
    assert ("prior_s" in made.metrics["timings"]) == used
    assert ("reconstruction.prior=default uses it always" in entry["reason"]) != used


def test_an_object_that_the_solver_held_is_not_corrected(scan: Scan, smoothing_prior: Path) -> None:
    held = using(smoothing_prior, "reconstruction.refine.object=false")
    made = ptychopinn.reconstruct(scan, refine=1, overrides=held)
    assert made.reconstruction.prior_correction is None
    assert made.metrics["prior"]["reason"] == OBJECT_HELD


def test_warnings_of_the_solver_come_once(scan: Scan, smoothing_prior: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The strength of a prior is found by further iterations, whose warnings would repeat those of the image."""
    assert scan.probe is not None
    dim = replace(scan, probe=scan.probe / 2)
    made = ptychopinn.reconstruct(dim, refine=4, overrides=using(smoothing_prior, "model.intensity_scale=probe"))
    assert made.metrics["prior"]["moved_rms_sigma"] >= 0
    told = [record.getMessage() for record in caplog.records if "transmission exceeds 1" in record.getMessage()]
    assert len(told) == 1
