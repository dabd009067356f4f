"""A small scan exported as ptychodus does, trained once through the calls of the client; every test starts afresh."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ptycho.loader
import ptycho.model_manager
import ptycho.params
import ptycho.probe
import ptycho.tf_helper
from ptycho.config.config import InferenceConfig, ModelConfig, TrainingConfig, update_legacy_dict
from ptycho.model import Session, session
from ptycho.raw_data import RawData
from ptycho.workflows.components import load_inference_bundle, run_cdi_example, save_outputs
from ptychopinn.config import SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.simulation import simulate

SIZE = 32


@pytest.fixture(autouse=True)
def fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the client's child: default settings, no model, an empty working directory, which must stay empty."""
    folder = tmp_path / "working_directory"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PTYCHOPINN_BACKEND", raising=False)
    reset()
    yield
    reset()
    assert not os.listdir(folder), "something was written to the working directory"


def reset() -> None:
    ptycho.params.cfg.clear()
    ptycho.params.cfg.update(ptycho.params.DEFAULT_CFG)
    session.__dict__.update(Session().__dict__)


@cache
def simulated(modes: int = 1, step_px: float = 6, size_px: int = 72) -> Scan:
    config = SimulationConfig(
        object_size_px=size_px,
        probe_size_px=SIZE,
        probe_modes=modes,
        step_px=step_px,
        photons_per_pattern=1e5,
        seed=3,
    )
    scan = simulate(config)
    inside = scan.positions_px[:, 0] < size_px - SIZE // 2 - 4
    return replace(scan.select(inside), object_guess=scan.object_guess[:-3])


@pytest.fixture(scope="session")
def scan() -> Callable[..., Scan]:
    """`scan(modes=1, step_px=6, size_px=72)`: counts of 32 px, and their object, which is wider than high."""
    return simulated


def client_arrays(scan: Scan) -> dict[str, Any]:
    """What ptychodus hands over at reconstruction: positions of the geometric centre, counts, a stack of modes."""
    return {
        "xcoords": scan.positions_px[:, 1] - 0.5,
        "ycoords": scan.positions_px[:, 0] - 0.5,
        "diff3d": scan.patterns.astype(np.uint16),
        "probeGuess": scan.probe.astype(np.complex128),
        "scan_index": np.zeros(len(scan), dtype=int),
        "objectGuess": scan.object_guess,
    }


@pytest.fixture(scope="session")
def arrays() -> Callable[[Scan], dict[str, Any]]:
    """`arrays(scan)`: keyword arguments of `from_coords_without_pc`."""
    return client_arrays


def write_export(path: Path, scan: Scan, **changes: Any) -> Path:
    """A training file as `save_ptychopinn_training_data` writes it."""
    arrays = client_arrays(scan)
    arrays |= {"xcoords_start": arrays["xcoords"], "ycoords_start": arrays["ycoords"]}
    arrays |= {"bad_pixels": np.zeros((SIZE, SIZE), bool)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.fixture(scope="session")
def export() -> Callable[..., Path]:
    """`export(path, scan, **changes)`."""
    return write_export


def model_config(size: int, **changes: Any) -> ModelConfig:
    settings: dict[str, Any] = {
        "gridsize": 1,
        "n_filters_scale": 1,
        "model_type": "pinn",
        "amp_activation": "sigmoid",
        "object_big": True,
        "probe_big": True,
        "probe_mask": False,
        "pad_object": True,
        "probe_scale": 4.0,
        "gaussian_smoothing_sigma": 0.0,
    }
    return ModelConfig(N=size, **{**settings, **changes})


@pytest.fixture(scope="session")
def training_config() -> Callable[..., TrainingConfig]:
    """`training_config(model={}, **changes)`: the client's settings, two short epochs."""

    def build(model: dict[str, Any] | None = None, **changes: Any) -> TrainingConfig:
        settings: dict[str, Any] = {
            "train_data_file": Path(),
            "test_data_file": None,
            "batch_size": 16,
            "nepochs": 2,
            "nphotons": 1e6,
            "output_dir": Path(),
        }
        return TrainingConfig(model=model_config(0, **(model or {})), **{**settings, **changes})

    return build


@dataclass(frozen=True)
class Trained:
    """Folders and results of one training by the client's calls."""

    input: Path
    output: Path
    results: dict[str, Any]
    returned: tuple[Any, Any]


def train_as_client(folder: Path, config: TrainingConfig) -> Trained:
    """The calls of the client's child process in their order."""
    inputs, outputs = folder / "in", folder / "out"
    RawData.from_file(inputs / "test_data.npz")
    raw = RawData.from_file(inputs / "train_data.npz")
    config.model.N = raw.diff3d.shape[-1]
    update_legacy_dict(ptycho.params.cfg, config)
    amplitude, phase, results = run_cdi_example(raw, raw, config)
    ptycho.model_manager.save(outputs)
    save_outputs(amplitude, phase, results, str(outputs))
    return Trained(inputs, outputs, results, (amplitude, phase))


@pytest.fixture(scope="session")
def train() -> Callable[[Path, TrainingConfig], Trained]:
    """`train(folder, config)`: trains on the files in `folder / "in"`, leaves the model in `folder / "out"`."""
    return train_as_client


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, training_config: Callable[..., TrainingConfig]) -> Trained:
    """A PINN trained by the client's calls on a scan with two modes and with bad pixels."""
    folder = tmp_path_factory.mktemp("trained")
    bad = np.zeros((SIZE, SIZE), bool)
    bad[3:6, 20:24] = True
    for name in ("test_data.npz", "train_data.npz"):
        write_export(folder / "in" / name, simulated(modes=2), bad_pixels=bad)
    return train_as_client(folder, training_config())


def reconstruct_as_client(
    model_dir: Path, arrays: dict[str, Any], K: int = 7, nsamples: int = 1, **model: Any
) -> NDArray[np.complex64]:
    """The calls of the client's child process in their order."""
    inference = InferenceConfig(
        model=model_config(arrays["diff3d"].shape[-1], **model),
        model_path=Path(),
        test_data_file=Path(),
        debug=False,
        output_dir=Path(),
    )
    update_legacy_dict(ptycho.params.cfg, inference)
    network, _ = load_inference_bundle(model_dir)
    raw = RawData.from_coords_without_pc(**arrays)
    ptycho.probe.set_probe_guess(None, raw.probeGuess)
    dataset = raw.generate_grouped_data(inference.model.N, K=K, nsamples=nsamples, gridsize=inference.model.gridsize)
    container = ptycho.loader.load(lambda: dataset, raw.probeGuess, which=None, create_split=False)
    intensity_scale = ptycho.params.get("intensity_scale")
    patches = network.predict([container.X * intensity_scale, container.local_offsets])
    return np.squeeze(ptycho.tf_helper.reassemble_position(patches, container.global_offsets, M=20))


@pytest.fixture(scope="session")
def reconstruct() -> Callable[..., NDArray[np.complex64]]:
    """`reconstruct(model_dir, arrays, K=7, nsamples=1, **model)`."""
    return reconstruct_as_client
