"""The scans of the comparison: simulated with a known object, and two halves of a measured one."""

from dataclasses import replace
from pathlib import Path

import numpy as np

import ptychopinn
from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.data.scan import Scan
from ptychopinn.simulation import illumination, simulate

OBJECTS = ("composite", "dead_leaves", "gaussian_field", "siemens_star", "lines")
DOSES = (1e4, 1e5, 1e6)
"""Photons per pattern where the object is 1."""
FIRST_SEED = 6000
"""Settings were chosen on the seeds 5900 to 5904."""
OBJECT_SIZE_PX = 176
WIDER = 1.15
"""Diameter of the starting probe over that of the true one: the beam at another defocus, with the right photons."""


def simulated(number: int, dose: float, size_px: int = OBJECT_SIZE_PX, *, exact_probe: bool = False) -> Scan:
    """The scan of an object by its number: about 225 patterns of 64 x 64 px.

    Its probe is where every method starts: by default the beam at another defocus.
    """
    config = SimulationConfig(
        object_kind=OBJECTS[number % len(OBJECTS)],
        object_size_px=size_px,
        photons_per_pattern=dose,
        seed=FIRST_SEED + number,
        device="cpu",
    )
    scan = simulate(config)
    if exact_probe:
        return scan
    return replace(scan, probe=illumination(config.changed(probe_diameter_px=WIDER * config.probe_size_px / 3)))


def halves(path: Path) -> tuple[Scan, Scan]:
    """Every second pattern of a measured scan, and the others."""
    scan = ptychopinn.read_scan(path)
    even = np.arange(len(scan)) % 2 == 0
    return scan.select(even), scan.select(~even)
