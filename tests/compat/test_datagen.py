"""Simulated data under the earlier names: the core's arrays, files that `info` passes and that train."""

from pathlib import Path

import numpy as np
import pytest

import ptychopinn
from ptycho.raw_data import RawData
from ptycho_torch.config_params import DataConfig, DatagenConfig
from ptycho_torch.datagen import (
    Datagen,
    from_simulation,
    generate_data_from_experiment,
    simulate_multiple_experiments,
)
from ptychopinn.errors import ConfigError, PtychoPINNError
from ptychopinn.simulation import make_object, make_probe, record_patterns

QUICK = ["training.epochs=2", "model.generator.width=2", "model.generator.levels=2", "training.device=cpu"]
SMALL = DatagenConfig(objects_per_probe=2, diff_per_object=60, image_size=(40, 48), beamstop_diameter=3)


@pytest.fixture
def scene() -> dict[str, np.ndarray]:
    """More columns than rows, and positions that tell the axes apart."""
    object_ = make_object("dead_leaves", (40, 64), np.random.default_rng(0))
    x, y = np.array([12.25, 40.5, 50.0]), np.array([12.0, 20.75, 30.5])
    return {"xcoords": x, "ycoords": y, "probeGuess": make_probe("disk", 16)[0], "objectGuess": object_}


def test_from_simulation_records_columns_as_x_and_rows_as_y(scene: dict[str, np.ndarray]) -> None:
    data = from_simulation(**scene, nphotons=1e4, poisson_noise=False)
    positions = np.stack([scene["ycoords"], scene["xcoords"]], axis=1)
    expected = record_patterns(scene["objectGuess"], data.scan.probe, positions, None)
    np.testing.assert_allclose(data.diff3d, expected, rtol=1e-5)
    np.testing.assert_array_equal(data.xcoords, scene["xcoords"])
    np.testing.assert_array_equal(data.Y[1], scene["objectGuess"][13:29, 33:49])


def test_nphotons_is_the_mean_count_of_a_pattern(scene: dict[str, np.ndarray]) -> None:
    data = from_simulation(**scene, nphotons=1e4, poisson_noise=False)
    assert data.diff3d.sum(axis=(1, 2)).mean() == pytest.approx(1e4, rel=1e-4)


def test_without_nphotons_the_probe_says_the_dose(scene: dict[str, np.ndarray]) -> None:
    bright = from_simulation(**scene | {"probeGuess": scene["probeGuess"] * 100}, labels=False)
    np.testing.assert_array_equal(bright.probeGuess, scene["probeGuess"] * 100)
    assert bright.Y is None
    assert bright.diff3d.dtype == np.uint16


def test_object_and_probe_come_from_files_too(scene: dict[str, np.ndarray], tmp_path: Path) -> None:
    np.savez(tmp_path / "scene.npz", **scene)
    both = {"probeGuess": tmp_path / "scene.npz", "objectGuess": str(tmp_path / "scene.npz")}
    from_files = from_simulation(**scene | both, nphotons=1e4)
    np.testing.assert_array_equal(from_files.diff3d, from_simulation(**scene, nphotons=1e4).diff3d)


def test_seed_scan_index_and_beam_stop_arrive(scene: dict[str, np.ndarray]) -> None:
    def made(seed: int) -> RawData:
        return from_simulation(**scene, nphotons=1e4, scan_index=[0, 1, 1], beamstop_diameter=3, seed=seed)

    first, again, other = made(1), made(1), made(2)
    assert first.diff3d.tobytes() == again.diff3d.tobytes() != other.diff3d.tobytes()
    assert first.scan_index.tolist() == [0, 1, 1]
    assert first.scan.bad_pixels is not None
    assert first.scan.bad_pixels.sum() == 9
    assert first.diff3d[:, 7:10, 7:10].max() == 0


def test_a_patch_that_leaves_the_object_is_refused(scene: dict[str, np.ndarray]) -> None:
    with pytest.raises(PtychoPINNError, match="leave the canvas"):
        from_simulation(**scene | {"xcoords": scene["xcoords"] + 30})


def test_every_probe_sees_its_own_objects(tmp_path: Path) -> None:
    probes = []
    for kind in ("disk", "zone_plate"):
        np.savez(tmp_path / f"{kind}.npz", probeGuess=make_probe(kind, 16)[0])
        probes.append(str(tmp_path / f"{kind}.npz"))
    settings = DatagenConfig(**{**vars(SMALL), "probe_paths": probes, "object_class": "GRF"})
    made = Datagen(None, None, settings, DataConfig(nphotons=2e4)).simulate(tmp_path / "out", seed=3)

    assert [data.diff3d.shape for data in made] == [(60, 16, 16)] * 4
    assert len({data.objectGuess.tobytes() for data in made if data.objectGuess is not None}) == 4
    assert made[0].probeGuess.shape == (16, 16)
    likeness = [abs(np.vdot(a.probeGuess, b.probeGuess)) for a, b in ((made[0], made[1]), (made[0], made[2]))]
    assert likeness[0] > 1.1 * likeness[1]
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"experiment_{i:03d}.npz" for i in range(4)]
    np.testing.assert_array_equal(RawData.from_file(files[3]).diff3d, made[3].diff3d)
    again = Datagen(probes, None, settings, DataConfig(nphotons=2e4)).simulate(seed=3)
    assert [data.diff3d.tobytes() for data in again] == [data.diff3d.tobytes() for data in made]


def test_experiments_pass_info_and_train(tmp_path: Path) -> None:
    Datagen(datagen_config=SMALL, data_config=DataConfig(N=16)).simulate(tmp_path)
    files = sorted(tmp_path.iterdir())
    about = ptychopinn.info(files[0])
    assert (about.domain, about.labels, about.patterns) == ("counts", True, 60)
    assert about.bad_pixel_fraction == pytest.approx(9 / 256)
    trained = ptychopinn.train(files, overrides=QUICK)
    assert np.isfinite(trained.history["train_loss"]).all()


def test_unknown_object_class_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="dead_leaves"):
        Datagen(datagen_config=DatagenConfig(object_class="lena"), data_config=DataConfig(N=16)).simulate()


def test_objects_and_probes_of_ones_own_are_recorded_in_pairs(tmp_path: Path) -> None:
    objects = [make_object("dead_leaves", (40, 48), np.random.default_rng(i)) for i in (0, 1)]
    probe = make_probe("disk", 16)[0]
    config = DataConfig(nphotons=1e4)
    made = simulate_multiple_experiments(objects, [probe], 9, (36, 40), config, {"seed": 5}, tmp_path / "out")
    assert [data.objectGuess.shape for data in made] == [(36, 40)] * 2
    assert made[0].diff3d.sum((1, 2)).mean() == pytest.approx(1e4, rel=0.1)
    assert len(list((tmp_path / "out").iterdir())) == 2
    simulate_multiple_experiments(objects, [probe] * 2, 9, (36, 40), config, {}, tmp_path / "none", save_bool=False)
    assert not (tmp_path / "none").exists()
    with pytest.raises(ConfigError, match="2 objects and 3 probes"):
        simulate_multiple_experiments(objects, [probe] * 3, 9, (36, 40), config, {}, tmp_path)


def test_what_a_probe_argument_does_not_mean_is_named(scene: dict[str, np.ndarray], caplog) -> None:
    data = from_simulation(*scene.values(), DataConfig(nphotons=1e4), {"defocus": 3, "poisson_noise": False})
    assert data.diff3d.sum((1, 2)).mean() == pytest.approx(1e4, rel=1e-4)
    assert "defocus not followed; known are beamstop_diameter" in caplog.text


def test_labels_of_an_experiment_are_cut_from_its_reconstruction() -> None:
    data = Datagen(datagen_config=SMALL, data_config=DataConfig(N=16)).simulate()[0]
    arrays = data.diff3d, data.objectGuess, data.probeGuess, data.xcoords, data.ycoords
    labelled = generate_data_from_experiment(*arrays, DataConfig(), None)
    np.testing.assert_array_equal(labelled.Y, data.Y)
    part = generate_data_from_experiment(*arrays, DataConfig(), None, batch_size=20, random_seed=1)
    assert len(part) == 20
    with pytest.raises(PtychoPINNError, match="leave the canvas"):
        generate_data_from_experiment(data.diff3d, data.objectGuess[:20], *arrays[2:])
    supervised = ptychopinn.train(labelled.scan, overrides=["model.kind=supervised", "data.group_size=1", *QUICK])
    assert np.isfinite(supervised.history["train_loss"]).all()
