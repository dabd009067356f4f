"""What makes everything that we publish finish in seconds."""

from pathlib import Path

import pytest

from ptychopinn.data.io import formats

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


@pytest.fixture(autouse=True)
def _formats_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file formats as they were before the programs of the documents ran."""
    monkeypatch.setattr(formats._FORMATS, "entries", dict(formats._FORMATS.entries))
