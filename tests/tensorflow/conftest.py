"""Small scans, and one model in both frameworks. TensorFlow is imported in the tests, which are left out without it."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ptychopinn.bundle.layouts import to_tensorflow
from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.models import build_model, prepare_probe, scan_scale
from ptychopinn.simulation import simulate

SMALL = (
    "backend=tensorflow",
    "model.generator.width=2",
    "model.generator.levels=1",
    "training.epochs=2",
    "training.patterns_per_step=16",
    "training.device=cpu",
    "data.group_size=4",
    "reconstruction.check=false",  # time: two epochs make an image that does not fit
    "data.validation_fraction=0.25",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need the package."""
    for item in items:
        if "tests/tensorflow" in item.path.as_posix():
            item.add_marker(pytest.mark.optional("tensorflow"))


@pytest.fixture(scope="session")
def backend() -> ModuleType:
    """`ptychopinn.tensorflow`."""
    import ptychopinn.tensorflow

    return ptychopinn.tensorflow


@pytest.fixture(scope="session")
def scan() -> Scan:
    """36 patterns of 16 px."""
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=1e5, seed=2))


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    """A recipe that trains in seconds by TensorFlow; texts override it."""
    return lambda *overrides: Recipe().with_overrides([*SMALL, *overrides])


@pytest.fixture(scope="session")
def twins(backend: ModuleType) -> Callable[..., SimpleNamespace]:
    """One model in both frameworks, in double precision, with a last layer that is not zero, and a batch for each.

    `twins(scan, overrides, group_size)` has `torch`, `keras`, `batch`, `arrays`.
    """
    from ptychopinn.tensorflow.batches import arrays_of

    def build(scan: Scan, overrides: tuple[str, ...], group_size: int, change: Any = None) -> SimpleNamespace:
        settings = Recipe().with_overrides([f"data.group_size={group_size}", *overrides])
        tensors = ScanTensors(scan)
        groups = 2 if scan.pattern_size < 128 else 1  # time
        probe = prepare_probe(scan.probe, settings.model.probe)
        torch.manual_seed(0)
        model = build_model(settings, probe, scan_scale(settings, tensors, probe)[0])
        with torch.no_grad():
            model.generator.network.head.weight.normal_(0, 0.02)
            model.generator.network.head.bias.normal_(0, 0.02)
        model.generator.normalise_by(0.1, 0.7)
        model = model.double()
        weights = {name: value.numpy() for name, value in to_tensorflow(detached(model)).items()}
        batch = in_double(tensors.gather(np.arange(groups * group_size).reshape(groups, group_size)))
        batch = batch if change is None else change(batch)
        keras = backend.build_model(settings, weights, "float64")
        return SimpleNamespace(torch=model, keras=keras, batch=batch, arrays=arrays_of(batch, MEAN_COUNT, np.float64))

    return build


MEAN_COUNT = 37.0


def detached(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a model."""
    return {name: value.detach() for name, value in model.state_dict().items()}


def in_double(batch: Batch) -> Batch:
    """A batch in double precision."""
    labels = None if batch.labels is None else batch.labels.to(torch.complex128)
    return replace(batch, amplitude=batch.amplitude.double(), remainder_px=batch.remainder_px.double(), labels=labels)


@pytest.fixture(scope="session")
def relative() -> Callable[[Any, Any], float]:
    """norm(a - b) / norm(b)."""
    return lambda a, b: float(np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b)))
