"""Error bars in `reconstruct` and `run`: in the files, in the figure, and where there can be none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.api.figure_content import content_of_image
from ptychopinn.api.metric_rows import error_bars_text
from ptychopinn.api.reconstructed import Reconstructed
from ptychopinn.api.uncertainty import DOES_NOT_FIT, NO_SOLVER, NOT_WHOLE, OBJECT_HELD
from ptychopinn.cli import app
from ptychopinn.data import Scan
from ptychopinn.data.io import write_scan
from ptychopinn.plotting import figure_reconstruction

SMALL = ["simulation.object_size_px=72", "simulation.probe_size_px=32", "simulation.step_px=5", "simulation.seed=51"]
QUICK = ["reconstruction.refine.iterations=12", "reconstruction.check=false", "reconstruction.prior=none"]
MODEL = ["model.generator.width=2", "model.generator.levels=2", "training.epochs=1"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    return ptychopinn.simulate(overrides=[*SMALL, "simulation.photons_per_pattern=1e4"]).scan


@pytest.fixture(scope="module")
def written(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Reconstructed, Path]:
    folder = tmp_path_factory.mktemp("bars")
    return ptychopinn.reconstruct(scan, None, folder, overrides=QUICK, uncertainty=True), folder


def test_they_stand_in_file_metrics_and_figure(written: tuple[Reconstructed, Path]) -> None:
    made, folder = written
    with np.load(folder / "reconstruction.npz") as file:
        assert file["amplitude_error"].shape == file["phase_error"].shape == file["object"].shape
    saved = ptychopinn.Reconstruction.load(folder)
    np.testing.assert_array_equal(saved.phase_error, made.reconstruction.phase_error)
    metrics = json.loads((folder / "metrics.json").read_text())
    entry = metrics["uncertainty"]
    assert entry == saved.metadata["uncertainty"]
    assert entry["valid"]
    assert entry["replicas"] == 2
    assert entry["amplitude_error_median"] > 0
    assert metrics["timings"]["uncertainty_s"] > 0
    assert error_bars_text(entry).startswith("amplitude ")
    content = content_of_image(saved)
    assert content.bars is not None
    titles = [axes.get_title(loc="left") for axes in figure_reconstruction(saved, content=content).axes]
    assert "Error bar of the amplitude (σ)" in titles
    assert "Error bar of the phase (σ)" in titles


@pytest.mark.parametrize("name", ["bars.cxi", "bars.h5"])
def test_exports_keep_them(written: tuple[Reconstructed, Path], tmp_path: Path, name: str) -> None:
    image = written[0].reconstruction
    read = ptychopinn.Reconstruction.load(image.save(tmp_path / name))
    assert read.amplitude_error is not None
    np.testing.assert_array_equal(read.amplitude_error, image.amplitude_error)
    np.testing.assert_array_equal(read.phase_error, image.phase_error)


def test_without_the_setting_there_are_none(scan: Scan) -> None:
    made = ptychopinn.reconstruct(scan, overrides=QUICK)
    assert made.reconstruction.amplitude_error is None
    assert "uncertainty" not in made.metrics


def test_the_image_stays_as_it_is(written: tuple[Reconstructed, Path], scan: Scan) -> None:
    plain = ptychopinn.reconstruct(scan, overrides=QUICK)
    np.testing.assert_array_equal(written[0].reconstruction.object_, plain.reconstruction.object_)


def test_with_the_prior_the_replicas_have_it_too(scan: Scan) -> None:
    always = [*QUICK, "reconstruction.prior=default"]
    made = ptychopinn.reconstruct(scan, overrides=always, uncertainty=True)
    without = ptychopinn.reconstruct(scan, overrides=QUICK, uncertainty=True)
    assert made.reconstruction.prior_correction is not None
    assert (
        made.metrics["uncertainty"]["amplitude_error_median"] < without.metrics["uncertainty"]["amplitude_error_median"]
    )


def test_refined_positions_count(scan: Scan) -> None:
    """Replicas begin with the positions of the scan and refine them."""
    moving = [*QUICK, "reconstruction.refine.positions=true"]
    made = ptychopinn.reconstruct(scan, overrides=moving, uncertainty=True)
    assert made.metrics["uncertainty"]["valid"]


def test_bars_of_an_image_that_does_not_fit_are_marked(scan: Scan, tmp_path: Path) -> None:
    bright = ptychopinn.simulate(overrides=[*SMALL, "simulation.photons_per_pattern=1e6"]).scan
    order = np.random.default_rng(0).permutation(len(bright))
    wrong = replace(bright, positions_px=bright.positions_px[order], object_guess=None, truth_patches=None)
    made = ptychopinn.reconstruct(wrong, None, tmp_path, overrides=QUICK, uncertainty=True)
    assert made.verdict is not None
    assert made.verdict.level == "does not fit"
    entry = json.loads((tmp_path / "metrics.json").read_text())["uncertainty"]
    assert not entry["valid"]
    assert entry["reason"] == DOES_NOT_FIT
    saved = ptychopinn.Reconstruction.load(tmp_path)
    assert not saved.metadata["uncertainty"]["valid"]
    titles = [axes.get_title(loc="left") for axes in figure_reconstruction(saved, content=content_of_image(saved)).axes]
    assert "Error bar of the phase (σ), NOT VALID" in titles


def test_a_resumed_run_keeps_no_bars_of_other_settings(scan: Scan, tmp_path: Path) -> None:
    whole = ptychopinn.reconstruct(scan, None, tmp_path, overrides=QUICK, uncertainty=True)
    calls: list[int] = []
    more = [*QUICK, "reconstruction.uncertainty=true", "reconstruction.uncertainty_replicas=1"]
    again = ptychopinn.reconstruct(
        scan, None, tmp_path, overrides=more, resume=True, on_iteration=lambda done, *_: calls.append(done)
    )
    assert calls == [], "the image itself is taken from the folder"
    np.testing.assert_array_equal(again.reconstruction.object_, whole.reconstruction.object_)
    assert again.metrics["uncertainty"]["replicas"] == 1
    plain = ptychopinn.reconstruct(scan, None, tmp_path, overrides=QUICK, resume=True)
    assert plain.reconstruction.amplitude_error is None
    assert "uncertainty" not in plain.reconstruction.metadata


def test_ctrl_c_while_replicas_are_solved_leaves_the_image(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ptychopinn.api.uncertainty.iterated", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ptychopinn.reconstruct(scan, None, tmp_path, overrides=QUICK, uncertainty=True)
    saved = ptychopinn.Reconstruction.load(tmp_path)
    assert saved.amplitude_error is None
    assert "interrupted" not in saved.metadata


def test_values_that_are_no_counts_have_none(scan: Scan) -> None:
    scaled = replace(scan, patterns=scan.patterns.astype(np.float32) * np.float32(0.37))
    made = ptychopinn.reconstruct(scaled, overrides=QUICK, uncertainty=True)
    assert made.metrics["uncertainty"] == {"valid": False, "reason": NOT_WHOLE}
    assert made.reconstruction.amplitude_error is None


def test_a_held_object_has_none(scan: Scan) -> None:
    held = [*QUICK, "reconstruction.refine.object=false"]
    made = ptychopinn.reconstruct(scan, overrides=held, uncertainty=True)
    assert made.metrics["uncertainty"]["reason"] == OBJECT_HELD


def test_an_image_that_began_with_a_network_has_none(scan: Scan) -> None:
    trained = ptychopinn.train(scan, overrides=MODEL)
    for refine in (0, 2):
        made = ptychopinn.reconstruct(scan, trained, refine=refine, uncertainty=True)
        assert made.metrics["uncertainty"] == {"valid": False, "reason": NO_SOLVER}
        assert made.reconstruction.phase_error is None


def test_the_commands_take_the_option(scan: Scan, tmp_path: Path) -> None:
    file = tmp_path / "scan.npz"
    write_scan(scan, file)
    settings = [word for text in QUICK for word in ("--set", text)]
    for number, command in enumerate((["reconstruct"], ["run", "--no-train"])):
        folder = tmp_path / f"out{number}"
        told = CliRunner().invoke(app, [*command, str(file), "-o", str(folder), "--uncertainty", *settings])
        assert told.exit_code == 0, told.output
        assert "error bars" in told.output
        assert json.loads((folder / "metrics.json").read_text())["uncertainty"]["valid"]
