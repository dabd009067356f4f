"""Several experiments at once, from Python and from the command line; labels from an experiment; both train."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ptychopinn
from ptychopinn.api.simulate import label_scan, simulate_multiple
from ptychopinn.cli import app
from ptychopinn.errors import ConfigError, OutputError, ScanError

TINY = [f"simulation.{setting}" for setting in ("object_size_px=52", "probe_size_px=16", "step_px=3", "device=cpu")]
QUICK = ["training.epochs=2", "model.generator.width=2", "model.generator.levels=2", "training.device=cpu"]
HARD = [
    f"simulation.{setting}"
    for setting in ("beamstop_diameter_px=2", "bad_pixel_fraction=0.02", "position_error_px=0.3", "labels=true")
]


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["simulate", *(str(word) for word in words)])
    return result.exit_code, result.output


def words(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_experiments_have_objects_of_their_own_and_share_the_beam() -> None:
    made = simulate_multiple(3, overrides=[*TINY, "simulation.seed=5"])
    assert [one.scan.metadata["seed"] for one in made] == [5, 6, 7]
    assert len({one.scan.object_guess.tobytes() for one in made if one.scan.object_guess is not None}) == 3
    assert len({one.scan.probe.tobytes() for one in made}) == 1
    alone = ptychopinn.simulate(overrides=[*TINY, "simulation.seed=6"]).scan
    np.testing.assert_array_equal(made[1].scan.patterns, alone.patterns)
    assert all(one.path is None for one in made)


def test_varied_settings_take_turns() -> None:
    vary = {"probe_kind": ["disk", "zone_plate"], "simulation.photons_per_pattern": [1e3, 1e4, 1e5], "seed": [4]}
    made = simulate_multiple(4, overrides=TINY, vary=vary)
    about = [one.scan.metadata for one in made]
    assert [one["probe_kind"] for one in about] == ["disk", "zone_plate", "disk", "zone_plate"]
    assert [one["photons_per_pattern"] for one in about] == [1e3, 1e4, 1e5, 1e3]
    assert {one["seed"] for one in about} == {4}


@pytest.mark.parametrize(
    ("count", "vary", "message"),
    [
        (0, {}, "one experiment or more"),
        (2, {"probe_kind": []}, "list of one value or more"),
        (2, {"probe_kind": "disk"}, "is no list"),
        (3, {"probe_kind": ["disk", "laser"]}, "experiment 1: simulation.probe_kind"),
        (1, {"prob_kind": ["disk"]}, "did you mean probe_kind"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_is_written(
    tmp_path: Path, count: int, vary: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        simulate_multiple(count, tmp_path / "out", overrides=TINY, vary=vary)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_command_writes_a_folder_of_scans_that_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    code, printed = command("-n", 3, "-o", folder, "--vary", "object_kind=[points, lines]", *words(TINY))
    assert code == 0, printed
    assert sorted(path.name for path in folder.iterdir()) == ["scan_000.npz", "scan_001.npz", "scan_002.npz"]
    kinds = [ptychopinn.read_scan(path).metadata["object_kind"] for path in sorted(folder.iterdir())]
    assert kinds == ["points", "lines", "points"]
    assert printed.count("simulated 121 patterns of 16 x 16 px") == 3


def test_command_makes_one_experiment_for_each_varied_value(tmp_path: Path) -> None:
    code, _ = command("-o", tmp_path, "--vary", "photons_per_pattern=[1e3, 1e5]", *words(TINY))
    assert code == 0
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("vary", ["probe_kind", "probe_kind=disk", "probe_kind=[", "=[disk]", "probe_kind=[]"])
def test_command_refuses_what_is_no_list(tmp_path: Path, vary: str) -> None:
    code, printed = command("-o", tmp_path / "out", "--vary", vary)
    assert code == 2
    assert "must be KEY=[A,B]" in " ".join(printed.split())


def test_command_refuses_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_text("")
    with pytest.raises(OutputError, match="a file is in the way"):
        simulate_multiple(2, tmp_path / "out.npz", overrides=TINY)


@pytest.mark.parametrize("settings", [[], HARD, [*HARD, "model.kind=supervised", "data.group_size=1"]])
def test_what_is_written_passes_info_and_trains(tmp_path: Path, settings: list[str]) -> None:
    made = ptychopinn.simulate(tmp_path / "scan.npz", overrides=[*TINY, *settings])
    about = ptychopinn.info(made.path)
    assert about.labels == bool(settings)
    result = ptychopinn.run(made.path, overrides=[*settings, *QUICK])
    assert np.isfinite(result.trained.history["train_loss"]).all()
    assert result.reconstruction.object_[result.reconstruction.covered].std() > 0


def test_several_experiments_train_one_model(tmp_path: Path) -> None:
    made = simulate_multiple(2, tmp_path, overrides=TINY, vary={"probe_kind": ["disk", "zone_plate"]})
    trained = ptychopinn.train([one.path for one in made if one.path], overrides=QUICK)
    assert np.isfinite(trained.history["train_loss"]).all()


def test_labels_of_an_experiment_are_cut_from_its_reconstruction_and_train(tmp_path: Path) -> None:
    scan = ptychopinn.simulate(tmp_path / "scan.npz", overrides=TINY).scan
    image = ptychopinn.run(scan, tmp_path / "out", overrides=QUICK).reconstruction
    labelled = label_scan(tmp_path / "scan.npz", tmp_path / "out", tmp_path / "new" / "labelled.npz")
    assert labelled.path is not None
    back = ptychopinn.read_scan(labelled.path)
    assert back.truth_patches is not None
    y, x = np.floor(scan.positions_px[17] + 0.5).astype(int) - image.origin_px
    np.testing.assert_array_equal(back.truth_patches[17], image.object_[y - 8 : y + 8, x - 8 : x + 8])
    np.testing.assert_array_equal(back.patterns, scan.patterns)
    np.testing.assert_array_equal(back.object_guess, image.object_)
    supervised = ptychopinn.train(back, overrides=["model.kind=supervised", "data.group_size=1", *QUICK])
    assert np.isfinite(supervised.history["train_loss"]).all()


def test_a_reconstruction_of_another_place_is_refused(tmp_path: Path) -> None:
    scan = ptychopinn.simulate(overrides=TINY).scan
    part = ptychopinn.Reconstruction(np.ones((30, 30)), np.ones((30, 30)), np.zeros(2), scan.positions_px, scan.probe)
    with pytest.raises(ScanError, match="does not cover every pattern"):
        label_scan(scan, part)
    with pytest.raises(OutputError, match=r"ends in \.npz"):
        label_scan(scan, part, tmp_path / "labelled.cxi")
