"""Small noise-free scans, and a generator that knows the truth."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.dataset import Batch, ScanTensors
from ptychopinn.generators import GroupView
from ptychopinn.models import PatchModel, build_model, prepare_probe, scan_scale
from ptychopinn.physics import extract_patches
from ptychopinn.simulation import simulate

SMALL = ("data.group_size=4", "model.generator.width=2", "model.generator.levels=1")
MakeModel = Callable[..., PatchModel]


class Oracle(nn.Module):
    """Returns given patches, whatever the patterns are."""

    scene_solver = None

    def __init__(self, patches: Tensor) -> None:
        super().__init__()
        self.patches = nn.Parameter(patches)

    def forward(self, view: GroupView) -> Tensor:
        return self.patches.expand(*view.amplitude.shape)

    def stage_patches(self, view: GroupView) -> list[Tensor]:
        return [self(view)]


@cache
def expected_scan(size: int = 16, modes: int = 1) -> Scan:
    """A scan whose patterns are the expected counts, with the true object and probe."""
    return simulate(
        SimulationConfig(
            object_size_px=52,
            probe_size_px=size,
            probe_modes=modes,
            step_px=5,
            photons_per_pattern=1e5,
            poisson_noise=False,
            seed=size + modes,
        )
    )


@pytest.fixture(scope="session")
def noise_free() -> Callable[..., Scan]:
    """`noise_free(size=16, modes=1)`."""
    return expected_scan


@pytest.fixture(scope="session")
def scan() -> Scan:
    """The usual one: 16 px, one mode."""
    return expected_scan()


@pytest.fixture(scope="session")
def groups(scan: Scan) -> np.ndarray:
    """(3, 4): neighbours along the rows of the scan."""
    return np.arange(12).reshape(3, 4)


@pytest.fixture
def make_model() -> MakeModel:
    """An untrained model of a scan; texts are overrides of a small recipe."""

    def build(scan: Scan, *overrides: str) -> PatchModel:
        torch.manual_seed(0)
        recipe = Recipe().with_overrides([*SMALL, *overrides])
        probe = prepare_probe(scan.probe, recipe.model.probe)
        scale, _ = scan_scale(recipe, ScanTensors(scan), probe)
        return build_model(recipe, probe, scale)

    return build


@pytest.fixture
def with_truth() -> Callable[[PatchModel, ScanTensors, Batch], PatchModel]:
    """Give a model the patches of the scan's object instead of a generator."""

    def replace(model: PatchModel, tensors: ScanTensors, batch: Batch) -> PatchModel:
        positions = tensors.whole_px[batch.index]
        if model.config.subpixel == "bilinear":
            positions = positions + batch.remainder_px
        size = (tensors.pattern_size, tensors.pattern_size)
        object_ = torch.from_numpy(tensors.scan.object_guess)
        patches = extract_patches(object_, positions.flatten(0, 1), size)
        model.generator = Oracle(patches.unflatten(0, batch.index.shape))
        return model

    return replace
