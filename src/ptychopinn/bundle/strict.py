"""Weights go into a model completely and exactly, or not at all."""

from collections.abc import Mapping, Sequence

import torch

from ptychopinn.errors import BundleError, shown

SHOWN = 12
"""Names listed in a message before the rest is counted."""


def load_state_strictly(module: torch.nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Copy `state` into `module`; the module is untouched if anything does not fit.

    Raises:
        BundleError: lists the missing, the unexpected and the wrongly shaped weights.
    """
    check_shapes(module.state_dict(), state, where)
    module.load_state_dict(dict(state), strict=True)


def check_shapes(own: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], where: str) -> None:
    """Compare names and shapes of weights with those of a model.

    Raises:
        BundleError: lists the missing, the unexpected and the wrongly shaped weights.
    """
    misfits = [
        f"{name} ({_shape(state[name])} instead of {_shape(own[name])})"
        for name in own
        if name in state and _shape(state[name]) != _shape(own[name])
    ]
    problems = (
        ("missing", [name for name in own if name not in state]),
        ("unexpected", [name for name in state if name not in own]),
        ("of another shape", misfits),
    )
    found = [f"{kind}: {_shortened(names)}" for kind, names in problems if names]
    if found:
        raise BundleError(
            f"{where}: the weights do not fit the model of the recipe; {'; '.join(found)}; "
            "use the recipe and the weights of one bundle"
        )


def _shape(tensor: torch.Tensor) -> str:
    size = "x".join(str(length) for length in tensor.shape) or "scalar"
    return f"complex {size}" if tensor.is_complex() else size


def _shortened(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(shown(name) for name in names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
