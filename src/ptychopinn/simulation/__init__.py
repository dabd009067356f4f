"""The built-in simulator: samples, beams, scans, and the counts that a detector would record."""

from ptychopinn.simulation.detector import Defects, draw_defects
from ptychopinn.simulation.fields import Texture
from ptychopinn.simulation.files import load_object, load_picture, load_positions, load_probe
from ptychopinn.simulation.objects import OBJECTS, correlated, make_object, transmission
from ptychopinn.simulation.probes import PROBES, make_probe, scaled_probe
from ptychopinn.simulation.record import object_patches, record_patterns
from ptychopinn.simulation.scans import SCANS, make_positions, position_bounds
from ptychopinn.simulation.simulate import (
    calibrated_probe,
    illumination,
    record_at_random,
    record_each,
    record_scan,
    sample,
    simulate,
    with_object,
)

__all__ = [
    "OBJECTS",
    "PROBES",
    "SCANS",
    "Defects",
    "Texture",
    "calibrated_probe",
    "correlated",
    "draw_defects",
    "illumination",
    "load_object",
    "load_picture",
    "load_positions",
    "load_probe",
    "make_object",
    "make_positions",
    "make_probe",
    "object_patches",
    "position_bounds",
    "record_at_random",
    "record_each",
    "record_patterns",
    "record_scan",
    "sample",
    "scaled_probe",
    "simulate",
    "transmission",
    "with_object",
]
