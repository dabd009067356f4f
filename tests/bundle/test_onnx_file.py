"""An exported generator gives the patches of PyTorch, for batches of any size, and says what it takes."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ptychopinn.bundle import onnx_file
from ptychopinn.bundle.onnx_file import Graph, metadata_of, onnx_function, write_int8, write_onnx
from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.errors import BundleError, ConfigError, MissingExtraError
from ptychopinn.generators import architectures
from ptychopinn.models import TrainedModel, build_model

pytestmark = pytest.mark.optional("onnx")
SIZE = 24
FITTED = FittedStatistics(
    pattern_size=SIZE, input_mean=0.3, input_deviation=2.0, mean_count=1, intensity_scale=1.5, n_patterns=1
)
LEGACY = ("model.generator.input=relative_amplitude", "model.generator.output=polar", "model.generator.width=32")


def trained(*overrides: str) -> TrainedModel:
    """A small network with random weights in every layer, also the last."""
    small = ["model.generator.width=4", "model.generator.levels=2", "model.generator.blocks=1"]
    recipe = Recipe().with_overrides([*small, "model.generator.spectral_modes=3", *overrides])
    torch.manual_seed(0)
    network = build_model(recipe, torch.ones(1, SIZE, SIZE, dtype=torch.complex64)).eval()
    network.generator.normalise_by(FITTED.input_mean, FITTED.input_deviation)
    with torch.no_grad():
        for value in network.generator.parameters():
            value += 0.03 * torch.randn_like(value)
    return TrainedModel(network, recipe.changed(fitted=FITTED))


def expected(model: TrainedModel, images: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Patches (B, S, H, W) by the generator itself, of images that are not normalised."""
    together = Graph(model).stack
    shown = torch.from_numpy(images).reshape(len(images), together, -1, SIZE, SIZE)
    with torch.inference_mode():
        normalised = (shown - FITTED.input_mean) / FITTED.input_deviation
        return model.network.generator.patches_from(normalised).numpy()


def agrees(model: TrainedModel, path: Path) -> None:
    """For a batch of five, which is none of those that it was written and compared with."""
    images = Graph(model).example(SIZE, 5).numpy()
    made = onnx_function(path)(images)
    complex_patches = made[:, 0::2] + 1j * made[:, 1::2]
    np.testing.assert_allclose(complex_patches, expected(model, images), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures())
def test_every_architecture_gives_the_patches_of_pytorch(name: str, tmp_path: Path) -> None:
    extra = {"unrolled": ("model.generator.stages=0",), "legacy_cnn_pytorch": LEGACY, "legacy_cnn_tensorflow": LEGACY}
    model = trained(f"model.generator.architecture={name}", *extra.get(name, ()))
    assert write_onnx(tmp_path / "network.onnx", model) < 1e-5
    agrees(model, tmp_path / "network.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["real_imaginary", "amplitude_phase", "circular_phase"])
def test_every_output_becomes_real_and_imaginary_part(output: str, tmp_path: Path) -> None:
    model = trained(f"model.generator.output={output}")
    write_onnx(tmp_path / "network.onnx", model)
    agrees(model, tmp_path / "network.onnx")


def test_stacked_groups_names_and_metadata(tmp_path: Path) -> None:
    import onnx

    model = trained("model.generator.grouping=stacked", "data.group_size=4", "model.generator.output=amplitude_phase")
    write_onnx(tmp_path / "network.onnx", model)
    agrees(model, tmp_path / "network.onnx")

    made = onnx.load_model(tmp_path / "network.onnx")
    onnx.checker.check_model(made)
    (image,), (patch,) = made.graph.input, made.graph.output
    sizes = [one.dim_param or one.dim_value for one in image.type.tensor_type.shape.dim]
    assert (image.name, patch.name) == ("image", "patch")
    assert sizes == ["batch", 8, SIZE, SIZE]
    facts = {one.key.removeprefix("ptychopinn."): one.value for one in made.metadata_props}
    assert facts["architecture"] == "cnn"
    assert (float(facts["input_mean"]), float(facts["input_deviation"])) == pytest.approx((0.3, 2.0))
    assert (facts["pattern_size_px"], facts["patterns_together"]) == (str(SIZE), "4")
    assert json.loads(facts["generator"])["width"] == 4
    assert {f"ptychopinn.{name}" for name in facts} == set(metadata_of(model))


def test_the_graph_normalises_the_input_itself() -> None:
    model = trained()
    images = Graph(model).example(SIZE).numpy()
    with torch.inference_mode():
        made = Graph(model)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(made[:, 0] + 1j * made[:, 1], expected(model, images)[:, 0], atol=1e-6)


def test_8_bits_change_patches_a_little_and_leave_the_log_alone(tmp_path: Path) -> None:
    model = trained("model.generator.width=8")
    exact, rough = tmp_path / "exact.onnx", tmp_path / "rough.onnx"
    write_onnx(exact, model)
    images = Graph(model).example(SIZE, 16).numpy()
    handlers = list(logging.getLogger().handlers)
    write_int8(exact, rough, [images[:8], images[8:]])

    change = np.abs(onnx_function(rough)(images) - onnx_function(exact)(images))
    assert 0 < change.mean() < 0.1 * np.abs(onnx_function(exact)(images)).mean()
    assert rough.stat().st_size < exact.stat().st_size
    assert logging.getLogger().handlers == handlers
    import onnx

    made = onnx.load_model(rough)
    facts = {one.key: one.value for one in made.metadata_props}
    assert facts["ptychopinn.arithmetic"] == "int8"
    assert facts["ptychopinn.architecture"] == "cnn"
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in made.graph.initializer}
    assert any(value.dtype == np.int8 and value.ndim == 4 for value in weights.values())
    assert any(value.dtype == np.float32 and value.shape[:2] == (2, 8) for value in weights.values())  # the last layer


def test_a_network_without_wide_convolutions_gains_nothing_by_8_bits(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [],
        "empty",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])],
    )
    onnx.save_model(helper.make_model(graph), tmp_path / "empty.onnx")
    with pytest.raises(ConfigError, match="convolutions of at least 8 channels"):
        write_int8(tmp_path / "empty.onnx", tmp_path / "rough.onnx", [])


def test_an_unrolled_network_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="architecture=unrolled runs the iterative solver"):
        write_onnx(tmp_path / "network.onnx", trained("model.generator.architecture=unrolled"))
    assert not list(tmp_path.iterdir())


def test_complex_transforms_are_refused_with_the_reason(tmp_path: Path) -> None:
    model = trained("model.generator.architecture=fno")
    config = model.recipe.with_overrides(["model.generator.spectral=neuraloperator"])
    with pytest.raises(ConfigError, match="spectral=neuraloperator computes complex Fourier transforms"):
        write_onnx(tmp_path / "network.onnx", TrainedModel(model.network, config))


def test_a_missing_package_is_named_with_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(onnx_file, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"the package onnx,.*pip install 'ptychopinn\[onnx\]'"):
        write_onnx(tmp_path / "network.onnx", trained())


def test_a_file_that_gives_other_patches_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = onnx_file.onnx_function

    def wrong(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        return lambda images: right(path)(images) + np.float32(0.01)

    monkeypatch.setattr(onnx_file, "onnx_function", wrong)
    with pytest.raises(BundleError, match="differ from those of PyTorch"):
        write_onnx(tmp_path / "network.onnx", trained("model.generator.levels=1"))
