"""Metadata that say how a file was made: parameters of the physics, and the steps since then."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from ptychopinn.errors import ConfigError

PHYSICS = "physics_parameters"
STEPS = "data_transformations"
STRATEGIES = ("preserve_first", "preserve_last")


def differences(metadata: Mapping[str, Any], ours: Mapping[str, float]) -> list[str]:
    """One sentence for each parameter of the physics that metadata state otherwise than a configuration."""
    stated = metadata.get(PHYSICS) or {}
    return [
        f"{name} is {stated[name]:g} in the file but {value:g} in the configuration; set both to agree"
        for name, value in ours.items()
        if name in stated and float(stated[name]) != float(value)
    ]


def with_step(metadata: Mapping[str, Any], tool: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of metadata with one more step."""
    changed = deepcopy(dict(metadata))
    record = {"tool": tool, "operation": operation, "parameters": dict(parameters)}
    changed[STEPS] = [*changed.get(STEPS, []), record]
    return changed


def merged(several: Sequence[Mapping[str, Any]], strategy: str = "preserve_first") -> dict[str, Any]:
    """The metadata of several files as one: the first (or `preserve_last`) wins, all steps are kept.

    Raises:
        ConfigError: another strategy.
    """
    if strategy not in STRATEGIES:
        raise ConfigError(f"merge_strategy is {strategy!r}; must be one of {', '.join(STRATEGIES)}")
    together: dict[str, Any] = {}
    for one in several if strategy == "preserve_last" else reversed(several):
        together.update(deepcopy(dict(one)))
    steps = [step for one in several for step in one.get(STEPS, [])]
    return {**together, STEPS: steps, "merged_from": len(several)}
