"""Constraints: changes to the estimate after each iteration, the solver's own and those of installed packages."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ptychopinn.config import RefineConfig
from ptychopinn.plugins import Registry
from ptychopinn.solver.distortion import DistortionStep
from ptychopinn.solver.gauge import HeldPhotons
from ptychopinn.solver.low_frequencies import LowFrequencyPhase
from ptychopinn.solver.modes import OrthogonalModes
from ptychopinn.solver.positions import PositionStep
from ptychopinn.solver.state import State


@runtime_checkable
class Constraint(Protocol):
    """Changes the state once after each iteration."""

    def apply(self, state: State) -> None:
        """Change the estimate in place; runs under `torch.inference_mode`.

        Args:
            state: see `State`. Replace its tensors by new ones; do not write into them.
        """


CONSTRAINTS: Registry[Callable[[], Constraint]] = Registry(
    "constraint",
    {"orthogonal_modes": OrthogonalModes},
    setting="reconstruction.refine.constraints",
    group="ptychopinn.constraints",
)
"""Each entry is a class, or another callable without arguments, that makes a `Constraint`."""


def constraints_of(
    config: RefineConfig,
    fitted: Sequence[Constraint],
    phase: LowFrequencyPhase,
    positions: PositionStep,
    distortion: DistortionStep,
) -> list[Constraint]:
    """What is done after each iteration, in this order.

    Args:
        config: what the recipe asks for.
        fitted: of the background and of the intensities of the patterns.
        phase: the step of the slowly varying phase.
        positions: the steps of the positions.
        distortion: the step of a distortion of the scan.

    Phase and positions come first, since the gradients are those of the present object; the distortion then moves it.
    A fitted distortion moves the object in the frequencies of the phase step, which is left out with it: positions
    ended at 0.049 instead of 0.031 of their first error. Named constraints come last, so that what they ask for holds
    in the result. The photons of the probe are held where it can exchange a factor with the object.

    Raises:
        ConfigError: a name that nobody registered.
    """
    chosen: list[Constraint] = []
    if config.object and config.low_frequency_step and not (config.positions and config.positions_distortion):
        chosen.append(phase)
    chosen += fitted
    if config.positions:
        chosen += [positions, distortion]
    if config.probe and config.orthogonal_modes:
        chosen.append(OrthogonalModes())
    if config.probe and config.object:
        chosen.append(HeldPhotons())
    return chosen + named_constraints(config)


def named_constraints(config: RefineConfig) -> list[Constraint]:
    """The constraints that the recipe names, in its order.

    Raises:
        ConfigError: a name that nobody registered, or what is no `Constraint`.
    """
    return [CONSTRAINTS.create(name, Constraint) for name in config.constraints]  # type: ignore[type-abstract]
