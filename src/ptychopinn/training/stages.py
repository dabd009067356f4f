r"""The stages of a training: what each minimises, how fast each part of the network learns, and when the next begins.

In the transition the loss is

\[ \ell = (1 - w)\,\ell_\mathrm{data} + w\,\ell_\mathrm{physics}, \qquad
   w = t, \quad \tfrac12 (1 - \cos \pi t), \quad (1 - e^{-5t}) / (1 - e^{-5}), \qquad t = \frac{i + 1}{n + 1} \]

in its epoch i of n, for `linear`, `cosine` and `exponential`; w is 0 in the stage before and 1 in those after it.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, final

from ptychopinn.config import TrainingConfig

logger = logging.getLogger("ptychopinn.training")

STEEPNESS = 5.0
"""Exponent of the `exponential` weight: half of the rise comes in the first seventh; doubled, in half of that."""
USUAL_PHYSICS_FACTOR = 0.1
"""Factor on the learning rate at the end of the schedules `multi_stage` and `adaptive`."""

StageName = Literal["training", "data", "transition", "physics", "fine_tune", "decoder", "encoder_top", "whole"]


@final
@dataclass(frozen=True)
class Stage:
    """One stage of a training."""

    name: StageName
    epochs: int
    """At most."""
    patience: int | None = None
    """Epochs without a lower loss after which the next stage begins."""
    factor: float = 1.0
    """On the learning rate of the schedule; in fine-tuning on the learning rate of the recipe."""
    parts: Mapping[str, float] | None = None
    """Part of the network (see `ptychopinn.generators.weights_of_parts`) -> such a factor of its own; other parts, and
    the probe, are kept."""
    is_tuning: bool = False
    """Whether the learning rate is constant."""


def plan_of(config: TrainingConfig) -> tuple[Stage, ...]:
    """The stages of a training in their order; `config.epochs` is written out, or the stages say it."""
    stages, tune = config.stages, config.fine_tune
    plan: list[Stage] = []
    if stages.epochs:
        plan += [
            Stage("data", stages.data_epochs, factor=stages.data_learning_rate),
            Stage("transition", stages.transition_epochs, factor=stages.transition_learning_rate),
            Stage("physics", stages.physics_epochs, factor=physics_factor(config)),
        ]
    elif not (tune.staged and config.start_from is not None):
        plan.append(Stage("training", config.epochs or 1))
    plan.append(Stage("fine_tune", tune.epochs, factor=tune.learning_rate, is_tuning=True))
    if tune.staged:
        first, second, third = tune.decoder, tune.encoder_top, tune.whole
        plan += [
            _tuning("decoder", first.epochs, tune.patience, decoder=first.decoder, head=first.decoder),
            _tuning(
                "encoder_top",
                second.epochs,
                tune.patience,
                encoder_top=second.encoder_top,
                decoder=second.decoder,
                head=second.head,
            ),
            _tuning(
                "whole",
                third.epochs,
                tune.patience,
                encoder_bottom=third.encoder_bottom,
                encoder_top=third.encoder_top,
                decoder=third.decoder,
                head=third.head,
            ),
        ]
    plan = [stage for stage in plan if stage.epochs]
    last = max((index for index, stage in enumerate(plan) if not stage.is_tuning), default=None)
    if last is not None:
        plan[last] = replace(plan[last], patience=config.early_stop_patience)
    return tuple(plan)


def _tuning(name: StageName, epochs: int, patience: int | None, **parts: float) -> Stage:
    return Stage(name, epochs, patience, parts=parts, is_tuning=True)


def physics_factor(config: TrainingConfig) -> float:
    """Factor on the learning rate in the third stage."""
    given = config.stages.physics_learning_rate
    usual = USUAL_PHYSICS_FACTOR if config.scheduler in ("multi_stage", "adaptive") else 1.0
    return usual if given is None else given


def rising_weight(kind: str, progress: float) -> float:
    """Weight of the physics, from 0 to 1, at a progress from 0 to 1.

    >>> [round(rising_weight(kind, 0.5), 3) for kind in ("linear", "cosine", "exponential")]
    [0.5, 0.5, 0.924]
    """
    if kind == "linear":
        return progress
    if kind == "cosine":
        return (1 - math.cos(math.pi * progress)) / 2
    return math.expm1(-STEEPNESS * progress) / math.expm1(-STEEPNESS)


class StageProgress:
    """Where a training is in its plan.

    Args:
        config: of the training.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.plan = plan_of(config)
        self.index = 0
        self._began = 0
        self._least = math.inf
        self._waited = 0
        self._ended = 0
        comparable = len(self.plan) - 1
        while comparable > 0 and not self._blends(comparable) and not self._blends(comparable - 1):
            comparable -= 1
        self._comparable = comparable

    def _blends(self, index: int) -> bool:
        return self.plan[index].name in ("data", "transition")

    @property
    def is_divided(self) -> bool:
        """Whether there is more than one stage, or only one of fine-tuning."""
        return len(self.plan) > 1 or self.plan[0].is_tuning

    @property
    def has_data_loss(self) -> bool:
        """Whether a stage minimises the data loss."""
        return any(stage.name in ("data", "transition") for stage in self.plan)

    @property
    def has_parts(self) -> bool:
        """Whether parts of the network have learning rates of their own."""
        return any(stage.parts is not None for stage in self.plan)

    @property
    def epochs(self) -> int:
        """Of all stages, at most."""
        return sum(stage.epochs for stage in self.plan)

    @property
    def scheduled_epochs(self) -> int:
        """Of those stages that follow the schedule."""
        return sum(stage.epochs for stage in self.plan if not stage.is_tuning)

    @property
    def is_over(self) -> bool:
        """Whether all stages have ended."""
        return self.index >= len(self.plan)

    def begins(self, epoch: int) -> bool:
        """Whether an epoch, from 0, is the first one of its stage."""
        return epoch == self._began and not self.is_over

    @property
    def stage(self) -> Stage:
        """The stage of now; the last one when all have ended."""
        return self.plan[min(self.index, len(self.plan) - 1)]

    @property
    def ended_comparable(self) -> bool:
        """Whether the loss of the epoch that ended last can be compared with those of the epochs to come."""
        return self._ended >= self._comparable

    def physics_weight(self, epoch: int) -> float:
        """w in an epoch of the training, from 0."""
        if self.stage.name == "transition":
            return rising_weight(self.config.stages.physics_weight, self._progress(epoch))
        return 0.0 if self.stage.name == "data" else 1.0

    def _progress(self, epoch: int) -> float:
        return (epoch - self._began + 1) / (self.stage.epochs + 1)

    def rate_factor(self, part: str, epoch: int, scheduled: float) -> float:
        """Factor on the learning rate of a part of the network (or of `beam`: probe, scale and positions).

        Args:
            part: name of the part; `network` for all of it.
            epoch: of the training, from 0.
            scheduled: factor of the schedule of the recipe.
        """
        stage = self.stage
        if stage.parts is not None:
            return stage.parts.get(part, 0.0)
        if stage.is_tuning:
            return stage.factor
        if self.config.scheduler in ("multi_stage", "adaptive"):
            return scheduled * self._between(epoch)
        return scheduled * stage.factor

    def _between(self, epoch: int) -> float:
        """Factor that goes from that of the first stage to that of the third: along a cosine, or with the weight."""
        moved = self.physics_weight(epoch)
        if self.config.scheduler == "multi_stage" and self.stage.name == "transition":
            moved = rising_weight("cosine", self._progress(epoch))
        first = self.config.stages.data_learning_rate
        return first + moved * (physics_factor(self.config) - first)

    def end_epoch(self, epoch: int, loss: float) -> None:
        """Count an epoch that ended, and go on to the next stage where it was the last one of its stage."""
        stage, self._ended = self.stage, self.index
        if loss < self._least:
            self._least, self._waited = loss, 0
        else:
            self._waited += 1
        early = stage.patience is not None and self._waited >= stage.patience
        if early or epoch + 1 - self._began >= stage.epochs:
            if early:
                logger.info("stage %s ends: no lower loss in %d epochs", stage.name, self._waited)
            self.index, self._began, self._least, self._waited = self.index + 1, epoch + 1, math.inf, 0

    def describe(self) -> str:
        """The stage of now in words.

        >>> StageProgress(TrainingConfig(stages={"data_epochs": 3, "physics_epochs": 4})).describe()
        'stage 1 of 2 (data), at most 3 epochs'
        """
        return f"stage {self.index + 1} of {len(self.plan)} ({self.stage.name}), at most {self.stage.epochs} epochs"

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"index": self.index, "began": self._began, "least": self._least, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the state of the run that is resumed."""
        self.index, self._began = int(state["index"]), int(state["began"])
        self._least, self._waited = float(state["least"]), int(state["waited"])
