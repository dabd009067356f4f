"""The client's reconstruction: shape, place, and what may differ from the training."""

import logging
from pathlib import Path

import numpy as np
import pytest

from ptycho_torch.api.base_api import ConfigManager, InferenceEngine, PtychoDataLoader, PtychoModel
from ptycho_torch.model import PtychoPINN_Lightning
from ptychopinn.api import reconstruct as verb
from ptychopinn.api.evaluate import compare_with_reference
from ptychopinn.config import Recipe
from ptychopinn.data import Scan, read_scan
from ptychopinn.data.reconstruction import Reconstruction


def loaded(path: Path) -> tuple[PtychoModel, ConfigManager]:
    """The client's calls."""
    data, model, training, inference = PtychoModel._extract_configs_from_checkpoint(str(path))
    assert None not in (data, model, training, inference)
    configs = {
        "model_config": model,
        "data_config": data,
        "training_config": training,
        "inference_config": inference,
    }
    ptycho_model = PtychoModel(**configs)
    ptycho_model.model = PtychoPINN_Lightning.load_from_checkpoint(path, **configs)
    config_manager = ConfigManager.from_loaded_model(ptycho_model)
    config_manager.validate_arch_compatibility(ptycho_model)
    return ptycho_model, config_manager


def image_of(path: Path, measured, **changes) -> np.ndarray:
    """The client's reconstruction."""
    model, config_manager = loaded(path)
    arrays = {
        "diff_patterns": measured.patterns,
        "probe": measured.probe,
        "positions": measured.positions,
    } | changes
    loader = PtychoDataLoader.from_np(**arrays, config_manager=config_manager)
    engine = InferenceEngine(config_manager=config_manager, ptycho_model=model)
    return np.asarray(engine.predict_and_stitch(loader))


def test_the_image_has_the_frame_of_the_clients_object(finished, measured) -> None:
    image = image_of(finished.folder / "model.ckpt", measured)
    assert image.shape == measured.object_.shape
    assert image.dtype == np.complex64
    assert np.isfinite(image).all()


def test_the_image_is_that_of_the_core_on_the_exported_file(finished, measured, tmp_path: Path) -> None:
    """The same model by `ptychopinn reconstruct`: nothing is moved, turned or weighted otherwise."""
    image = image_of(finished.folder / "model.ckpt", measured)
    file = measured.export(tmp_path / "a.npz")
    core = verb.reconstruct(file, finished.folder / "wts.h5.zip", device="cpu").reconstruction
    np.testing.assert_allclose(image, core.object_, atol=1e-5)


def test_the_image_lies_where_the_object_is(measured, settings, train, tmp_path: Path) -> None:
    """Without the half pixel between the client's centre and ours it would be 0.5 px beside it on both axes."""
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", tmp_path / "out", settings(epochs=12))
    image = image_of(run.folder / "model.ckpt", measured)
    positions = measured.positions + 0.5
    truth = Scan.create(measured.patterns, positions, measured.probe, domain="counts", object_guess=measured.object_)
    covered = np.ones(image.shape, np.float32)
    found = compare_with_reference(Reconstruction(image, covered, np.zeros(2), positions, measured.probe), truth)
    assert found is not None
    assert np.abs(found.report["shift_px"]).max() < 0.25
    assert found.report["residual"] < 0.4


def test_the_model_is_free_of_the_training_directory(finished, measured, tmp_path: Path) -> None:
    """Saving in the client is a copy of the one file; the rest may be gone."""
    copy = tmp_path / "kept.ckpt"
    copy.write_bytes((finished.folder / "model.ckpt").read_bytes())
    np.testing.assert_array_equal(image_of(copy, measured), image_of(finished.folder / "model.ckpt", measured))


@pytest.mark.parametrize("modes", [1, 2, 3])
def test_another_probe_and_another_number_of_patterns_reconstruct(finished, make, modes: int) -> None:
    other = make(modes=modes, seed=5)
    image = image_of(
        finished.folder / "model.ckpt",
        other,
        diff_patterns=other.patterns[::2],
        positions=other.positions[::2],
    )
    assert np.isfinite(image).all()
    assert np.std(image) > 0


def test_a_probe_without_a_mode_axis_reconstructs(finished, measured) -> None:
    path = finished.folder / "model.ckpt"
    np.testing.assert_array_equal(image_of(path, measured), image_of(path, measured, probe=measured.probe[0]))


@pytest.mark.parametrize("kind", [np.uint16, np.uint32, np.int64, np.float32, np.float64])
def test_counts_are_counts_in_any_type(finished, measured, kind) -> None:
    path = finished.folder / "model.ckpt"
    image = image_of(path, measured, diff_patterns=measured.patterns.astype(kind))
    np.testing.assert_allclose(image, image_of(path, measured), atol=1e-5)


def test_fractional_counts_are_no_amplitudes(finished, measured) -> None:
    """The core's reader would take them for amplitudes; the client always means counts."""
    path = finished.folder / "model.ckpt"
    image = image_of(path, measured, diff_patterns=measured.patterns + 0.25)
    np.testing.assert_allclose(image, image_of(path, measured), atol=0.05)


def test_another_pattern_size_is_refused_with_both_numbers(finished, make) -> None:
    other = make(size=24)
    with pytest.raises(ValueError, match=r"24x24 px.*trained on 16x16 px"):
        image_of(finished.folder / "model.ckpt", other)


def test_every_position_counts_whatever_the_bounds(measured, settings, train, tmp_path: Path) -> None:
    """The bounds choose what is trained on; at the edges of the image nothing is left at 1."""
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", tmp_path / "out", settings(epochs=1, x_bounds=(0.2, 0.8), y_bounds=(0.2, 0.8)))
    image = image_of(run.folder / "model.ckpt", measured)
    for row, column in np.rint(measured.positions + 0.5).astype(int):
        assert image[row, column] != 1


def test_a_mask_of_the_training_is_used_where_the_client_gives_none(measured, settings, train, tmp_path: Path) -> None:
    """The client fills bad pixels in; the file's mask says so, the arrays of a reconstruction do not."""
    bad = np.zeros((16, 16), bool)
    bad[5:7, 9] = True
    filled = measured.patterns.copy()
    filled[:, bad] = 999
    file = measured.export(tmp_path / "in" / "a.npz", bad_pixels=bad, diff3d=filled)
    run = train(tmp_path / "in", tmp_path / "out", settings(epochs=2))
    image = image_of(run.folder / "model.ckpt", measured, diff_patterns=filled)
    recipe = Recipe.from_file(run.folder / "recipe.yaml")
    core = verb.reconstruct(read_scan(file, recipe.data), run.folder / "wts.h5.zip", device="cpu")
    np.testing.assert_allclose(image, core.reconstruction.object_, atol=1e-5)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, 0.0), (0.0, 7.0)])
def test_the_canvas_follows_the_box_of_all_positions(finished, measured, shift) -> None:
    """One more on an axis, in the mean of the outermost positions, is two more pixels."""
    image = image_of(finished.folder / "model.ckpt", measured, positions=measured.positions + shift)
    rows, columns = measured.object_.shape
    assert image.shape == (rows + 2 * shift[0], columns + 2 * shift[1])


def test_positions_about_zero_get_the_frame_of_the_patches(finished, measured, caplog) -> None:
    """No client of ours does so; a canvas of one pixel would be the answer to them."""
    centred = measured.positions - measured.positions.mean(0)
    with caplog.at_level(logging.WARNING):
        image = image_of(finished.folder / "model.ckpt", measured, positions=centred)
    extent = np.ptp(measured.positions, axis=0) + 16
    assert (np.array(image.shape) >= extent).all()
    assert "framed by the patches" in caplog.text


def test_settings_of_prediction_may_be_changed_afterwards(finished, measured) -> None:
    model, config_manager = loaded(finished.folder / "model.ckpt")
    loader = PtychoDataLoader.from_np(measured.patterns, measured.probe, measured.positions, config_manager)
    engine = InferenceEngine(config_manager=config_manager, ptycho_model=model)
    before = engine.predict_and_stitch(loader)
    config_manager.update(patch_weighting="uniform", middle_trim=6)
    after = engine.predict_and_stitch(loader)
    assert not np.allclose(before, after, atol=1e-3)
    assert engine.timing is not None
    assert engine.timing.patterns == len(measured.patterns)


def test_a_model_in_memory_reconstructs_its_own_folder(finished, measured) -> None:
    engine = InferenceEngine(finished.model, finished.loader.config_manager)
    image = engine.predict_and_stitch(finished.loader)
    np.testing.assert_allclose(image, image_of(finished.folder / "model.ckpt", measured), atol=1e-5)


def test_one_of_several_scans_is_chosen_by_its_number(finished, measured, make, tmp_path: Path) -> None:
    measured.export(tmp_path / "a.npz")
    make(seed=3).export(tmp_path / "b.npz")
    model, config_manager = loaded(finished.folder / "model.ckpt")
    loader = PtychoDataLoader(tmp_path, config_manager)
    engine = InferenceEngine(model, config_manager)
    images = []
    for number in (0, 1):
        config_manager.update(experiment_number=number)
        images.append(engine.predict_and_stitch(loader))
    assert not np.allclose(images[0], images[1], atol=1e-3)
    config_manager.update(experiment_number=2)
    with pytest.raises(ValueError, match="experiment_number is 2, but there are 2 scans"):
        engine.predict_and_stitch(loader)


def test_an_untrained_model_says_so(measured, settings) -> None:
    config_manager = settings()
    model = PtychoModel._new_model(model=PtychoPINN_Lightning, config_manager=config_manager)
    loader = PtychoDataLoader.from_np(measured.patterns, measured.probe, measured.positions, config_manager)
    with pytest.raises(RuntimeError, match="train it, or load a checkpoint"):
        InferenceEngine(model, config_manager).predict_and_stitch(loader)
    with pytest.raises(RuntimeError, match=r"PtychoModel\._new_model or PtychoModel\.load"):
        PtychoModel(*config_manager.four).module()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": np.zeros((5, 2))}, "48 patterns but 5 positions"),
        ({"diff_patterns": np.ones((48, 16, 12))}, "must be square"),
        ({"probe": np.ones((2, 8, 8), complex)}, "8 x 8 pixels but the patterns are 16"),
    ],
)
def test_arrays_that_make_no_scan_are_refused(finished, measured, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        image_of(finished.folder / "model.ckpt", measured, **change)
