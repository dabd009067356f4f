"""The named workflows of `ptycho_torch`: one implementation with `ptycho`, in tensors, always PyTorch."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ptychopinn
from ptycho import params
from ptycho.config.config import ModelConfig, PyTorchExecutionConfig, TrainingConfig
from ptycho.loader import PtychoDataContainer
from ptycho.raw_data import RawData
from ptycho.workflows.components import load_inference_bundle
from ptycho_torch.data_container_bridge import PtychoDataContainerTorch
from ptycho_torch.model_manager import TorchModel, load_torch_bundle, save_torch_bundle
from ptycho_torch.raw_data_bridge import RawDataTorch
from ptycho_torch.workflows import components
from ptycho_torch.workflows.components import (
    load_inference_bundle_torch,
    run_cdi_example_torch,
    train_cdi_model_torch,
)
from ptychopinn.errors import BundleError

N, PATTERNS = 16, 121


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory and a legacy dictionary that is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PTYCHOPINN_BACKEND", raising=False)
    monkeypatch.setattr(params, "cfg", dict(params.DEFAULT_CFG))


@pytest.fixture(scope="module")
def raw() -> RawDataTorch:
    """121 patterns of 16 px."""
    overrides = ["simulation.object_size_px=52", "simulation.probe_size_px=16", "simulation.step_px=3"]
    scan = ptychopinn.simulate(overrides=overrides).scan
    y, x = scan.positions_px.T
    return RawDataTorch(x, y, scan.patterns, scan.probe, objectGuess=scan.object_guess, domain=scan.domain)


def settings(**fields: Any) -> TrainingConfig:
    model = ModelConfig(N=N, gridsize=2, n_filters_scale=1)
    return TrainingConfig(**{"model": model, "nepochs": 1, "batch_size": 8, **fields})


@pytest.fixture(scope="module")
def trained(raw: RawDataTorch, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What `run_cdi_example_torch` returned, and its folder."""
    folder = tmp_path_factory.mktemp("run") / "out"
    return run_cdi_example_torch(raw, raw, settings(output_dir=folder), do_stitching=True), folder


def test_run_returns_image_and_results(trained: tuple[Any, Path]) -> None:
    (amplitude, phase, results), _ = trained

    assert amplitude.shape == phase.shape == (52, 52)
    assert np.isfinite(amplitude).all()
    assert results["backend"] == "pytorch"
    assert all(len(results["history"][name]) == 1 for name in ("train_loss", "val_loss"))
    assert set(results["models"]) == {"autoencoder", "diffraction_to_obj"}
    for name in ("train_container", "test_container"):
        assert isinstance(results[name], PtychoDataContainerTorch)
    np.testing.assert_array_equal(results["recon_amp"], amplitude)
    np.testing.assert_array_equal(results["recon_phase"], phase)
    assert results["reconstructed_obj"].dtype == np.complex64
    assert results["obj_tensor_full"].shape == (PATTERNS, N, N, 4)
    assert results.get("global_offsets").shape == (PATTERNS, 1, 2, 1)


def test_the_inner_steps_are_entries_too(raw: RawDataTorch) -> None:
    container = components._ensure_container(raw, settings())
    assert isinstance(components.create_container_from_raw(raw, settings()), PtychoDataContainerTorch)
    assert components._ensure_container(container, settings()) is container
    results = components._train_with_lightning(container, None, settings(), overrides={"nll_weight": 0.5})
    amplitude, phase, more = components._reassemble_cdi_image_torch(raw, settings(), False, False, False, 20, results)
    assert amplitude.shape == phase.shape == more["recon_amp"].shape == (52, 52)
    assert components._LossHistoryCallback().history == {"train_loss": [], "val_loss": []}
    assert components.TORCH_AVAILABLE


def test_run_without_stitching_returns_no_image(raw: RawDataTorch) -> None:
    amplitude, phase, results = run_cdi_example_torch(raw, None, settings())

    assert amplitude is phase is None
    assert results["test_container"] is None


def test_run_fills_the_legacy_dictionary(raw: RawDataTorch) -> None:
    train_cdi_model_torch(raw, None, settings(nphotons=2e5))

    assert (params.get("N"), params.get("gridsize"), params.get("nphotons")) == (N, 2, 2e5)
    assert params.get("intensity_scale") > 0


def test_the_model_is_saved_where_a_folder_is_given(trained: tuple[Any, Path]) -> None:
    assert {path.name for path in trained[1].iterdir()} == {"wts.h5.zip", "recipe.yaml", "history.csv"}


def test_without_a_folder_nothing_is_written_unlike_the_earlier_system(raw: RawDataTorch, tmp_path: Path) -> None:
    """It wrote into `training_outputs` of the working directory."""
    train_cdi_model_torch(raw, raw, settings())

    assert list(tmp_path.iterdir()) == []


def test_the_backend_is_pytorch_whatever_is_asked_for(raw: RawDataTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTYCHOPINN_BACKEND", "tensorflow")
    config = settings(backend="tensorflow")
    results = train_cdi_model_torch(raw, None, config)

    assert results["backend"] == "pytorch"
    assert config.backend == "tensorflow"
    assert params.get("backend") == "pytorch"


def test_execution_settings_reach_the_training(raw: RawDataTorch) -> None:
    execution = PyTorchExecutionConfig(learning_rate=3e-4, accelerator="cpu")
    _, _, results = run_cdi_example_torch(raw, None, settings(), execution_config=execution)

    training = results["models"]["autoencoder"].recipe.training
    assert (training.learning_rate, training.device) == (3e-4, "cpu")


def test_containers_train_as_their_raw_data_do(raw: RawDataTorch) -> None:
    first = train_cdi_model_torch(raw, None, settings())
    again = train_cdi_model_torch(first["train_container"], None, settings())

    assert again["train_container"] is first["train_container"]
    assert again["history"]["train_loss"] == first["history"]["train_loss"]


def test_both_packages_make_the_same_image(raw: RawDataTorch, trained: tuple[Any, Path]) -> None:
    from ptycho.workflows.components import run_cdi_example

    amplitude, _, _ = run_cdi_example(raw, raw, settings(), do_stitching=True)

    np.testing.assert_allclose(trained[0][0], amplitude, atol=1e-5)


def test_a_saved_model_predicts_as_the_trained_one(trained: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (_, _, results), folder = trained
    monkeypatch.setenv("PTYCHOPINN_BACKEND", "tensorflow")
    params.cfg.clear()
    model, restored = load_inference_bundle_torch(folder)
    container = results["test_container"]
    inputs = [container.X * restored["intensity_scale"], container.local_offsets]

    patches = model.predict(inputs)
    assert patches.shape == (PATTERNS, N, N, 4)
    assert patches.dtype == torch.complex64
    torch.testing.assert_close(patches, results["models"]["diffraction_to_obj"].predict(inputs))
    assert params.get("gridsize") == restored["gridsize"] == 2


def test_both_layouts_are_predicted_by_both_packages(trained: tuple[Any, Path]) -> None:
    (_, _, results), folder = trained
    model, settings_ = load_inference_bundle_torch(folder)
    other, _ = load_inference_bundle(folder)
    container = results["test_container"]
    X, offsets = (container.X * settings_["intensity_scale"])[:9], container.local_offsets[:9]

    last = model.predict([X, offsets])
    second = model([X.movedim(-1, 1), offsets.permute(0, 3, 1, 2)])
    torch.testing.assert_close(second, last.movedim(-1, 1))
    np.testing.assert_allclose(last, other([X.numpy(), offsets.numpy()]), atol=1e-6)
    with pytest.raises(ValueError, match=r"\(B, H, W, C\) and \(B, 1, 2, C\)"):
        model.predict([X, offsets[:5]])


def test_a_loaded_model_is_used_as_a_model_and_as_a_dictionary_of_models(trained: tuple[Any, Path]) -> None:
    loaded, _ = load_inference_bundle_torch(trained[1])
    model = loaded["diffraction_to_obj"]
    lines: list[str] = []
    for one in (loaded, model, loaded.trained):
        assert one.eval() is one
        assert one.to("cpu") is one
        assert sum(value.numel() for value in one.parameters()) > 100
        assert any(name.endswith("weight") for name in one.state_dict())
        one.summary(lines.append)
    assert "autoencoder" in loaded
    assert any("numbers" in line for line in lines)
    with pytest.raises(KeyError, match="no model 'encoder'"):
        loaded["encoder"]


def test_a_model_of_another_name_is_refused(trained: tuple[Any, Path]) -> None:
    with pytest.raises(BundleError, match=r"no model 'encoder'; choose one of autoencoder, diffraction_to_obj"):
        load_inference_bundle_torch(trained[1], "encoder")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="empty"):
        load_inference_bundle_torch(tmp_path / "empty")


@pytest.mark.parametrize("kind", ["torch", "ptycho", "lightning"])
def test_bundles_of_every_kind_of_model_come_back(trained: tuple[Any, Path], tmp_path: Path, kind: str) -> None:
    from ptycho_torch.config_factory import torch_configs
    from ptycho_torch.model import PtychoPINN_Lightning

    own: TorchModel = trained[0][2]["models"]["autoencoder"]
    model: Any = own
    if kind == "ptycho":
        model = own.trained
    elif kind == "lightning":
        model = PtychoPINN_Lightning(**torch_configs(settings()))
        model.take(own.trained.network, own.recipe)
    path = save_torch_bundle(dict.fromkeys(("autoencoder", "diffraction_to_obj"), model), "folder/wts.h5", settings())
    models, restored = load_torch_bundle("folder/wts.h5")

    assert path == Path("folder/wts.h5.zip")
    assert set(models) == {"autoencoder", "diffraction_to_obj"}
    assert restored["nepochs"] == 1
    for name, value in own.network.state_dict().items():
        torch.testing.assert_close(models["autoencoder"].network.state_dict()[name], value)


def test_a_bundle_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="a Linear is no trained model"):
        save_torch_bundle({"autoencoder": torch.nn.Linear(1, 1)}, "wts.h5", settings())


def test_bundle_functions_are_reachable_from_the_workflows() -> None:
    assert components.save_torch_bundle is save_torch_bundle
    assert components.load_torch_bundle is load_torch_bundle


def test_raw_data_have_the_constructor_of_the_pytorch_workflows(raw: RawDataTorch) -> None:
    data = RawDataTorch(
        raw.xcoords, raw.ycoords, raw.diff3d, raw.probeGuess, raw.scan_index, raw.objectGuess, config=settings()
    )

    assert isinstance(data, RawData)
    assert params.get("gridsize") == 2
    np.testing.assert_array_equal(data.diff3d, raw.diff3d)
    for made in (RawDataTorch.from_coords, RawDataTorch.from_coords_without_pc):
        assert isinstance(made(raw.xcoords, raw.ycoords, raw.diff3d, raw.probeGuess), RawDataTorch)


def test_raw_data_from_a_file_group_as_those_of_the_other_package(raw: RawDataTorch, tmp_path: Path) -> None:
    raw.to_file(tmp_path / "scan.npz")
    ours = RawDataTorch.from_file(tmp_path / "scan.npz").generate_grouped_data(N, K=4, gridsize=2, seed=3)
    theirs = RawData.from_file(tmp_path / "scan.npz").generate_grouped_data(N, K=4, gridsize=2, seed=3)

    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key])


DTYPES = {"X": torch.float32, "Y": torch.complex64, "probe": torch.complex64, "nn_indices": torch.int32}


def test_containers_have_the_documented_layouts_and_types(raw: RawDataTorch) -> None:
    grouped = raw.generate_grouped_data(N, K=4, gridsize=2)
    made = PtychoDataContainerTorch(grouped, raw.probeGuess)
    images, coordinates = (PATTERNS, N, N, 4), (PATTERNS, 1, 2, 4)

    for name in ("X", "Y", "Y_I", "Y_phi"):
        assert getattr(made, name).shape == images
    for name in ("local_offsets", "coords_nominal", "coords_true", "coords", "coords_relative"):
        assert getattr(made, name).shape == coordinates
    assert made.global_offsets.shape == (PATTERNS, 1, 2, 1)
    assert made.YY_full.shape == (52, 52)
    with np.load(made.to_npz("container.npz")) as stored:
        np.testing.assert_array_equal(stored["X"], made.X)
    assert made.probe.shape == (N, N)
    assert made.norm_Y_I.shape == ()
    assert len(made) == PATTERNS
    for name in ("X", "Y", "Y_I", "Y_phi", "probe", "local_offsets", "global_offsets", "nn_indices", "norm_Y_I"):
        assert getattr(made, name).dtype == DTYPES.get(name, torch.float32)


def test_container_values_are_those_of_the_other_package(raw: RawDataTorch) -> None:
    grouped = raw.generate_grouped_data(N, K=4, gridsize=2)
    ours = PtychoDataContainerTorch(grouped, raw.probeGuess)
    theirs = PtychoDataContainer.of_groups(grouped, raw.probeGuess)

    for name in ("X", "Y", "local_offsets", "global_offsets", "nn_indices"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


def test_a_container_without_a_probe_is_refused(raw: RawDataTorch) -> None:
    with pytest.raises(ValueError, match="has no probe"):
        PtychoDataContainerTorch(raw.generate_grouped_data(N, gridsize=1))


BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "torch" or name.startswith("torch."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import ptycho_torch.workflows.components as components
from ptycho.config.config import ModelConfig, TrainingConfig

config = TrainingConfig(model=ModelConfig())
calls = {
    "run_cdi_example_torch": (None, None, config),
    "train_cdi_model_torch": (None, None, config),
    "load_inference_bundle_torch": ("folder",),
    "create_container_from_raw": (None, config),
    "load_torch_bundle": ("wts.h5",),
    "save_torch_bundle": ({}, "wts.h5", config),
}
assert set(calls) == set(components.__all__)
for name, arguments in calls.items():
    try:
        getattr(components, name)(*arguments)
    except ImportError as error:
        assert "pip install torch==2.13.0" in str(error), error
    else:
        raise AssertionError(name)
"""


def test_without_torch_the_workflows_import_and_their_functions_name_the_pip_line() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
