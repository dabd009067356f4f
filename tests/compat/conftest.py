"""What the tests of both client packages share."""

import pytest


@pytest.fixture(scope="session")
def fits_positions() -> list[str]:
    """Overrides of a small network that moves the positions of its scan within four epochs."""
    return [
        "model.positions.trainable=true",
        "model.generator.width=2",
        "model.generator.levels=2",
        "training.epochs=4",
        "training.learning_rate=0.02",
        "training.device=cpu",
        "data.validation_fraction=0",
    ]
