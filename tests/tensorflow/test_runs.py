"""Training, archives and conversion by TensorFlow, through the api and the commands."""

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ptychopinn.api.backends import run_by
from ptychopinn.api.convert import convert
from ptychopinn.api.model_files import load_model, save_model
from ptychopinn.api.reconstruct import reconstruct
from ptychopinn.api.run import run
from ptychopinn.api.train import train
from ptychopinn.bundle import load_bundle
from ptychopinn.config import Recipe
from ptychopinn.config.backend import VARIABLE
from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError, PtychoPINNError

MakeRecipe = Callable[..., Recipe]
FITTED = (
    "model.probe.trainable=true",
    "model.intensity_scale=trainable",
    "training.scheduler=constant",
    "training.warmup_epochs=0",
)


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the tests asks for nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def trained(scan: Scan, recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that TensorFlow trained, with its files."""
    return train(scan, tmp_path_factory.mktemp("run"), recipe(*FITTED, "training.figure_epochs=2"))


def same(first: Any, second: Any, tolerance: float = 1e-4) -> None:
    """The same image, relative to its norm; float32 of both frameworks differs by 1e-5."""
    a, b = first.reconstruction.object_, second.reconstruction.object_
    assert np.linalg.norm(a - b) < tolerance * np.linalg.norm(b)


def test_a_training_names_its_backend_and_writes_what_pytorch_writes(trained: Any) -> None:
    folder = trained.paths["model"].parent
    assert "backend tensorflow" in trained.paths["log"].read_text()
    by_pytorch = ("epoch", "train_loss", "val_loss", "learning_rate", "seconds", "contrast_amplitude", "coverage")
    assert set(by_pytorch) <= set(trained.history)
    assert trained.history["train_loss"][1] < trained.history["train_loss"][0]
    assert (folder / "checkpoints/best.ckpt").exists()
    assert (folder / "figures/epoch_0002.png").exists()
    assert load_bundle(folder).manifest.backend == trained.recipe.backend == "tensorflow"
    with zipfile.ZipFile(trained.paths["model"]) as archive:
        assert all(name.endswith((".json", ".safetensors")) for name in archive.namelist())


def test_an_archive_of_each_backend_gives_the_same_image_by_the_other(
    trained: Any, scan: Scan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ptychopinn")
    images = {
        name: reconstruct(scan, trained.paths["model"], tmp_path / name, overrides=[f"backend={name}"])
        for name in ("tensorflow", "pytorch")
    }
    same(images["tensorflow"], images["pytorch"])
    for name, image in images.items():
        assert image.reconstruction.metadata["backend"] == name
        assert json.loads((tmp_path / name / "metrics.json").read_text())["backend"] == name
        assert f"backend {name}" in image.paths["log"].read_text()
    as_pytorch = save_model(tmp_path / "pytorch.zip", run_by(trained.model, "pytorch"))
    assert load_bundle(as_pytorch).manifest.backend == "pytorch"
    same(reconstruct(scan, as_pytorch, overrides=["backend=tensorflow"]), images["tensorflow"])


def test_the_variable_decides_who_runs_an_archive(trained: Any, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reconstruct(scan, trained.paths["model"]).reconstruction.metadata["backend"] == "tensorflow"
    monkeypatch.setenv(VARIABLE, "pytorch")
    assert reconstruct(scan, trained.paths["model"]).reconstruction.metadata["backend"] == "pytorch"


@pytest.mark.parametrize(("to", "members"), [("pytorch", 1), ("tensorflow", 1), ("both", 2)])
def test_a_converted_model_gives_the_same_image(
    trained: Any, scan: Scan, tmp_path: Path, to: Any, members: int
) -> None:
    made = convert(trained.paths["model"], tmp_path / "made.zip", to=to).path
    manifest = load_bundle(made).manifest
    assert len(manifest.weights) == members
    assert manifest.backend == ("pytorch" if to == "pytorch" else "tensorflow")
    same(reconstruct(scan, made), reconstruct(scan, trained))
    back = load_bundle(convert(made, tmp_path / "back.zip", to="pytorch").path)
    for name, value in load_bundle(trained.paths["model"]).state.items():
        assert (back.state[name] == value).all(), name


def test_a_resumed_training_ends_as_one_that_was_not_interrupted(
    trained: Any, scan: Scan, recipe: MakeRecipe, tmp_path: Path
) -> None:
    train(scan, tmp_path, recipe(*FITTED, "training.epochs=1"))
    with pytest.raises(ConfigError, match="was made by the backend tensorflow"):
        train(scan, tmp_path, recipe(*FITTED), overrides=["backend=pytorch"], resume=True)
    resumed = train(scan, tmp_path, recipe(*FITTED), resume=True)
    assert resumed.history["train_loss"] == pytest.approx(trained.history["train_loss"], rel=1e-5)
    assert resumed.recipe.fitted.intensity_scale == pytest.approx(trained.recipe.fitted.intensity_scale, rel=1e-5)


def test_a_training_stops_where_the_loss_is_not_a_number(scan: Scan, recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(PtychoPINNError, match="the training loss is nan in epoch"):
        train(
            scan,
            tmp_path,
            recipe("training.learning_rate=1e30", "training.warmup_epochs=0", "training.gradient_clip=null"),
        )


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("model.generator.architecture=fno", "architecture is 'fno', and the backend tensorflow has cnn only"),
        ("model.positions.trainable=true", "positions.trainable is True"),
        ("training.devices=2", "training.devices is 2"),
        ("training.precision=bfloat16", "precision is 'bfloat16'"),
        ("model.loss.penalties={single_material: 1.0}", "penalties is 'single_material'"),
        ("model.propagation=near_field", "propagation is 'near_field'"),
    ],
)
def test_what_only_pytorch_has_is_refused_before_work(
    scan: Scan, recipe: MakeRecipe, tmp_path: Path, override: str, part: str
) -> None:
    with pytest.raises(ConfigError, match=part):
        train(scan, tmp_path / "out", recipe(override))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_compares_the_solver_with_the_network_of_tensorflow(
    scan: Scan, recipe: MakeRecipe, tmp_path: Path
) -> None:
    made = run(scan, tmp_path, recipe("reconstruction.refine.iterations=3"))
    assert made.other is not None
    backends = [image.reconstruction.metadata["backend"] for image in (made.reconstructed, made.other)]
    assert sorted(backends) == ["pytorch", "tensorflow"]


def test_both_backends_have_the_settings_of_the_table(backend: ModuleType) -> None:
    from ptychopinn.bundle import layouts
    from ptychopinn.tensorflow import generator

    assert (tuple(generator.INPUTS), tuple(generator.OUTPUTS)) == (layouts.INPUTS, layouts.OUTPUTS)


def test_one_process_switches_between_backends(trained: Any, scan: Scan, recipe: MakeRecipe) -> None:
    other = train(scan, recipe=recipe("training.epochs=1"), overrides=["backend=pytorch"])
    found = [
        (model.recipe.backend, reconstruct(scan, model).reconstruction.metadata["backend"])
        for model in (trained, other, trained)
    ]
    assert found == [("tensorflow",) * 2, ("pytorch",) * 2, ("tensorflow",) * 2]


def test_models_in_memory_are_converted_where_another_backend_is_asked_for(trained: Any, scan: Scan) -> None:
    image = reconstruct(scan, trained, overrides=["backend=pytorch"])
    assert image.reconstruction.metadata["backend"] == "pytorch"
    same(image, reconstruct(scan, trained))
    assert load_model(trained.paths["model"], "pytorch").network.generator.backend == "pytorch"
