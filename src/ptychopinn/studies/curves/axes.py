"""What the curves vary, and the simulated scans that they are measured on."""

import math
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ptychopinn.config import SimulationConfig
from ptychopinn.data.scan import Scan
from ptychopinn.simulation import simulate
from ptychopinn.studies.prior.scans import defocused

KINDS = ("composite", "siemens_star", "dead_leaves", "gaussian_field", "lines", "text")
"""Kinds of objects; the seed decides which."""
PATTERN_PX = 64
MARGIN_PX = 6
"""Of the object beyond the windows of the grid, whose positions are jittered; less would leave out a row."""


@dataclass(frozen=True)
class Point:
    """One experiment, up to its seed; an axis changes one of the values."""

    photons: float = 1e4
    """Per pattern, where the object is 1."""
    step_px: float = 6.5
    """Between neighbouring positions."""
    patterns: int = 144
    """A square number: rows times columns of the grid."""
    probe_rad: float = 0.0
    """Defocus of the start probe: its phase at the Nyquist frequency."""
    position_error_px: float = 0.0
    """RMS distance between recorded and true positions."""

    def settings(self, seed: int) -> SimulationConfig:
        """Of the simulator. Amplitude and phase are unrelated where the seed is odd."""
        return SimulationConfig().changed(
            object_kind=KINDS[seed % len(KINDS)],
            object_size_px=round(PATTERN_PX + MARGIN_PX + self.step_px * (math.sqrt(self.patterns) - 1)),
            object_correlation=0.0 if seed % 2 else None,
            probe_size_px=PATTERN_PX,
            step_px=self.step_px,
            position_error_px=self.position_error_px,
            photons_per_pattern=self.photons,
            seed=seed,
            device="cpu",
        )

    def scan(self, seed: int) -> Scan:
        """The scan; its probe is what every method starts from, its object guess the truth."""
        scan = simulate(self.settings(seed))
        return replace(scan, probe=defocused(scan.probe, self.probe_rad)) if self.probe_rad else scan

    def stated(self, seed: int) -> dict[str, Any]:
        """All that decides the scan, as plain JSON values."""
        return {**self.settings(seed).model_dump(mode="json"), "probe_rad": self.probe_rad}


@dataclass(frozen=True)
class Axis:
    """A curve: what is varied, and over which values."""

    label: str
    """With the unit."""
    values: tuple[float, ...]
    name: str
    """Of the value of a `Point` that it changes."""
    factors: MappingProxyType[float, float] = field(default_factory=lambda: MappingProxyType({}))
    """Value of the curve -> value of the point, where they differ."""

    def point(self, value: float, base: Point) -> Point:
        """The experiment at a value of the curve."""
        changed = self.factors.get(value, value)
        named: dict[str, Any] = {self.name: int(changed) if self.name == "patterns" else changed}
        return replace(base, **named)


_OVERLAP = {1.0: 6.5, 0.5: 9.2, 0.25: 13.0}
AXES: dict[str, Axis] = {
    "dose": Axis("photons per pattern", (1e2, 1e3, 1e4, 1e5, 1e6, 1e7), "photons"),
    "overlap": Axis(
        "positions per area, relative, each with the same photons",
        tuple(_OVERLAP),
        "step_px",
        MappingProxyType(_OVERLAP),
    ),
    "patterns": Axis("number of patterns", (25, 64, 144, 256), "patterns"),
    "probe": Axis("defocus of the start probe, rad at the Nyquist frequency", (0, 3, 6, 12, 24), "probe_rad"),
    "positions": Axis("RMS error of the positions, px", (0, 0.25, 0.5, 1, 2), "position_error_px"),
}
