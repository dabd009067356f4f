"""The calls of ptychodus' TensorFlow-contract adapter, and each trap that contracts/ptychodus.md lists for it."""

import logging
import pickle
import shutil
import threading
import zipfile
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import yaml

import ptychopinn
from ptycho import params
from ptycho.raw_data import RawData
from ptycho.tf_helper import reassemble_position
from ptycho.workflows.components import load_inference_bundle, run_cdi_example, save_outputs
from ptychopinn.data import read_scan
from ptychopinn.errors import BundleError, ConfigError
from ptychopinn.models import labels_for


@pytest.mark.parametrize("gridsize", [1, 2])
def test_the_whole_chain_equals_a_run_of_the_core_with_the_written_recipe(
    trained, scan, arrays, export, train, training_config, reconstruct, tmp_path, gridsize
) -> None:
    """With bad pixels, two modes and a fitted intensity scale, though at reconstruction no bad pixels are named."""
    if gridsize != 1:
        for name in ("test_data.npz", "train_data.npz"):
            export(tmp_path / "in" / name, scan())
        trained = train(tmp_path, training_config({"gridsize": gridsize}))
    modes = 2 if gridsize == 1 else 1
    image = reconstruct(trained.output, arrays(scan(modes=modes)), gridsize=gridsize)
    run = ptychopinn.run(trained.input / "train_data.npz", recipe=trained.output / "recipe.yaml", solve=False)
    assert np.std(image) > 1e-3
    np.testing.assert_allclose(image, run.reconstruction.object_, rtol=0, atol=1e-5)


def test_the_recipe_is_complete(trained) -> None:
    recipe = yaml.safe_load((trained.output / "recipe.yaml").read_text())
    assert recipe["data"]["sampler"] == "seeded"
    assert recipe["data"]["validation_fraction"] > 0
    assert recipe["training"]["seed"] == 0
    assert recipe["training"]["epochs"] == 2
    assert recipe["model"]["generator"]["architecture"] == "cnn"
    assert recipe["reconstruction"]["weight"] == "central"
    assert recipe["reconstruction"]["window_px"] == 20
    assert recipe["fitted"]["pattern_size"] == 32


def test_training_returns_what_the_client_hands_on_and_writes_a_real_zip(trained) -> None:
    assert trained.returned == (None, None)
    assert zipfile.is_zipfile(trained.output / "wts.h5.zip")
    names = {path.name for path in trained.output.iterdir()}
    assert names == {"wts.h5.zip", "recipe.yaml", "history.csv", "history.png"}
    assert len(trained.results["history"]["loss"]) == 2
    assert trained.results["backend"] == "pytorch"
    assert trained.results["train_container"].X.shape == trained.results["test_container"].X.shape


def test_save_outputs_takes_nothing_at_all(tmp_path) -> None:
    save_outputs(None, None, {}, str(tmp_path / "new" / "folder"))
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.parametrize("gridsize", [1, 2, 3])
def test_the_result_is_complex_finite_and_has_the_frame_of_the_input_object(
    trained, scan, arrays, reconstruct, gridsize
) -> None:
    given = arrays(scan())
    image = reconstruct(trained.output, given, gridsize=gridsize)
    assert image.dtype == np.complex64
    assert image.shape == given["objectGuess"].shape
    assert image.shape[0] != image.shape[1]
    assert np.isfinite(image).all()


def test_neither_groups_nor_their_number_change_the_image(trained, scan, arrays, reconstruct) -> None:
    """Each pattern is predicted and counted once, however often the groups hold it."""
    given = arrays(scan())
    alone = reconstruct(trained.output, given)
    for K, nsamples, gridsize in ((7, 1, 2), (12, 3, 2), (0, 1, 1), (7, 1, 3)):
        other = reconstruct(trained.output, given, K=K, nsamples=nsamples, gridsize=gridsize)
        np.testing.assert_allclose(other, alone, rtol=0, atol=1e-5)


def test_divergence_nsamples_of_one_is_the_whole_scan(trained, scan, arrays, reconstruct) -> None:
    """The earlier system reads it as the number of groups: the client's default then gives a single patch."""
    given = arrays(scan())
    raw = RawData.from_coords_without_pc(**given)
    grouped = raw.generate_grouped_data(32, K=7, nsamples=1, gridsize=1)
    assert grouped["nn_indices"].ravel().tolist() == list(range(len(scan())))
    image = reconstruct(trained.output, given)
    rows, columns = np.nonzero(np.abs(image - 1) > 1e-4)
    spread = scan().positions_px.max(0) - scan().positions_px.min(0)
    assert np.ptp(rows) > spread[0]
    assert np.ptp(columns) > spread[1]


@pytest.mark.parametrize("gridsize", [1, 2])
def test_patches_land_where_the_object_is(scan, arrays, gridsize) -> None:
    """No flip, no transpose, no half pixel: true patches make the true object again."""
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    grouped = raw.generate_grouped_data(32, K=7, nsamples=1, gridsize=gridsize)
    offsets = import_module("ptycho.loader").load(lambda: grouped, raw.probeGuess).global_offsets
    patches = np.moveaxis(labels_for(scan())[grouped["nn_indices"]], 1, -1)
    image, truth, between = reassemble_position(patches, offsets, M=20)[..., 0], scan().object_guess, span(scan())
    np.testing.assert_allclose(image[between], truth[between], atol=1e-5)
    for turned in (patches[:, ::-1], patches[:, :, ::-1], patches.swapaxes(1, 2)):
        wrong = reassemble_position(turned, offsets, M=20)[..., 0]
        assert np.abs(wrong - truth)[between].max() > 0.1


def span(scan) -> tuple[slice, slice]:
    """Between the first and the last position."""
    low, high = scan.positions_px.min(0).astype(int), scan.positions_px.max(0).astype(int)
    return np.s_[low[0] : high[0], low[1] : high[1]]


def test_steps_wider_than_the_window_leave_no_holes(scan, arrays) -> None:
    """Windows of 4 px do not meet at steps of 6 px; what lies between comes from patches weighted by the probe."""
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    grouped = raw.generate_grouped_data(32, gridsize=1)
    offsets = import_module("ptycho.loader").load(lambda: grouped, raw.probeGuess).global_offsets
    patches = np.moveaxis(labels_for(scan())[grouped["nn_indices"]], 1, -1)
    image, between = reassemble_position(patches, offsets, M=4)[..., 0], span(scan())
    np.testing.assert_allclose(image[between], scan().object_guess[between], atol=1e-5)


def test_the_clients_positions_mean_the_geometric_centre(scan, arrays, export, tmp_path) -> None:
    """Half a pixel less than ours, at reconstruction as in the exported file."""
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    read = RawData.from_file(export(tmp_path / "train_data.npz", scan()))
    for data in (raw, read):
        np.testing.assert_allclose(data.scan.positions_px, scan().positions_px, atol=1e-12)
        assert data.scan.domain == "counts"


def test_positions_of_a_script_mean_the_element(scan, arrays) -> None:
    """Amplitudes and a probe without modes axis are what scripts for the earlier system give."""
    given = arrays(scan())
    given |= {"diff3d": np.sqrt(given["diff3d"]), "probeGuess": given["probeGuess"][0]}
    raw = RawData.from_coords_without_pc(**given)
    assert raw.scan.domain == "amplitude"
    np.testing.assert_array_equal(raw.xcoords, given["xcoords"])
    said = RawData.from_coords_without_pc(**given, position_origin="centre")
    np.testing.assert_array_equal(said.xcoords, given["xcoords"] + 0.5)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_counts_of_every_type_mean_the_same(scan, arrays, dtype) -> None:
    """Never squared, and never in their own type."""
    given = arrays(scan())
    bright = given["diff3d"].astype(np.int64) * 20
    raw = RawData.from_coords_without_pc(**{**given, "diff3d": (bright % 60000).astype(dtype)})
    assert raw.diff3d.dtype == dtype
    X = raw.generate_grouped_data(32, gridsize=1)["X_full"][..., 0]
    expected = np.sqrt(bright % 60000)
    np.testing.assert_allclose(X / X.max(), expected / expected.max(), atol=1e-6)


def test_averaged_counts_with_a_stack_of_modes_are_still_counts(scan, arrays) -> None:
    """The client averages duplicates, so that its floats need not be whole."""
    given = arrays(scan())
    raw = RawData.from_coords_without_pc(**{**given, "diff3d": given["diff3d"] / 3})
    assert raw.scan.domain == "counts"


@pytest.mark.parametrize("shape", [(32, 32), (1, 32, 32), (2, 32, 32)])
def test_probes_of_every_rank_pass(trained, scan, arrays, reconstruct, shape) -> None:
    given = arrays(scan(modes=2))
    given["probeGuess"] = given["probeGuess"][0] if len(shape) == 2 else given["probeGuess"][: shape[0]]
    assert np.isfinite(reconstruct(trained.output, given)).all()


def test_saved_models_load_from_the_archive_and_from_its_unpacked_members(
    trained, scan, arrays, reconstruct, tmp_path
) -> None:
    """The client copies wts.h5.zip to model.zip, and unpacks that."""
    given = arrays(scan())
    from_archive = reconstruct(trained.output, given)
    saved = shutil.copy(trained.output / "wts.h5.zip", tmp_path / "model.zip")
    with zipfile.ZipFile(saved) as archive:
        archive.extractall(tmp_path / "unpacked")
    np.testing.assert_array_equal(reconstruct(tmp_path / "unpacked", given), from_archive)


def test_a_folder_without_a_model_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_inference_bundle(tmp_path)


def test_an_unpacked_archive_of_the_earlier_implementation_that_lists_no_model_is_named(tmp_path) -> None:
    (tmp_path / "manifest.dill").write_bytes(pickle.dumps({}))
    with pytest.raises(BundleError, match="lists no models"):
        load_inference_bundle(tmp_path)


def test_loading_leaves_the_intensity_scale_and_the_settings_of_the_model(trained) -> None:
    with pytest.raises(KeyError):
        params.get("intensity_scale")
    params.cfg.update(N=128, gridsize=3, model_type="supervised")
    _, settings = load_inference_bundle(trained.output)
    assert (params.get("N"), params.get("gridsize"), params.get("model_type")) == (32, 1, "pinn")
    assert settings is params.cfg
    container = trained.results["train_container"]
    counts = RawData.from_file(trained.input / "train_data.npz").diff3d
    scaled = container.X * params.get("intensity_scale")
    np.testing.assert_allclose(np.asarray(scaled)[..., 0] ** 2, counts, rtol=1e-4, atol=1e-4)


def test_another_pattern_size_is_refused_with_both_numbers(trained, scan, arrays, reconstruct) -> None:
    given = arrays(scan())
    inner = np.s_[..., 4:-4, 4:-4]
    small = {**given, "diff3d": given["diff3d"][inner], "probeGuess": given["probeGuess"][inner]}
    with pytest.raises(ValueError, match=r"24x24 px, but the model was trained on 32x32 px"):
        reconstruct(trained.output, small)


def test_a_model_runs_whatever_reconstructor_opens_it(trained, scan, arrays, reconstruct) -> None:
    given = arrays(scan())
    image = reconstruct(trained.output, given, model_type="supervised", n_filters_scale=4, probe_mask=True)
    np.testing.assert_array_equal(image, reconstruct(trained.output, given))


def test_supervised_training_cuts_its_labels_from_the_object(
    scan, arrays, export, train, training_config, reconstruct, tmp_path
) -> None:
    for name in ("test_data.npz", "train_data.npz"):
        export(tmp_path / "in" / name, scan())
    done = train(tmp_path, training_config({"model_type": "supervised"}, nepochs=6))
    history = done.results["history"]["loss"]
    assert history[-1] < history[0]
    assert params.get("model_type") == "supervised"
    assert reconstruct(done.output, arrays(scan())).shape == scan().object_guess.shape


def test_supervised_training_on_a_flat_object_names_the_remedy(scan, arrays, training_config) -> None:
    flat = {**arrays(scan()), "objectGuess": np.ones_like(scan().object_guess)}
    raw = RawData.from_coords_without_pc(**flat)
    with pytest.raises(ValueError, match="needs a reconstructed object") as caught:
        run_cdi_example(raw, raw, training_config({"model_type": "supervised"}))
    assert "export it again" in str(caught.value).splitlines()[0]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_only_our_loggers_speak_and_they_name_the_backend(
    scan, arrays, training_config, caplog, capfd, monkeypatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ptychopinn"), "handlers", [])  # a command leaves the one of its terminal
    root = logging.getLogger()
    before = list(root.handlers), root.level
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    with caplog.at_level(logging.INFO):
        run_cdi_example(raw, raw, training_config())
    assert (root.handlers, root.level) == (before[0], before[1])
    assert {record.name.split(".")[0] for record in caplog.records} == {"ptychopinn"}
    assert any("backend pytorch" in record.message for record in caplog.records)
    assert capfd.readouterr() == ("", "")


def test_nothing_runs_on_after_training(scan, arrays, training_config) -> None:
    before = set(threading.enumerate())
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    run_cdi_example(raw, None, training_config())
    assert set(threading.enumerate()) <= before


def test_the_backend_variable_is_obeyed_and_never_falls_back(
    trained, scan, arrays, training_config, monkeypatch
) -> None:
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    monkeypatch.setenv("PTYCHOPINN_BACKEND", "pytorch")
    load_inference_bundle(trained.output)
    monkeypatch.setenv("PTYCHOPINN_BACKEND", "tensorflow")
    monkeypatch.setattr("ptychopinn.config.backend._is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install 'ptychopinn\[tensorflow\]', or choose pytorch"):
        run_cdi_example(raw, raw, training_config())
    with pytest.raises(ConfigError, match=r"pip install 'ptychopinn\[tensorflow\]', or choose pytorch"):
        load_inference_bundle(trained.output)


def test_a_fitted_probe_wins_over_the_clients(
    scan, arrays, export, train, training_config, reconstruct, tmp_path
) -> None:
    for name in ("test_data.npz", "train_data.npz"):
        export(tmp_path / "in" / name, scan())
    done = train(tmp_path, training_config(probe_trainable=True))
    given = arrays(scan())
    image = reconstruct(done.output, given)
    other = {**given, "probeGuess": given["probeGuess"][..., ::-1, :] * 3}
    np.testing.assert_array_equal(reconstruct(done.output, other), image)
    run = ptychopinn.run(done.input / "train_data.npz", recipe=done.output / "recipe.yaml", solve=False)
    np.testing.assert_allclose(image, run.reconstruction.object_, rtol=0, atol=1e-5)


def test_a_probe_set_by_hand_takes_the_place_of_the_scans(trained, scan, arrays, reconstruct) -> None:
    given = arrays(scan(modes=2))
    usual = reconstruct(trained.output, given)
    other = reconstruct(trained.output, {**given, "probeGuess": given["probeGuess"][..., ::-1, :]})
    assert np.abs(other - usual).max() > 1e-3


def test_every_pattern_and_pixel_reaches_the_image_at_any_batch_size(
    trained, scan, arrays, reconstruct, export, tmp_path
) -> None:
    """The same image as the core makes of the exported file with the saved model."""
    path = export(
        tmp_path / "train_data.npz", scan(modes=2), bad_pixels=read_scan(trained.input / "train_data.npz").bad_pixels
    )
    whole = ptychopinn.reconstruct(path, trained.output, overrides=["reconstruction.batch_size=5"])
    image = reconstruct(trained.output, arrays(scan(modes=2)))
    np.testing.assert_allclose(image, whole.reconstruction.object_, rtol=0, atol=1e-5)


def test_modules_are_real_submodules() -> None:
    for name in ("config.config", "params", "raw_data", "loader", "probe", "tf_helper", "workflows.components"):
        assert import_module(f"ptycho.{name}").__name__ == f"ptycho.{name}"
    assert import_module("ptycho.model_manager").save


def test_scans_of_several_objects_are_refused(trained, scan, arrays, reconstruct) -> None:
    mixed = replace(scan(), scan_index=np.arange(len(scan())) % 2)
    given = {**arrays(mixed), "scan_index": mixed.scan_index}
    with pytest.raises(ValueError, match="2 objects"):
        reconstruct(trained.output, given)
