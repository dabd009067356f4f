"""Grid-lines data as scans: scale, frame, labels, training, and the names that scripts import."""

from pathlib import Path

import numpy as np
import pytest

from ptychopinn import Recipe
from ptychopinn.data import Scan
from ptychopinn.simulation import record_patterns
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.data import GridLinesData, make_grid_lines, scans_of
from ptychopinn.studies.grid_lines.reader import read_grid_lines

SMALL = GridLinesConfig(N=16, size=44, gridsize=2, nimgs_train=2, nphotons=1e5, set_phi=True)


@pytest.fixture(scope="module")
def data() -> GridLinesData:
    return make_grid_lines(SMALL)


@pytest.fixture(scope="module")
def scans(data: GridLinesData) -> list[Scan]:
    return scans_of(data.train, truth_patches=True)


def test_one_scan_for_each_object(data: GridLinesData, scans: list[Scan]) -> None:
    assert [len(scan) for scan in scans] == [4 * len(data.train) // 2] * 2
    for scan, object_ in zip(scans, data.train.scene.objects, strict=True):
        assert scan.object_guess is not None
        np.testing.assert_allclose(data.train.norm * scan.object_guess, object_, rtol=1e-5)


def test_object_probe_and_positions_explain_the_counts(scans: list[Scan]) -> None:
    for scan in scans:
        assert scan.object_guess is not None
        expected = record_patterns(scan.object_guess, scan.probe, scan.positions_px, None).astype(np.float64)
        bright = expected > 5
        assert (np.square(scan.counts() - expected)[bright] / expected[bright]).mean() == pytest.approx(1, abs=0.1)
        assert expected.sum(axis=(1, 2)).mean() == pytest.approx(1e5, rel=0.2)


def test_labels_are_what_each_pattern_sees(scans: list[Scan]) -> None:
    for scan in scans:
        assert scan.object_guess is not None
        assert scan.truth_patches is not None
        for label, (y, x) in zip(scan.truth_patches, scan.positions_px.astype(int) - 8, strict=True):
            np.testing.assert_array_equal(label, scan.object_guess[y : y + 16, x : x + 16])


def test_no_labels_unless_asked(data: GridLinesData) -> None:
    assert all(scan.truth_patches is None for scan in scans_of(data.train))


def test_the_patterns_of_a_group_stand_together(scans: list[Scan]) -> None:
    inner = scans[0].positions_px.reshape(-1, 4, 2)
    np.testing.assert_array_equal(inner - inner[:, :1], np.tile([[0, 0], [0, 4], [4, 0], [4, 4]], (len(inner), 1, 1)))


def test_the_truth_is_a_region_of_the_frame(data: GridLinesData) -> None:
    (scan,) = scans_of(data.test)
    about = scan.metadata["grid_lines"]
    assert scan.object_guess is not None
    region = scan.object_guess[slice(*about["truth_rows"]), slice(*about["truth_columns"])]
    np.testing.assert_allclose(about["norm"] * region, data.test.truth[0], rtol=1e-5)


def test_a_model_trains_on_them_and_reconstructs_the_test_object(data: GridLinesData, scans: list[Scan]) -> None:
    from ptychopinn import reconstruct, train

    small = ("model.generator.width=2", "model.generator.levels=1", "data.group_size=4", "training.device=cpu")
    schedule = ("training.epochs=3", "training.patterns_per_step=16", "training.learning_rate=0.01")
    trained = train(scans, recipe=Recipe().with_overrides([*small, *schedule, "training.warmup_epochs=0"]))
    assert trained.history["train_loss"][-1] < trained.history["train_loss"][0]
    (scan,) = scans_of(data.test)
    image = reconstruct(scan, trained, device="cpu").reconstruction
    assert image.object_.shape == data.test.scene.objects[0].shape
    assert (image.coverage[data.test.scene.layout.truth_region] > 0).all()


def test_grid_lines_sim_returns_both_parts(data: GridLinesData, tmp_path: Path) -> None:
    from ptycho.workflows.grid_lines_workflow import GridLinesConfig as Older
    from ptycho_torch.sim.grid_lines_sim import grid_lines_sim

    older = Older(**SMALL.model_dump(), nepochs=3, batch_size=4, output_dir=tmp_path)
    assert older.data() == SMALL
    made = grid_lines_sim(older)
    for part in ("train", "test"):
        names = ("X", "Y_I", "Y_phi", "coords_nominal", "coords_true", "coords_offsets", "YY_full")
        assert {f"{name}_{part}" for name in names} <= set(made)
    assert {"YY_ground_truth", "norm_Y_I", "probeGuess", "probe_simulated", "intensity_scale", "metadata"} <= set(made)
    np.testing.assert_array_equal(made["X_train"], np.moveaxis(data.train.amplitudes, 1, -1))
    np.testing.assert_array_equal(read_grid_lines(made["test_npz"]).amplitudes, data.test.amplitudes)


def test_grid_lines_sim_takes_settings_one_by_one_and_writes_nothing_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptycho_torch.sim.grid_lines_sim import grid_lines_sim

    monkeypatch.chdir(tmp_path)
    made = grid_lines_sim(N=16, size=32, nimgs_train=1, probe=np.ones((16, 16)))
    assert made["X_train"].shape[1:] == (16, 16, 1)
    assert "train_npz" not in made
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="multiple of 2"):
        grid_lines_sim(outer_offset_train=7)
