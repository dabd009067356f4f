"""Workflows, models and saving under the earlier names, as scripts call them."""

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pytest

import ptycho.model
import ptychopinn
from ptycho import nbutils, params, probe, train_pinn
from ptycho.loader import load
from ptycho.model_manager import ModelManager, save
from ptycho.raw_data import RawData
from ptycho.tf_helper import reassemble_position
from ptycho.workflows.components import (
    load_inference_bundle,
    load_inference_bundle_with_backend,
    reassemble_cdi_image,
    run_cdi_example,
    save_outputs,
    train_cdi_model,
)
from ptychopinn.bundle import load_bundle
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import BundleError, ConfigError


@pytest.fixture
def raw(scan, arrays) -> RawData:
    return RawData.from_coords_without_pc(**arrays(scan(modes=2)))


@pytest.fixture
def config(training_config):
    """As after the client has set the size."""
    settings = training_config()
    settings.model.N = 32
    return settings


def container_of(raw: RawData, gridsize: int = 1):
    grouped = raw.generate_grouped_data(32, K=7, gridsize=gridsize)
    return load(lambda: grouped, raw.probeGuess)


def test_training_and_stitching_in_one_call(raw, training_config, tmp_path) -> None:
    amplitude, phase, results = run_cdi_example(raw, raw, training_config(), do_stitching=True)
    image = results["reconstruction"]
    np.testing.assert_array_equal(amplitude * np.exp(1j * phase), np.abs(image.object_) * np.exp(1j * phase))
    assert amplitude.shape == raw.objectGuess.shape
    assert {"history", "train_container", "test_container", "backend", "reconstruction"} <= set(results)
    save_outputs(amplitude, phase, results, tmp_path / "out")
    assert Reconstruction.load(tmp_path / "out").object_.shape == amplitude.shape
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "reconstruction.npz",
        "reconstruction.png",
        "history.png",
    }


def test_settings_reach_the_dictionary_before_anything_else(raw, training_config) -> None:
    train_cdi_model(raw, None, training_config(nphotons=3e7))
    assert (params.get("nphotons"), params.get("N"), params.get("gridsize")) == (3e7, 32, 1)
    assert params.get("intensity_scale") == pytest.approx(
        math.sqrt(raw.diff3d.sum(dtype=np.float64) / len(raw)) / 16, rel=1e-6
    )


def test_the_window_of_the_call_stands_in_the_recipe(raw, training_config) -> None:
    run_cdi_example(raw, None, training_config(), M=12)
    assert ptycho.model.diffraction_to_obj.recipe.reconstruction.window_px == 12


def test_a_wrong_pattern_size_in_the_settings_is_said_and_corrected(raw, training_config, caplog) -> None:
    settings = training_config()
    settings.model.N = 64
    train_cdi_model(raw, None, settings)
    assert "model.N is 64, but the patterns are 32 px" in caplog.text
    assert settings.model.N == 64
    assert params.get("N") == 32


def test_containers_and_scans_are_taken_as_data(raw, training_config) -> None:
    weights = []
    for data in (raw, raw.scan, container_of(raw)):
        results = train_cdi_model(data, data, training_config(nepochs=1))
        weights.append(results["history"]["train_loss"])
        assert results["train_container"].X.shape == (len(raw), 32, 32, 1)
    assert weights[0] == weights[1] == weights[2]


def test_a_container_of_some_groups_trains_on_their_patterns(raw, training_config) -> None:
    grouped = raw.generate_grouped_data(32, gridsize=1, n_groups=20, seed=0)
    train_cdi_model(load(lambda: grouped, raw.probeGuess), None, training_config(nepochs=1))
    fitted = ptycho.model.autoencoder.recipe.fitted
    assert 15 < fitted.n_patterns <= 20


def test_what_is_no_data_is_refused(training_config) -> None:
    with pytest.raises(TypeError, match="a dict is no data to work on; give RawData"):
        train_cdi_model({}, None, training_config())


def test_the_same_groups_as_asked_for_stand_in_the_containers(raw, training_config) -> None:
    settings = training_config({"gridsize": 2}, n_groups=9, subsample_seed=5, neighbor_count=7)
    results = train_cdi_model(raw, raw, settings)
    expected = raw.generate_grouped_data(32, K=7, n_groups=9, seed=5, gridsize=2)["nn_indices"]
    np.testing.assert_array_equal(results["train_container"].nn_indices, expected)


def test_reassembly_equals_predict_and_reassemble_position(trained, raw, config) -> None:
    model, _ = load_inference_bundle(trained.output)
    container = container_of(raw)
    patches, offsets = nbutils.reconstruct_image(container)
    by_hand = reassemble_position(patches, offsets, M=20)[..., 0]
    for data in (raw, container):
        amplitude, phase, _ = reassemble_cdi_image(data, config, M=20)
        np.testing.assert_allclose(amplitude * np.exp(1j * phase), by_hand, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(nbutils.reconstruct_image(container, model)[0], patches)


def test_the_window_of_the_reassembly_wins_over_the_recipes(trained, raw, config) -> None:
    load_inference_bundle(trained.output)
    patches, offsets = nbutils.reconstruct_image(container_of(raw))
    narrow, usual = (reassemble_position(patches, offsets, M=M)[..., 0] for M in (4, 20))
    assert np.abs(narrow - usual).max() > 1e-3
    image = reassemble_cdi_image(raw, config, M=4)[2]["reconstruction"]
    np.testing.assert_allclose(image.object_, narrow, rtol=0, atol=1e-5)


@pytest.mark.parametrize("switches", [("flip_x",), ("flip_y",), ("transpose",), ("flip_y", "transpose")])
def test_switches_undo_positions_recorded_in_other_axes(trained, raw, config, switches) -> None:
    """Where the true positions are recovered, the image is the usual one, in the axes of the positions."""
    load_inference_bundle(trained.output)
    usual = reassemble_cdi_image(raw, config)[2]["reconstruction"]
    positions = raw.scan.positions_px.copy()
    if "transpose" in switches:
        positions = positions[:, ::-1].copy()
    for name, column in (("flip_y", 0), ("flip_x", 1)):
        if name in switches:
            positions[:, column] = 2 * positions[:, column].mean() - positions[:, column]
    recorded = RawData.of_scan(replace(raw.scan, positions_px=positions))
    amplitude, _, results = reassemble_cdi_image(recorded, config, **dict.fromkeys(switches, True))
    image = results["reconstruction"]
    shape = usual.object_.shape
    transposed = "transpose" in switches
    turned = image.in_frame((0, 0), shape[::-1] if transposed else shape)[0]
    turned = turned.T if transposed else turned
    np.testing.assert_allclose(turned, usual.object_, rtol=0, atol=1e-5)
    assert usual.covered.mean() > 0.3
    np.testing.assert_array_equal(amplitude, image.amplitude)


def test_positions_can_be_scaled(trained, raw, config) -> None:
    load_inference_bundle(trained.output)
    half = RawData.of_scan(replace(raw.scan, positions_px=raw.scan.positions_px / 2))
    _, _, results = reassemble_cdi_image(half, config, coord_scale=2)
    spread = np.ptp(results["reconstruction"].positions_px, axis=0)
    np.testing.assert_allclose(spread, np.ptp(raw.scan.positions_px, axis=0))


def test_outputs_without_a_workflow_are_saved_too(tmp_path) -> None:
    save_outputs(np.ones((20, 30)), np.zeros((20, 30)), {}, tmp_path)
    assert Reconstruction.load(tmp_path).object_.shape == (20, 30)


def test_without_a_model_nothing_is_reconstructed_or_saved(raw, config, tmp_path) -> None:
    for call in (lambda: save(tmp_path), lambda: reassemble_cdi_image(raw, config), lambda: ptycho.model.autoencoder):
        with pytest.raises(BundleError, match="train or load one first"):
            call()
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = ptycho.model.other
    assert not (tmp_path / "wts.h5.zip").exists()


def test_models_are_saved_and_loaded_under_their_names(trained, tmp_path) -> None:
    model, _ = load_inference_bundle(trained.output)
    path = ModelManager.save_multiple_models(
        {"autoencoder": model, "diffraction_to_obj": model}, tmp_path / "sub" / "wts.h5", scale=12.5
    )
    assert path == tmp_path / "sub" / "wts.h5.zip"
    params.cfg.clear()
    models = ModelManager.load_multiple_models(tmp_path / "sub" / "wts.h5")
    assert set(models) == {"autoencoder", "diffraction_to_obj"}
    assert params.get("intensity_scale") == 12.5
    assert models["autoencoder"].recipe == model.recipe
    assert set(ModelManager.load_multiple_models(tmp_path / "sub")) == set(models)


def test_models_with_different_networks_are_refused(trained, tmp_path) -> None:
    first, second = (load_inference_bundle(trained.output)[0] for _ in range(2))
    with pytest.raises(BundleError, match="one network under several names"):
        ModelManager.save_multiple_models({"autoencoder": first, "diffraction_to_obj": second}, tmp_path / "wts.h5")


def test_what_was_predicted_before_saving_does_not_change_the_model(trained, scan, arrays, tmp_path) -> None:
    model, _ = load_inference_bundle(trained.output)
    turned = arrays(scan(modes=2))
    turned["probeGuess"] = turned["probeGuess"][:1, ::-1] * 5
    container = container_of(RawData.from_coords_without_pc(**turned))
    model.predict([container.X * 1.0, container.local_offsets])
    save(tmp_path)
    before, after = (load_bundle(folder) for folder in (trained.output, tmp_path))
    np.testing.assert_array_equal(after.probe, before.probe)
    assert after.state["log_scale"] == before.state["log_scale"]


def test_a_foreign_object_in_the_settings_costs_no_model(trained, tmp_path, caplog) -> None:
    load_inference_bundle(trained.output)
    params.cfg["callback"] = print
    save(tmp_path)
    assert "params.cfg['callback'] is not saved" in caplog.text
    load_inference_bundle(tmp_path)
    assert params.get("gridsize") == 1


def test_bundles_of_the_core_fill_the_settings(scan, tmp_path) -> None:
    small = ["training.epochs=1", "model.generator.width=2", "model.generator.levels=1", "data.group_size=4"]
    ptychopinn.train(scan(), tmp_path, overrides=small)
    model, settings = load_inference_bundle(tmp_path)
    assert (settings["N"], settings["gridsize"], settings["model_type"]) == (32, 2, "pinn")
    mean = scan().counts().sum(axis=(1, 2)).mean()
    assert settings["intensity_scale"] == pytest.approx(math.sqrt(mean) / 16, rel=0.05)
    assert model.trained.unseen is None


def test_a_backend_by_argument(trained, monkeypatch) -> None:
    monkeypatch.setattr("ptychopinn.config.backend._is_installed", lambda: False)
    load_inference_bundle_with_backend(trained.output, "pytorch")
    with pytest.raises(ConfigError, match=r"pip install 'ptychopinn\[tensorflow\]'"):
        load_inference_bundle_with_backend(trained.output, "tensorflow")


def test_the_log_of_loading_names_the_backend(trained, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="ptychopinn"):
        load_inference_bundle(trained.output)
    assert "backend pytorch" in caplog.text


@pytest.mark.parametrize("gridsize", [1, 2])
def test_plain_arrays_are_predicted_with_the_probe_of_the_model(trained, scan, arrays, gridsize) -> None:
    """At whole positions, with all pixels, they say the same as arrays that carry their scan."""
    whole = replace(scan(modes=2), positions_px=np.round(scan(modes=2).positions_px))
    container = container_of(RawData.from_coords_without_pc(**arrays(whole)), gridsize)
    model, _ = load_inference_bundle(trained.output)
    scaled = container.X * params.get("intensity_scale")
    carrying = model.predict([scaled, container.local_offsets])
    plain = model.predict([np.array(scaled), np.array(container.local_offsets)], batch_size=4, verbose=0)
    assert plain.shape == (len(whole), 32, 32, gridsize**2)
    assert plain.dtype == np.complex64
    if gridsize == 1:
        np.testing.assert_allclose(plain, carrying, rtol=0, atol=2e-3)
    np.testing.assert_array_equal(np.array(carrying), model.predict([scaled, container.local_offsets]))


def test_predictions_do_not_depend_on_those_before(trained, raw, scan, arrays) -> None:
    """A scan's probe is forgotten when plain arrays follow, which have the model's."""
    model, _ = load_inference_bundle(trained.output)
    container = container_of(raw)
    plain = [np.array(container.X) * params.get("intensity_scale"), np.array(container.local_offsets)]
    before = np.array(model.predict(plain))
    turned = arrays(scan(modes=2))
    turned["probeGuess"] = turned["probeGuess"][..., ::-1, :] * 5
    other = container_of(RawData.from_coords_without_pc(**turned))
    model.predict([other.X * 1.0, other.local_offsets])
    np.testing.assert_allclose(model.predict(plain), before, rtol=0, atol=1e-5)
    probe.set_probe_guess(None, turned["probeGuess"])
    assert np.abs(model.predict(plain) - before).max() > 1e-3
    probe.set_probe_guess(None, None)
    np.testing.assert_allclose(model.predict(plain), before, rtol=0, atol=1e-5)


def test_a_probe_of_another_size_is_refused(trained, raw) -> None:
    model, _ = load_inference_bundle(trained.output)
    container = container_of(raw)
    probe.set_probe_guess(None, np.ones((16, 16)))
    with pytest.raises(ValueError, match="the probe is 16 px but the patterns are 32 px"):
        model.predict([container.X * 1.0, container.local_offsets])


def test_inputs_of_other_shapes_are_refused(trained) -> None:
    model, _ = load_inference_bundle(trained.output)
    with pytest.raises(ValueError, match=r"\(B, H, W, C\) and \(B, 1, 2, C\)"):
        model.predict([np.ones((3, 32, 32, 1)), np.zeros((3, 2))])


def test_models_of_stacked_groups_need_groups_of_their_size(scan, arrays, tmp_path) -> None:
    small = ["training.epochs=1", "model.generator.width=2", "model.generator.levels=1", "data.group_size=4"]
    ptychopinn.train(scan(), tmp_path, overrides=[*small, "model.generator.grouping=stacked"])
    model, _ = load_inference_bundle(tmp_path)
    raw = RawData.from_coords_without_pc(**arrays(scan()))
    pairs = [(container_of(raw, gridsize), gridsize) for gridsize in (1, 2)]
    with pytest.raises(ValueError, match="groups hold 1 patterns, but the model was trained on groups of 4"):
        model.predict([pairs[0][0].X * 1.0, pairs[0][0].local_offsets])
    container = pairs[1][0]
    patches = model.predict([container.X * 1.0, container.local_offsets])
    image = reassemble_position(patches, container.global_offsets)
    assert image.shape == (*raw.objectGuess.shape, 1)
    assert np.isfinite(image).all()


def test_patches_from_elsewhere_are_stitched_with_the_probe_of_the_scan(raw) -> None:
    container = container_of(raw, 2)
    flat = np.full((len(raw), 32, 32, 4), 2 + 1j, np.complex64)
    image = reassemble_position(flat, container.global_offsets)[..., 0]
    assert set(np.unique(np.round(image, 4))) == {1, 2 + 1j}
    with pytest.raises(ValueError, match="the offsets belong to"):
        reassemble_position(flat[:5], container.global_offsets)


def test_the_intensity_scale_of_a_container(raw) -> None:
    container = container_of(raw)
    scale = train_pinn.calculate_intensity_scale(container)
    np.testing.assert_allclose((np.array(container.X)[..., 0] * scale) ** 2, raw.diff3d, rtol=1e-4, atol=1e-4)
    params.set("nphotons", 1e6)
    plain = load(lambda: dict(raw.generate_grouped_data(32, gridsize=1)), raw.probeGuess)
    assert train_pinn.calculate_intensity_scale(plain) == pytest.approx(1000 / 16, rel=1e-5)


def test_training_a_container(raw, training_config) -> None:
    results = train_pinn.train(container_of(raw), training_config(nepochs=1))
    assert results["test_container"] is None
    assert json.dumps(results["history"])
