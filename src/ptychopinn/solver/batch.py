"""A batch of patterns, whose gradients are computed some patterns at a time: a large one needs no more memory."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ptychopinn.physics.gradients import Derivatives, Gradients, RelaxationDerivatives
from ptychopinn.typing import Canvas


def summed_gradients(
    parts: Sequence[Tensor], found: Callable[[Tensor, tuple[Canvas, Tensor] | None], Gradients]
) -> Gradients:
    """The gradients of all patterns.

    Args:
        parts: numbers of patterns; one part at least.
        found: gradients of a part, added to those by the object and to the placed intensity of the parts before.
    """
    first = found(parts[0], None)
    if len(parts) == 1:
        return first
    all_ = [first]
    for part in parts[1:]:
        all_.append(found(part, (all_[-1].object_, all_[-1].probe_power)))
    return replace(
        all_[-1],
        losses=torch.cat([one.losses for one in all_]),
        probe=_sum([one.probe for one in all_]),
        object_power=_sum([one.object_power for one in all_]),
        positions=_cat([one.positions for one in all_]),
        positions_curvature=_cat([one.positions_curvature for one in all_]),
        strain=_cat([one.strain for one in all_]),
        strain_curvature=_cat([one.strain_curvature for one in all_]),
        background=_both(_sum, [one.background for one in all_]),
        intensities=_both(_cat, [one.intensities for one in all_]),
        blur=_both(_sum, [one.blur for one in all_]),
        relaxation=_relaxation([one.relaxation for one in all_]),
    )


def _sum(values: Sequence[Tensor | None]) -> Tensor | None:
    """None where they were not asked for."""
    known = [value for value in values if value is not None]
    return torch.stack(known).sum(0) if known else None


def _cat(values: Sequence[Tensor | None]) -> Tensor | None:
    known = [value for value in values if value is not None]
    return torch.cat(known) if known else None


def _both(
    join: Callable[[Sequence[Tensor | None]], Tensor | None], values: Sequence[Derivatives | None]
) -> Derivatives | None:
    known = [value for value in values if value is not None]
    slope, curvature = join([value.slope for value in known]), join([value.curvature for value in known])
    return None if slope is None or curvature is None else Derivatives(slope, curvature)


def _relaxation(values: Sequence[RelaxationDerivatives | None]) -> RelaxationDerivatives | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return RelaxationDerivatives(
        torch.stack([value.modes for value in known]).sum(0),
        torch.cat([value.weights for value in known]),
        torch.cat([value.curvature for value in known]),
    )
