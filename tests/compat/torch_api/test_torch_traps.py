"""What stopped this client before: each line of the contract's table of traps, and the other settings that it sends."""

import logging
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ptycho_torch.api.base_api import InferenceEngine, PtychoDataLoader, PtychoModel
from ptycho_torch.lightning_utils import ClientTrainingModule
from ptycho_torch.to_recipe import as_dicts
from ptychopinn.config import Recipe

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp", "auto"])
def test_one_device_trains_in_this_process_whatever_the_strategy_says(
    measured, settings, train, tmp_path: Path, monkeypatch, strategy: str
) -> None:
    """A process of its own could not have received the callback."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("torch.multiprocessing.start_processes", refuse)
    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", refuse)
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", None, settings(epochs=1, strategy=strategy, n_devices=1))
    assert [call[:2] for call in run.losses] == [("val", 0), ("train", 0)]


@pytest.mark.slow
def test_several_devices_tell_a_callback_that_cannot_be_pickled(measured, settings, train, tmp_path: Path) -> None:
    """Two processes on the CPU; every epoch is told here, and the weights come back."""
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", tmp_path / "out", settings(epochs=2, strategy="ddp_spawn", n_devices=2))
    assert [call[:2] for call in run.losses] == [("val", 0), ("train", 0), ("val", 1), ("train", 1)]
    assert run.losses[3][2] < run.losses[1][2]
    stored = PtychoModel.load(run.folder / "model.ckpt").module().trained().state_dict()
    for name, value in run.model.module().trained().state_dict().items():
        assert torch.equal(stored[name], value)
    assert PtychoModel.load(run.folder / "checkpoints" / "last.ckpt").training_config.n_devices == 2


def test_what_several_devices_are_sent_can_be_pickled(finished) -> None:
    """The callback is not among it."""
    module_type = partial(ClientTrainingModule, configs=as_dicts(*finished.loader.config_manager.four))
    again = pickle.loads(pickle.dumps(module_type))
    recipe = finished.model.module().recipe
    module = again(finished.model.module().trained(), recipe.training, 1.0, recipe.model_dump(mode="json"))
    assert module.hparams["configs"]["data_config"]["N"] == 16
    assert module.hparams["recipe"]["training"]["epochs"] == 3


@no_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu"])
def test_a_wanted_gpu_that_is_not_there_means_the_cpu_and_a_warning(
    measured, settings, train, tmp_path: Path, caplog, device: str
) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    with caplog.at_level(logging.INFO):
        run = train(tmp_path / "in", tmp_path / "out", settings(epochs=1, device=device, n_devices=2))
    assert f"device {device} is not available: running on the CPU" in caplog.text
    assert "backend pytorch, device cpu" in caplog.text
    assert Recipe.from_file(run.folder / "recipe.yaml").training.device == "cpu"
    caplog.clear()
    model = PtychoModel.load(run.folder / "model.ckpt")
    assert model.training_config.device == device
    with caplog.at_level(logging.INFO):
        InferenceEngine(model, run.loader.config_manager).predict_and_stitch(run.loader)
    assert f"device {device} is not available: running on the CPU" in caplog.text


def test_several_files_are_several_scans_whatever_num_datasets_says(
    measured, make, settings, train, tmp_path: Path
) -> None:
    """They differ in probe, modes, dose, number of patterns and object."""
    measured.export(tmp_path / "in" / "a.npz")
    other = make(modes=2, seed=7, photons=1e4)
    other.export(
        tmp_path / "in" / "b.npz",
        diff3d=other.patterns[:40],
        **{
            f"{axis}coords{end}": column[:40]
            for axis, column in zip("yx", other.positions.T, strict=True)
            for end in ("", "_start")
        },
        scan_index=np.zeros(40, int),
    )
    run = train(tmp_path / "in", None, settings(epochs=2, num_datasets=1))
    assert [len(scan) for scan in run.loader.scans] == [48, 40]
    assert run.model.module().recipe.fitted.n_patterns > 48
    assert run.losses[-1][2] < run.losses[1][2]


def test_the_size_is_that_of_the_patterns(measured, settings, train, tmp_path: Path, caplog) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    with caplog.at_level(logging.WARNING):
        run = train(tmp_path / "in", tmp_path / "out", settings(epochs=1, N=128))
    assert "N is 128, but the patterns have 16 px" in caplog.text
    assert PtychoModel.load(run.folder / "model.ckpt").data_config.N == 16


@pytest.mark.parametrize("workers", [0, 4])
def test_any_number_of_workers(measured, settings, train, tmp_path: Path, workers: int) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    config_manager = settings(epochs=1, num_workers=workers)
    run = train(tmp_path / "in", None, config_manager)
    assert np.isfinite(InferenceEngine(run.model, config_manager).predict_and_stitch(run.loader)).all()


def test_supervised_training_cuts_its_labels_from_the_object(measured, settings, train, tmp_path: Path) -> None:
    """Another object gives another network."""
    weights = []
    for object_ in (measured.object_, measured.object_.conj()):
        measured.export(tmp_path / "in" / "a.npz", objectGuess=object_)
        run = train(tmp_path / "in", None, settings(epochs=2, mode="Supervised"))
        assert run.losses[-1][2] < run.losses[1][2]
        weights.append(torch.cat([value.flatten() for value in run.model.module().trained().parameters()]))
    assert not torch.allclose(*weights, atol=1e-4)


@pytest.mark.parametrize("value", [1, 0.7 - 0.2j])
def test_a_flat_object_teaches_nothing_and_says_so(measured, settings, train, tmp_path: Path, value) -> None:
    measured.export(tmp_path / "in" / "a.npz", objectGuess=np.full_like(measured.object_, value))
    with pytest.raises(ValueError, match=r"objectGuess is flat.*export it again"):
        train(tmp_path / "in", tmp_path / "out", settings(mode="Supervised"))
    assert not (tmp_path / "out").exists()


def test_a_supervised_checkpoint_says_its_mode_and_runs(measured, settings, train, tmp_path: Path) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    run = train(tmp_path / "in", tmp_path / "out", settings(epochs=1, mode="Supervised"))
    model = PtychoModel.load(run.folder / "model.ckpt")
    assert model.model_config.mode == "Supervised"
    assert np.isfinite(InferenceEngine(model, run.loader.config_manager).predict_and_stitch(run.loader)).all()


def test_c_and_grid_size_that_disagree_are_explained(measured, settings, train, tmp_path: Path, caplog) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    with caplog.at_level(logging.WARNING):
        run = train(tmp_path / "in", None, settings(epochs=1, C=6, grid_size=(2, 2)))
    assert "grid_size = (2, 2) is not followed: C = 6 patterns make a group" in caplog.text
    assert run.model.module().recipe.data.group_size == 6


def test_the_clients_own_defaults_train_on_a_small_scan(make, settings, train, tmp_path: Path, caplog) -> None:
    """Seven groups for every position, and a tenth cut off at each edge.

    The validation region is left with few patterns, of which seven different groups cannot be drawn.
    """
    make(step=2.5).export(tmp_path / "in" / "a.npz")
    client = {"n_subsample": 7, "x_bounds": (0.1, 0.9), "y_bounds": (0.1, 0.9), "training_config": {"batch_size": 16}}
    run = train(tmp_path / "in", None, settings(epochs=1, **client))
    assert [call[0] for call in run.losses] == ["val", "train"]
    assert "too few patterns" not in caplog.text


def test_settings_that_are_not_followed_are_named(measured, settings, train, tmp_path: Path, caplog) -> None:
    measured.export(tmp_path / "in" / "a.npz")
    with caplog.at_level(logging.WARNING):
        train(tmp_path / "in", None, settings(epochs=1, batch_norm=True))
    assert "batch_norm = True is not followed" in caplog.text
    assert all(record.name.startswith("ptychopinn-torch") for record in caplog.records)


def test_results_and_caches_in_the_folder_are_no_scans(measured, settings, tmp_path: Path, caplog) -> None:
    """The client trains in the folder of the exported data, one reconstructor after the other."""
    measured.export(tmp_path / "train_data.npz")
    np.savez(tmp_path / "reconstruction.npz", object=measured.object_)
    np.savez(tmp_path / "train_data.g2k4.groups_cache.npz", nn_indices=np.zeros((3, 4), int))
    with caplog.at_level(logging.INFO):
        assert len(PtychoDataLoader(tmp_path, settings()).scans) == 1
    assert "reconstruction.npz: holds no patterns and is left out" in caplog.text


def test_a_damaged_file_is_not_left_out(measured, settings, tmp_path: Path) -> None:
    measured.export(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"b\.npz"):
        PtychoDataLoader(tmp_path, settings())


def test_an_empty_folder_is_named(settings, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.npz with patterns; export training data"):
        PtychoDataLoader(tmp_path, settings())


def test_files_of_different_pattern_sizes_are_refused(measured, make, settings, tmp_path: Path) -> None:
    measured.export(tmp_path / "a.npz")
    make(size=24).export(tmp_path / "b.npz", bad_pixels=np.zeros((24, 24), bool))
    with pytest.raises(ValueError, match=r"a\.npz has 16 px, .*b\.npz has 24 px"):
        PtychoDataLoader(tmp_path, settings())


IMPORTS = """
import sys
from ptycho_torch.api.base_api import ConfigManager, DataloaderFormats, PtychoDataLoader
from ptycho_torch.api.base_api import InferenceEngine, PtychoModel, Trainer
from ptycho_torch.lightning_utils import find_best_checkpoint
from ptycho_torch.model import PtychoPINN_Lightning
import torch
assert not torch.cuda.is_initialized()
heavy = {"mlflow", "tensordict", "tensorflow", "keras"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_importing_touches_no_gpu_and_nothing_optional() -> None:
    """CUDA_VISIBLE_DEVICES may have been set just before; a GPU must not have been looked for yet."""
    spy = """
import torch
def refuse(*args, **kwargs):
    raise AssertionError("CUDA was asked for on import")
torch.cuda.is_available = torch.cuda.device_count = torch.cuda.current_device = torch.cuda.init = refuse
"""
    done = subprocess.run([sys.executable, "-c", spy + IMPORTS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_high_level_api_imports_without_lightning_until_it_trains() -> None:
    code = "import sys, ptycho_torch.api.base_api; assert not {'lightning', 'torch'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
