"""What makes everything that we publish finish in seconds."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

QUICK = (
    "simulation.object_size_px=52",
    "simulation.probe_size_px=16",
    "simulation.step_px=3",
    "training.epochs=1",
    "model.generator.width=2",
    "model.generator.levels=2",
)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def quick() -> list[str]:
    """Overrides: a small scan, a small network, one epoch."""
    return list(QUICK)
