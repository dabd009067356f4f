"""No architecture ends in a flat object: contrast above the lowest rings, at the usual pattern sizes."""

from collections.abc import Callable

import pytest

import ptychopinn
from ptychopinn.generators import architectures
from ptychopinn.studies.trial import CONTRAST

SMALL = (
    "model.generator.width=4",
    "model.generator.blocks=2",
    "training.learning_rate=0.01",
    "training.epochs=100",
    "training.patterns_per_step=16",
    "training.device=cpu",
    "data.validation_fraction=0",
)
COARSEST_PX = 16
"""Side of the coarsest maps, whatever the pattern's."""


def star(size: int) -> ptychopinn.Scan:
    """49 patterns of a Siemens star, 10^6 photons each; beam and step grow with the pattern."""
    step = 6 * size / 64
    return ptychopinn.simulate(
        overrides=[
            f"simulation.probe_size_px={size}",
            f"simulation.probe_diameter_px={size / 2}",
            f"simulation.step_px={step}",
            f"simulation.object_size_px={int(size + 6 * step) + 8}",
            "simulation.object_kind=siemens_star",
            "simulation.photons_per_pattern=1e6",
            "simulation.seed=3",
        ]
    ).scan


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in architectures() if not name.startswith("legacy_")])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_a_short_training_recovers_contrast_above_the_lowest_rings(
    name: str, size: int, record_property: Callable[[str, object], None]
) -> None:
    scan = star(size)
    levels = (size // COARSEST_PX).bit_length() - 1
    settings = (f"model.generator.architecture={name}", f"model.generator.levels={levels}")
    result = ptychopinn.run(scan, overrides=[*SMALL, *settings], solve=False)
    report = ptychopinn.evaluate(result.reconstruction, scan).report
    for part in ("amplitude", "phase"):
        record_property(part, report[f"contrast_{part}_high_rings"])
    for part in ("amplitude", "phase"):
        assert CONTRAST[0] <= report[f"contrast_{part}_high_rings"] <= CONTRAST[1], part
