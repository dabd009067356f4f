"""A bundle brings back what was saved, and an interrupted save harms nothing."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ptychopinn.bundle import load_bundle, load_state_strictly, save_bundle
from ptychopinn.bundle.archive import MAX_JSON_BYTES
from ptychopinn.config import Recipe
from ptychopinn.errors import BundleError, OutputError

RECIPE = Recipe().with_overrides(["training.epochs=3"])


def small_probe() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (rng.normal(size=(2, 8, 8)) + 1j * rng.normal(size=(2, 8, 8))).astype(np.complex64)


def network(width: int = 3) -> torch.nn.Module:
    torch_generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.BatchNorm1d(width))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=torch_generator))
    return module


def save(path: Path, **changes: object) -> Path:
    values: dict = {"recipe": RECIPE, "state": network().state_dict(), "probe": small_probe(), **changes}
    return save_bundle(path, **values)


def test_a_bundle_names_an_engine_that_every_machine_has(tmp_path: Path) -> None:
    recipe = RECIPE.with_overrides(["model.generator.architecture=fno", "model.generator.spectral=neuraloperator"])
    loaded = load_bundle(save(tmp_path / "a.zip", recipe=recipe)).recipe
    assert loaded == RECIPE.with_overrides(["model.generator.architecture=fno"])


def test_everything_comes_back(tmp_path: Path) -> None:
    state = {
        "shared": network().state_dict()["0.weight"],
        "strided": torch.arange(6.0).reshape(2, 3).T,
        "modes": torch.view_as_complex(torch.rand(2, 3, 2)).conj(),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "steps": torch.tensor(7),
    }
    state["alias"] = state["shared"]
    arrays = {
        "double": np.array([1 + 2j, 3j]),
        "counts": np.arange(4, dtype=np.uint16),
        "mask": np.eye(2, dtype=bool),
        "swapped": np.arange(3, dtype=">f8"),
        "empty": np.zeros((0, 3), np.complex64),
    }
    file = save(tmp_path / "a.zip", state=state, arrays=arrays, optimizer={"exp_avg": torch.ones(3)})
    bundle = load_bundle(file)

    assert bundle.recipe == RECIPE
    assert list(bundle.state) != []
    assert set(bundle.state) == set(state)
    for name, tensor in state.items():
        assert bundle.state[name].dtype == tensor.dtype
        assert torch.equal(bundle.state[name], tensor)
    assert set(bundle.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(bundle.arrays[name], array)
        assert bundle.arrays[name].dtype == array.dtype.newbyteorder("=")
    assert bundle.probe.dtype == np.complex64
    np.testing.assert_array_equal(bundle.probe, small_probe())
    assert bundle.optimizer is not None
    assert torch.equal(bundle.optimizer["exp_avg"], torch.ones(3))
    assert bundle.manifest.models == ("autoencoder", "diffraction_to_obj")
    assert bundle.manifest.backend == "pytorch"


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(save(tmp_path / "a.zip")) as archive:
        assert archive.namelist() == [
            "manifest.json",
            "recipe.json",
            "params.json",
            "arrays.safetensors",
            "model/weights.safetensors",
        ]


def test_params_come_back_with_their_arrays(tmp_path: Path) -> None:
    params = {
        "N": np.int64(64),
        "scale": np.float32(0.5),
        "none": None,
        "path": Path("a/b"),
        "nested": {"probe": np.full((2, 2), 1j), "list": (1, "two", torch.ones(2))},
        "number": 1 + 2j,
    }
    bundle = load_bundle(save(tmp_path / "a.zip", params=params))
    back = bundle.params
    assert (back["N"], back["scale"], back["none"], back["path"]) == (64, 0.5, None, "a/b")
    np.testing.assert_array_equal(back["nested"]["probe"], np.full((2, 2), 1j))
    assert back["nested"]["list"][:2] == [1, "two"]
    np.testing.assert_array_equal(back["nested"]["list"][2], np.ones(2))
    assert back["number"] == 1 + 2j
    assert bundle.arrays == {}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"probe": np.ones((8, 8), complex)}, r"must be complex \(M, H, W\)"),
        ({"probe": np.ones((1, 8, 8), int)}, "must be complex"),
        ({"arrays": {"probe": np.ones(2)}}, "'probe' is reserved"),
        ({"arrays": {"params/x": np.ones(2)}}, "'params/x' is reserved"),
        ({"arrays": {"text": np.array(["a"])}}, "numbers and booleans only"),
        ({"arrays": {"things": np.array([{}], dtype=object)}}, "numbers and booleans only"),
        ({"arrays": {"long": np.ones(2, np.longdouble)}}, "numbers and booleans only"),
        ({"arrays": {"x:complex": np.ones(2)}}, "reserved"),
        ({"params": {"bad": float("nan")}}, "bad is nan"),
        ({"params": {"a": {"bad": {1, 2}}}}, "a.bad is a set"),
        ({"params": {1: 2}}, "key 1"),
        ({"params": {"$array": "x"}}, r"key '\$array'"),
        ({"params": {"a.b": np.ones(1), "a": {"b": np.ones(1)}}}, "two arrays have the path a.b"),
        ({"params": {"long": "x" * MAX_JSON_BYTES}}, "bytes of JSON"),
    ],
)
def test_what_a_bundle_cannot_hold_is_refused(tmp_path: Path, changes: dict, part: str) -> None:
    with pytest.raises(BundleError, match=part):
        save(tmp_path / "a.zip", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_stands_for_the_file_inside(tmp_path: Path) -> None:
    assert save(tmp_path) == tmp_path / "wts.h5.zip"
    assert load_bundle(tmp_path).path == tmp_path / "wts.h5.zip"


def test_a_failed_rename_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(tmp_path / "a.zip")
    before = file.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError):
        save(file, probe=2 * small_probe())
    assert file.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.zip"]


CHILD = """
import os, sys, time
import numpy as np, torch
from ptychopinn.bundle import save_bundle
from ptychopinn.config import Recipe

def stall(_):
    print("writing", flush=True)
    time.sleep(3600)

os.fsync = stall
save_bundle(sys.argv[1], recipe=Recipe(), state={"w": torch.zeros(9)}, probe=np.zeros((1, 4, 4), complex))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_save_leaves_the_old_bundle(tmp_path: Path) -> None:
    file = save(tmp_path / "a.zip")
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(file)], stdout=subprocess.PIPE, text=True)
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "writing\n"
        finally:
            child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2, "the save was not under way"
    np.testing.assert_array_equal(load_bundle(file).probe, small_probe())


def test_weights_that_fit_are_loaded() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    load_state_strictly(module, network().state_dict(), "here")
    assert torch.equal(module[0].weight, network()[0].weight)


def test_weights_that_do_not_fit_are_listed_and_none_is_loaded() -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = network(width=5).state_dict()
    state["extra"] = state.pop("1.running_mean")
    state["1.weight"] = torch.zeros(3, dtype=torch.complex64)
    state["1.running_var"] = torch.full((3,), 9.0)
    with pytest.raises(BundleError) as caught:
        load_state_strictly(module, state, "here")
    message = str(caught.value)
    assert message.startswith("here: ")
    assert "missing: 1.running_mean;" in message
    assert "unexpected: extra;" in message
    assert "0.weight (5x4 instead of 3x4)" in message
    assert "1.weight (complex 3 instead of 3)" in message
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_long_list_of_weights_is_cut() -> None:
    state = {f"layer{k}": torch.zeros(1) for k in range(20)}
    with pytest.raises(BundleError, match="layer11 and 8 more"):
        load_state_strictly(torch.nn.Identity(), state, "here")


def test_the_unpacked_members_are_a_bundle_too(tmp_path: Path) -> None:
    """A client unpacks an archive that it was given, and hands over the folder."""
    packed = save(tmp_path / "model.zip")
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    loaded, original = load_bundle(folder), load_bundle(packed)
    assert loaded.manifest == original.manifest
    assert all(torch.equal(loaded.state[name], value) for name, value in original.state.items())
    (folder / "model" / "weights.safetensors").write_bytes(b"changed")
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        load_bundle(folder)


def test_a_folder_without_bundle_or_members_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"wts\.h5\.zip: no such model bundle"):
        load_bundle(tmp_path)
