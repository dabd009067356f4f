"""A small noisy scan, a small recipe, and training on them."""

from collections.abc import Callable

import pytest

from ptychopinn.config import Recipe, SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.simulation import simulate

SMALL = (
    "data.group_size=4",
    "data.validation_fraction=0.25",
    "model.generator.width=2",
    "model.generator.levels=1",
    "training.epochs=2",
    "training.patterns_per_step=16",
    "training.learning_rate=0.01",
    "training.warmup_epochs=0",
    "training.device=cpu",
)


@pytest.fixture(scope="session")
def scan() -> Scan:
    """36 patterns of 16 px."""
    return simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=5, photons_per_pattern=1e5, seed=2))


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., Recipe]:
    """A recipe that trains in a second; texts override it."""

    def build(*overrides: str) -> Recipe:
        return Recipe().with_overrides([*SMALL, *overrides])

    return build
