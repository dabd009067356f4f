"""A small solved scan, and networks that correct it."""

import pytest
import torch

from ptychopinn.config import RefineConfig
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.prior import Prior, PriorNetwork, PriorRecipe, PriorRecord
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start, refine


@pytest.fixture(scope="session")
def solved() -> tuple[Reconstruction, ScanTensors]:
    """An image of the solver, and its scan."""
    scan = simulate(
        SimulationConfig(object_size_px=64, probe_size_px=32, step_px=5, photons_per_pattern=3e3, seed=4, device="cpu")
    )
    tensors = ScanTensors(scan)
    start = flat_start(scan, torch.from_numpy(scan.probe))
    return refine(start, tensors, RefineConfig(iterations=12)).reconstruction, tensors


@pytest.fixture
def recipe() -> PriorRecipe:
    """A small network."""
    return PriorRecipe(levels=2, width=4)


@pytest.fixture
def prior(recipe: PriorRecipe) -> Prior:
    """Random weights, also in the last layer."""
    torch.manual_seed(0)
    network = PriorNetwork(recipe)
    torch.nn.init.normal_(network.last.weight, std=0.3)
    return Prior(network.eval(), PriorRecord(name="random"), "random")
