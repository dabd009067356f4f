"""The built-in simulator: samples, beams, scans, and the counts that a detector would record."""

from ptychopinn.simulation.objects import OBJECTS, make_object, transmission
from ptychopinn.simulation.probes import PROBES, make_probe
from ptychopinn.simulation.scans import SCANS, make_positions, position_bounds
from ptychopinn.simulation.simulate import record_patterns, simulate
from ptychopinn.simulation.textures import Texture

__all__ = [
    "OBJECTS",
    "PROBES",
    "SCANS",
    "Texture",
    "make_object",
    "make_positions",
    "make_probe",
    "position_bounds",
    "record_patterns",
    "simulate",
    "transmission",
]
