"""The iterative solver: steps of object, probe and positions by analytic gradients, with penalties and constraints."""

from ptychopinn.solver.checkpoint import SolverCheckpoint, SolverInterrupted, load_checkpoint
from ptychopinn.solver.constraints import CONSTRAINTS, Constraint
from ptychopinn.solver.gauge import Gauge, log_gauge, with_gauge
from ptychopinn.solver.probe_modes import with_mode
from ptychopinn.solver.refine import (
    IterationHook,
    Refined,
    check_names,
    estimate_of,
    flat_start,
    photons_at,
    photons_in_batches,
    photons_of,
    photons_per_px_of,
    refine,
    trial_of,
    unlogged,
)
from ptychopinn.solver.state import Stage, State
from ptychopinn.solver.together import Common, Joined, Together, joined_gauge, joined_starts, with_own_gauge
from ptychopinn.solver.trials import Trials

__all__ = [
    "CONSTRAINTS",
    "Common",
    "Constraint",
    "Gauge",
    "IterationHook",
    "Joined",
    "Refined",
    "SolverCheckpoint",
    "SolverInterrupted",
    "Stage",
    "State",
    "Together",
    "Trials",
    "check_names",
    "estimate_of",
    "flat_start",
    "joined_gauge",
    "joined_starts",
    "load_checkpoint",
    "log_gauge",
    "photons_at",
    "photons_in_batches",
    "photons_of",
    "photons_per_px_of",
    "refine",
    "trial_of",
    "unlogged",
    "with_gauge",
    "with_mode",
    "with_own_gauge",
]
