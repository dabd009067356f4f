"""Archives of the earlier implementation give the numbers of the networks that they hold, and the recorded ones."""

import gzip
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import earlier_archives as earlier
import numpy as np
import pytest
import torch

from ptycho.model_manager import ModelManager
from ptycho.workflows.components import load_inference_bundle
from ptycho_torch.api.base_api import PtychoModel
from ptycho_torch.model_manager import load_torch_bundle
from ptycho_torch.workflows.components import load_inference_bundle_torch
from ptychopinn.api.convert import convert
from ptychopinn.api.model_files import load_model
from ptychopinn.api.model_info import model_info
from ptychopinn.bundle import load_bundle
from ptychopinn.bundle.legacy.pickled import read_pickle
from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import BundleError
from ptychopinn.generators.registry import build_network
from ptychopinn.physics import DiffractionModel, extract_patches
from ptychopinn.physics.legacy import EPSILON, merged_sums

KINDS = {"legacy_cnn_tensorflow": earlier.tensorflow_members, "legacy_cnn_pytorch": earlier.pytorch_members}


def error_of(found: np.ndarray, expected: np.ndarray) -> float:
    """norm(a - b) / norm(b)."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize(("width", "patterns"), [(32, 1), (64, 4)])
def test_weights_go_where_they_were(tmp_path: Path, architecture: str, width: int, patterns: int) -> None:
    """The loaded network gives what the network that was saved gives, to the last bit."""
    net = earlier.network(architecture, width=width, patterns=patterns)
    params = earlier.settings(gridsize=round(patterns**0.5))
    file = earlier.written(tmp_path / "wts.h5.zip", KINDS[architecture](net, params))
    image = torch.rand(2, patterns, 64, 64)
    loaded = load_model(file).network.generator
    with torch.no_grad():
        expected, found = net(image), loaded.network(image)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    assert loaded.stack == patterns


def test_the_session_may_have_made_other_convolutions_before(tmp_path: Path) -> None:
    net = earlier.network("legacy_cnn_tensorflow")
    members = earlier.tensorflow_members(net)
    members["diffraction_to_obj/model.keras"] = earlier.keras_file(net, offset=95)
    loaded = load_model(earlier.written(tmp_path / "a.zip", members)).network.generator.network
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("architecture", KINDS)
def test_the_input_is_the_amplitude_over_the_intensity_scale(tmp_path: Path, architecture: str) -> None:
    net = earlier.network(architecture)
    earlier.written(tmp_path / "wts.h5.zip", KINDS[architecture](net))
    model, params = load_inference_bundle(tmp_path)
    image = np.random.default_rng(3).random((3, 64, 64, 1)).astype(np.float32)
    patches = model.predict([image * params["intensity_scale"], np.zeros((3, 1, 2, 1))])
    with torch.no_grad():
        amplitude, phase = net(torch.from_numpy(image).permute(0, 3, 1, 2)).unbind(1)
    expected = torch.polar(amplitude.abs(), phase) * amplitude.sign()
    central = slice(16, 48)
    factor = 1 + EPSILON if architecture == "legacy_cnn_tensorflow" else 1
    found = np.asarray(patches)[:, central, central, 0] * factor
    assert error_of(found, expected.numpy()[:, central, central]) < 1e-5


def test_a_border_that_was_not_made_is_zero(tmp_path: Path) -> None:
    members = earlier.pytorch_members(params=earlier.settings(**{"probe.big": False}))
    network = load_model(earlier.written(tmp_path / "a.zip", members)).network.generator.network
    with torch.no_grad():
        amplitude, phase = network(torch.rand(1, 1, 64, 64)).unbind(1)
    assert amplitude[..., :16, :].abs().max() == 0 == phase[..., 48:].abs().max()
    assert amplitude[..., 16:48, 16:48].abs().max() > 0


def test_a_folder_of_unpacked_members_is_the_archive(tmp_path: Path) -> None:
    file = earlier.written(tmp_path / "model.zip", earlier.tensorflow_members())
    shutil.unpack_archive(file, tmp_path / "unpacked")
    packed, unpacked = load_bundle(file), load_bundle(tmp_path / "unpacked")
    assert packed.recipe == unpacked.recipe
    assert packed.state.keys() == unpacked.state.keys()
    assert all(torch.equal(value, unpacked.state[name]) for name, value in packed.state.items())


def test_a_converted_archive_is_the_same_model(tmp_path: Path) -> None:
    source = earlier.written(tmp_path / "old.zip", earlier.tensorflow_members())
    written = convert(source, tmp_path / "new.zip")
    old, new = load_bundle(source), load_bundle(tmp_path / "new.zip")
    assert (written.content, written.path) == ("model", tmp_path / "new.zip")
    assert (new.origin, new.recipe, new.manifest.models) == (None, old.recipe, old.manifest.models)
    assert all(torch.equal(value, new.state[name]) for name, value in old.state.items())
    assert new.params["intensity_scale"] == 31.25
    np.testing.assert_array_equal(new.params["probe"], old.params["probe"])
    with pytest.raises(BundleError, match="of this version already"):
        convert(tmp_path / "new.zip", tmp_path / "again.zip")
    assert not (tmp_path / "again.zip").exists()


def test_checkpoints_packed_or_not(tmp_path: Path) -> None:
    net = earlier.network("legacy_cnn_pytorch")
    data = earlier.checkpoint(net)
    (tmp_path / "a.ckpt").write_bytes(data)
    (tmp_path / "b.ckpt.gz").write_bytes(gzip.compress(data))
    for name in ("a.ckpt", "b.ckpt.gz"):
        loaded = load_model(tmp_path / name)
        state = loaded.network.generator.network.state_dict()
        assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
        facts = model_info(tmp_path / name)
        assert (facts.backend, facts.probe_stored, facts.pattern_size_px) == ("pytorch", False, 64)
        module = PtychoModel.load(tmp_path / name).module()
        assert module.model_config.amp_activation == "silu"
        assert module.trained().generator.network.phase.centre.weight.equal(net.phase.centre.weight)


def test_values_of_settings_of_every_kind() -> None:
    values = {
        "none": None, "true": True, "small": -5, "large": 2**60, "float": 1.5, "text": "é", "list": [1, [2.0, "a"]],
        "tuple": (1, 2, 3, 4), "empty": {}, "scalar": np.float64(0.1), "wide": np.int64(7),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "swapped": np.arange(3, dtype=">i4"),
        "flags": np.array([True, False]), "complex": np.ones((2, 2), np.complex128) * 1j,
    }  # fmt: skip
    plain = {key: value for key, value in values.items() if not isinstance(value, np.ndarray | np.generic)}
    for protocol in (2, 3, 4):
        assert read_pickle(pickle.dumps(plain, protocol=protocol), "test") == plain
    for protocol in (3, 4):
        found = read_pickle(pickle.dumps(values, protocol=protocol), "test")
        assert found.keys() == values.keys()
        for key in values.keys() - plain.keys():
            np.testing.assert_array_equal(found[key], values[key], err_msg=key)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"N": None}, "N must be a positive number"),
        ({"N": 63.5}, "whole numbers"),
        ({"nphotons": float("nan")}, "nphotons must be a positive number"),
        ({"intensity_scale": "31"}, "intensity_scale must be a positive number"),
        ({"intensity_scale": 10**40}, "more than 64 bits"),
        ({"gridsize": 2}, "sees 1 patterns at once, but gridsize makes groups of 4"),
        ({"probe": np.ones((32, 32), np.complex64)}, "probe must be an array of 64x64"),
        ({"probe": np.zeros((64, 64), np.complex64)}, "not all 0"),
    ],
)
def test_settings_that_make_no_model(tmp_path: Path, changes: dict, message: str) -> None:
    file = earlier.written(tmp_path / "a.zip", earlier.tensorflow_members(params=earlier.settings(**changes)))
    with pytest.raises(BundleError, match=message):
        load_model(file)


def test_another_activation_is_named(tmp_path: Path) -> None:
    members = earlier.pytorch_members(params=earlier.settings(amp_activation="mish"))
    with pytest.raises(BundleError, match="activation of the amplitude is mish; must be one of swish"):
        load_model(earlier.written(tmp_path / "a.zip", members))


@pytest.mark.shared_data
def test_layouts_are_those_of_the_earlier_implementation(shared_dir: Path) -> None:
    """Names, shapes and numbers of weights for several sizes, as `parity/model_layers.json` lists them."""
    recorded = json.loads((shared_dir / "parity/model_layers.json").read_text())
    sizes = {"nf1": 32, "nf2": 64}
    checked = 0
    for title, entry in recorded.items():
        if title.startswith("tf_"):
            width, architecture = sizes[title.split("_")[3]], "legacy_cnn_tensorflow"
        elif title.startswith("torch_cnn") and "real_imag" not in title:
            width, architecture = 32 * entry["model_config"]["n_filters_scale"], "legacy_cnn_pytorch"
        else:
            continue
        patterns, levels = (4 if "gs2" in title else 1), (4 if "N128" in title else 3)
        net = earlier.network(architecture, width=width, levels=levels, patterns=patterns)
        if architecture == "legacy_cnn_tensorflow":
            assert sum(value.numel() for value in net.parameters()) == entry["total_params"], title
            listed = {layer["name"]: layer["weights"] for layer in entry["layers"] if layer["weights"]}
            for k, name in enumerate(earlier.convolutions(net)):
                rows, columns, before, after = listed[f"conv2d{f'_{k}' if k else ''}"][0]["shape"]
                assert net.get_submodule(name).weight.shape == (after, before, rows, columns), (title, name)
        else:
            found = {name: list(value.shape) for name, value in earlier.pytorch_weights(net).items()}
            forward = {name for name in entry["state_dict"] if "forward_model" in name}
            expected = {name: value["shape"] for name, value in entry["state_dict"].items() if name not in forward}
            assert {name: shape for name, shape in found.items() if name not in forward} == expected, title
        checked += 1
    assert checked == 9


@pytest.mark.shared_data
class TestRecorded:
    """Inputs and outputs that the earlier implementation recorded; 1e-4 relative is asked for."""

    LIMIT = 1e-5

    @pytest.fixture
    def tensorflow(self, shared_dir: Path) -> dict[str, np.ndarray]:
        return dict(np.load(shared_dir / "parity/bundles/tf/predict.npz"))

    @pytest.fixture
    def pytorch(self, shared_dir: Path) -> dict[str, np.ndarray]:
        return dict(np.load(shared_dir / "parity/bundles/torch/predict.npz"))

    def test_tensorflow(self, shared_dir: Path, tensorflow: dict[str, np.ndarray]) -> None:
        folder = shared_dir / "parity/bundles/tf"
        model, params = load_inference_bundle(folder)
        inputs = [tensorflow["in_X_normalized"] * params["intensity_scale"], tensorflow["in_coords"]]
        assert error_of(model.predict(inputs), tensorflow["out_diffraction_to_obj"]) < self.LIMIT
        for one in ModelManager.load_multiple_models(folder / "wts.h5").values():
            assert error_of(one.predict(inputs), tensorflow["out_trimmed_obj"]) < self.LIMIT

    def test_tensorflow_amplitudes(self, shared_dir: Path, tensorflow: dict[str, np.ndarray]) -> None:
        """The probe and the scale of the archive: what the merged object gives at the detector, sqrt(photons)."""
        trained = load_model(shared_dir / "parity/bundles/tf")
        with torch.no_grad():
            image = torch.from_numpy(tensorflow["in_X_normalized"]).permute(0, 3, 1, 2)
            patches = trained.network.generator.patches_from(image[:, None])
            offsets = torch.from_numpy(tensorflow["in_coords"])[:, 0].permute(0, 2, 1).flip(-1).contiguous()
            placed, windows = merged_sums(patches, offsets, 74)
            merged = placed / (windows + EPSILON)
            again = extract_patches(merged, 37 - offsets, (64, 64))
            photons = DiffractionModel().photons(again, trained.network.probe[None, None])[:, 0].numpy()
        assert error_of(photons, tensorflow["out_intensity"][..., 0]) < 1e-4
        assert error_of(np.sqrt(photons), tensorflow["out_amp_scaled"][..., 0]) < 1e-4

    def test_pytorch(self, shared_dir: Path, pytorch: dict[str, np.ndarray]) -> None:
        folder = shared_dir / "parity/bundles/torch"
        model, params = load_inference_bundle_torch(folder)
        inputs = [pytorch["in_X"] * params["intensity_scale"], pytorch["in_coords"]]
        assert error_of(model.predict(inputs).numpy(), pytorch["out_forward_predict"]) < self.LIMIT
        for one in load_torch_bundle(folder / "wts.h5")[0].values():
            assert error_of(one.predict(inputs).numpy(), pytorch["out_forward_predict"]) < self.LIMIT

    @pytest.mark.parametrize("packed", [True, False])
    def test_lightning(self, shared_dir: Path, tmp_path: Path, pytorch: dict[str, np.ndarray], packed: bool) -> None:
        file = shared_dir / "parity/bundles/torch/lightning_weights_only.ckpt.gz"
        if not packed:
            (tmp_path / "a.ckpt").write_bytes(gzip.decompress(file.read_bytes()))
            file = tmp_path / "a.ckpt"
        with torch.no_grad():
            for generator in (load_model(file).network.generator, PtychoModel.load(file).module().trained().generator):
                patches = generator.patches_from(torch.from_numpy(pytorch["in_X"])[:, None])
                assert error_of(patches.numpy()[:, 0], pytorch["out_forward_predict"][:, 0]) < self.LIMIT

    def test_without_tensorflow(self, shared_dir: Path) -> None:
        """Neither TensorFlow nor Keras is imported, even where they are installed."""
        code = (
            "import sys; sys.modules.update(tensorflow=None, keras=None, dill=None)\n"
            "from ptychopinn.api.model_files import load_model\n"
            f"print(load_model({str(shared_dir / 'parity/bundles/tf')!r}).recipe.model.generator.architecture)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "legacy_cnn_tensorflow"

    def test_conversion_keeps_the_outputs(self, shared_dir: Path, tmp_path: Path, tensorflow: dict) -> None:
        convert(shared_dir / "parity/bundles/tf/wts.h5.zip", tmp_path / "wts.h5.zip")
        model, params = load_inference_bundle(tmp_path)
        inputs = [tensorflow["in_X_normalized"] * params["intensity_scale"], tensorflow["in_coords"]]
        assert error_of(model.predict(inputs), tensorflow["out_diffraction_to_obj"]) < self.LIMIT


def test_the_layout_refuses_other_settings() -> None:
    config = GeneratorConfig(architecture="legacy_cnn_tensorflow", width=32)
    with pytest.raises(ValueError, match=r"input=relative_amplitude and model\.generator\.output=polar"):
        build_network(2, 2, config)
    with pytest.raises(ValueError, match="needs levels of at least 2"):
        build_network(1, 2, config.changed(levels=1))
