"""Models whose generator knows the truth."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ptychopinn.config import Recipe
from ptychopinn.data import Scan
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.generators import GroupView, Unrolled
from ptychopinn.models import PatchModel, build_model
from ptychopinn.physics import extract_patches


class Recital(nn.Module):
    """Returns given patches one batch after the other, over and over, whatever the patterns are."""

    scene_solver = None

    def __init__(self, patches: Tensor) -> None:
        super().__init__()
        self._patches = patches
        self._next = 0

    def forward(self, view: GroupView) -> Tensor:
        batch, group = view.amplitude.shape[:2]
        part = self._patches[self._next : self._next + batch * group]
        self._next = (self._next + batch * group) % len(self._patches)
        return part.unflatten(0, (batch, group))


@pytest.fixture
def make_model() -> Callable[..., PatchModel]:
    """A model of a scan; with a group table it recites the true patches in that order."""

    def build(scan: Scan, *overrides: str, truth_of: NDArray[np.int64] | None = None) -> PatchModel:
        small = ("data.group_size=4", "model.generator.width=2", "model.generator.levels=1")
        recipe = Recipe().with_overrides([*small, *overrides])
        torch.manual_seed(0)
        model = build_model(recipe, torch.from_numpy(scan.probe))
        if truth_of is None:
            nn.init.normal_(model.generator.network.head.weight, std=0.1)
        else:
            model.generator = Recital(true_patches(scan, model.config.subpixel)[truth_of.reshape(-1)])
        return model

    return build


@pytest.fixture
def make_unrolled(make_model: Callable[..., PatchModel]) -> Callable[..., PatchModel]:
    """A model of two stages whose networks have random last layers, as after some training."""

    def build(scan: Scan, *overrides: str) -> PatchModel:
        few = ("model.generator.architecture=unrolled", "model.generator.stages=0", "model.generator.physics_steps=3")
        model = make_model(scan, *few, *overrides)
        torch.manual_seed(1)
        config = model.config.generator.changed(stages=2)
        model.generator = Unrolled(config)
        for network in model.generator.network:
            nn.init.normal_(network.head.weight, std=0.1)
        return model

    return build


def true_patches(scan: Scan, subpixel: str) -> Tensor:
    """(N, H, W), where a model with this setting has its patches."""
    tensors = ScanTensors(scan)
    positions = tensors.whole_px + tensors.remainder_px if subpixel == "bilinear" else tensors.whole_px
    return extract_patches(torch.from_numpy(scan.object_guess), positions, scan.patterns.shape[1:])
