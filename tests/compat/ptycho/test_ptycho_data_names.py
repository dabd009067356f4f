"""Files, data and containers as scripts of legacy PtychoPINN write and read them."""

import json

import numpy as np
import pytest

from ptycho import params
from ptycho.config.config import ModelConfig, TrainingConfig
from ptycho.loader import PtychoDataContainer
from ptycho.metadata import MetadataManager, load_config_from_metadata
from ptycho.model import channels_second
from ptycho.probe import get_default_probe, get_probe, set_default_probe
from ptycho.raw_data import RawData
from ptycho.workflows.components import create_ptycho_data_container, load_data
from ptychopinn.data.dose import with_photons
from ptychopinn.errors import ConfigError


def amplitudes(n: int = 12, scale: float = 0.1) -> dict:
    rng = np.random.default_rng(2)
    return {
        "diffraction": rng.uniform(0, scale, (n, 16, 16)).astype(np.float32),
        "xcoords": rng.uniform(20, 40, n),
        "ycoords": rng.uniform(20, 40, n),
        "probeGuess": np.ones((16, 16), np.complex64),
    }


def test_a_file_of_the_earlier_tools_is_read(tmp_path) -> None:
    """Its metadata are a pickled text, what is not there is a pickled None, and `scan_index` numbers the frames."""
    about = {"physics_parameters": {"nphotons": 1e6}}
    objects = {"_metadata": np.array(json.dumps(about), dtype=object), "Y": np.array(None, dtype=object)}
    np.savez(tmp_path / "old.npz", **amplitudes(), **objects, scan_index=np.arange(12))

    raw = RawData.from_file(tmp_path / "old.npz")
    assert raw.metadata["physics_parameters"] == {"nphotons": 1e6}
    assert raw.scan.scan_index is None
    assert not raw.scan_index.any()
    arrays, metadata = MetadataManager.load_with_metadata(tmp_path / "old.npz")
    assert MetadataManager.get_nphotons(metadata) == 1e6
    assert "Y" not in arrays
    assert arrays["diffraction"].shape == (12, 16, 16)
    first, second = RawData.from_files(tmp_path / "old.npz", tmp_path / "old.npz")
    np.testing.assert_array_equal(first.diff3d, second.diff3d)


def test_another_pickled_object_is_left_out(tmp_path) -> None:
    np.savez(tmp_path / "old.npz", **amplitudes(), _metadata=np.array({"a": 1}, dtype=object))
    assert "a" not in RawData.from_file(tmp_path / "old.npz").metadata


def test_real_object_numbers_stay() -> None:
    parts = amplitudes()
    raw = RawData.from_coords(parts["xcoords"], parts["ycoords"], parts["diffraction"], parts["probeGuess"], [0, 1] * 6)
    assert raw.scan_index.tolist() == [0, 1] * 6


def test_nphotons_sets_the_dose_of_normalised_amplitudes(scan) -> None:
    parts = amplitudes()
    raw = RawData.from_coords(parts["xcoords"], parts["ycoords"], parts["diffraction"], parts["probeGuess"])
    dosed = with_photons(raw.scan, 1e6)
    assert dosed.counts().sum((1, 2)).mean() == pytest.approx(1e6, rel=1e-4)
    ratio = dosed.amplitudes() / raw.diff3d
    np.testing.assert_allclose(ratio, np.abs(dosed.probe[0, 0, 0]), rtol=1e-4)
    assert with_photons(scan(), 1e6) is not None
    assert with_photons(scan(), 1e6).patterns is scan().patterns


def test_amplitudes_in_photons_keep_their_dose(tmp_path) -> None:
    counts = np.random.default_rng(0).poisson(3, (12, 16, 16))
    raw = RawData.from_coords(**{**_coords(), "diff3d": np.sqrt(counts).astype(np.float32)})
    assert with_photons(raw.scan, 1e9) is raw.scan


def _coords() -> dict:
    parts = amplitudes()
    return {"xcoords": parts["xcoords"], "ycoords": parts["ycoords"], "probeGuess": parts["probeGuess"]}


def test_from_simulation_records_with_the_dose_of_the_settings() -> None:
    rng = np.random.default_rng(0)
    object_ = (1 - 0.3 * rng.random((60, 50))).astype(np.complex64)
    params.cfg["nphotons"] = 1e5
    raw = RawData.from_simulation(
        rng.uniform(10, 38, 9), rng.uniform(10, 48, 9), get_default_probe(16, "np"), object_, np.zeros(9, int)
    )
    assert raw.diff3d.sum((1, 2)).mean() == pytest.approx(1e5, rel=0.05)
    assert raw.Y.shape == (9, 16, 16)
    np.testing.assert_array_equal(raw.objectGuess, object_)


def test_load_data_takes_a_part_and_turns_the_positions(tmp_path) -> None:
    np.savez(tmp_path / "scan.npz", **amplitudes())
    whole = load_data(tmp_path / "scan.npz")
    assert len(load_data(tmp_path / "scan.npz", n_images=5)) == 5
    part = load_data(tmp_path / "scan.npz", n_subsample=7, subsample_seed=1)
    assert len(part) == 7
    assert set(part.xcoords) <= set(whole.xcoords)
    turned = load_data(tmp_path / "scan.npz", swap_xy=True, coord_scale=2.0)
    np.testing.assert_allclose(turned.xcoords, 2 * whole.ycoords)
    flipped = load_data(tmp_path / "scan.npz", flip_x=True)
    np.testing.assert_allclose(np.ptp(flipped.xcoords), np.ptp(whole.xcoords))
    assert np.corrcoef(flipped.xcoords, whole.xcoords)[0, 1] == pytest.approx(-1)


def test_containers_of_arrays_and_of_data_are_the_same(tmp_path) -> None:
    raw = RawData.from_coords(**_coords(), diff3d=amplitudes()["diffraction"])
    config = TrainingConfig(model=ModelConfig(N=16, gridsize=2))
    made = create_ptycho_data_container(raw, config)
    assert (made.X.shape, made.coords_relative.shape, made.global_offsets.shape) == (
        (12, 16, 16, 4),
        (12, 1, 2, 4),
        (12, 1, 2, 1),
    )
    assert made.YY_full is None
    names = ("X", "Y_I", "Y_phi", "norm_Y_I", "YY_full", "coords_nominal", "coords_true", "nn_indices")
    again = PtychoDataContainer(
        *(getattr(made, name) for name in names), made.global_offsets, made.local_offsets, made.probe
    )
    for name in ("X", "Y", "coords", "norm_Y_I", "probe"):
        np.testing.assert_allclose(getattr(again, name), getattr(made, name), rtol=1e-6)
    with np.load(made.to_npz(tmp_path / "container.npz")) as stored:
        assert {"X", "Y_I", "Y_phi", "coords_nominal", "probeGuess", "global_offsets"} <= set(stored.files)
    batches = list(made.as_tf_dataset(5))
    assert [len(inputs[0]) for inputs, _ in batches] == [5, 5, 2]
    assert create_ptycho_data_container(made, config) is made


def test_a_container_of_the_clients_arrays(scan, arrays) -> None:
    given = arrays(scan())
    params.cfg["gridsize"] = 1
    made = PtychoDataContainer.from_raw_data_without_pc(**given)
    assert made.X.shape == (len(scan()), 32, 32, 1)


def test_both_layouts_are_told_apart() -> None:
    for channels in (1, 2, 4):
        assert channels_second((5, channels, 8, 8), (5, channels, 1, 2))
        assert not channels_second((5, 8, 8, channels), (5, 1, 2, channels))


def test_metadata_are_made_compared_changed_and_merged() -> None:
    config = TrainingConfig(model=ModelConfig(N=64, gridsize=2), nphotons=1e6)
    made = MetadataManager.create_metadata(config, "simulate.py", probe="ring")
    assert MetadataManager.get_nphotons(made) == 1e6
    assert MetadataManager.get_nphotons(None) == MetadataManager.get_nphotons({}) == 1e9
    assert made["additional_parameters"] == {"probe": "ring"}
    assert MetadataManager.validate_parameters(made, config) == []
    other = TrainingConfig(model=ModelConfig(N=64, gridsize=2), nphotons=1e9)
    (sentence,) = MetadataManager.validate_parameters(made, other)
    assert "nphotons is 1e+06 in the file but 1e+09" in sentence
    step = MetadataManager.add_transformation_record(made, "split", "half", {"axis": "y"})
    assert made["data_transformations"] == []
    assert step["data_transformations"][0]["tool"] == "split"
    merged = MetadataManager.merge_metadata([step, MetadataManager.create_metadata(other, "b.py")])
    assert MetadataManager.get_nphotons(merged) == 1e6
    assert len(merged["data_transformations"]) == 1
    last = MetadataManager.merge_metadata([made, MetadataManager.create_metadata(other, "b")], "preserve_last")
    assert MetadataManager.get_nphotons(last) == 1e9
    with pytest.raises(ConfigError, match="preserve_first, preserve_last"):
        MetadataManager.merge_metadata([made], "union")
    assert load_config_from_metadata(made) == config
    with pytest.raises(ConfigError, match="no training_config"):
        load_config_from_metadata({})


def test_a_file_that_contradicts_the_settings_is_named(tmp_path, caplog) -> None:
    config = TrainingConfig(model=ModelConfig(N=16), nphotons=1e6)
    made = MetadataManager.create_metadata(config, "a.py")
    path = MetadataManager.save_with_metadata(tmp_path / "scan.npz", amplitudes(), made)
    other = TrainingConfig(model=ModelConfig(N=16), nphotons=1e8)
    RawData.from_file(path, validate_config=True, current_config=other)
    assert "nphotons is 1e+06 in the file" in caplog.text


def test_the_default_probe_is_the_disk() -> None:
    assert get_default_probe(64).shape == (64, 64, 1)
    params.cfg["N"] = 32
    set_default_probe()
    assert get_probe().shape == (32, 32)
    assert get_probe(params.cfg) is params.cfg["probe"]
    with pytest.raises(ValueError, match="'tf' or 'np'"):
        get_default_probe(32, "torch")
