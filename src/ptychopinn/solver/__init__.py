"""The iterative solver: steps of gradients on object, probe and positions, with constraints."""

from ptychopinn.solver.refine import IterationHook, Refined, flat_start, photons_of, refine

__all__ = ["IterationHook", "Refined", "flat_start", "photons_of", "refine"]
