"""Train the network of a prior on examples: AdamW, a cosine, a moving average of the weights; resumable."""

import logging
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ptychopinn.bundle.tensors import pack_tensors, unpack_tensors
from ptychopinn.data.io.atomic import atomic_path
from ptychopinn.prior import PriorNetwork
from ptychopinn.prior.network import without_mean
from ptychopinn.studies.prior.examples import Example, draw_batch
from ptychopinn.studies.prior.settings import PriorSettings

logger = logging.getLogger("ptychopinn.studies")
STEPS_OF_RISE = 200
LATER_CYCLES = 0.6
"""Learning rate of a cycle over that of the one before."""
STEPS_BETWEEN_SAVES = 100
EDGE_PX = 6
"""Of a crop, which do not count: the network sees nothing beyond them."""
LARGEST_GRADIENT = 1.0
LEAST_LOSS = 0.3
"""Sigma squared: the loss without a prior by which an example is divided at least."""


class Trainer:
    """Network, optimiser and average of a training that can go on from a file.

    Args:
        settings: of the study.
        path: of the state; read where it exists.
    """

    def __init__(self, settings: PriorSettings, path: Path) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.network = PriorNetwork(settings.prior)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
        self.average = deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
        self.step = 0
        self._path = path
        if path.exists():
            self._restore(unpack_tensors(path.read_bytes(), str(path)))

    def run(self, examples: Sequence[Example], until: int, on_save: Callable[[int, float], None] | None = None) -> None:
        """Train on to a number of steps.

        Args:
            examples: to draw crops from.
            until: steps in all.
            on_save: called with the step and the mean loss since the last call, whenever the state was written.
        """
        losses: list[float] = []
        while self.step < until:
            losses.append(self._advance(examples))
            if self.step % STEPS_BETWEEN_SAVES == 0 or self.step == until:
                self._save()
                if on_save is not None:
                    on_save(self.step, sum(losses) / len(losses))
                losses = []

    def _advance(self, examples: Sequence[Example]) -> float:
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(self.step, settings.cycles) * cooled(self.step, settings)
        features, target, weight = draw_batch(examples, settings.batch, settings.crop_px, generator)
        features = features.contiguous(memory_format=torch.channels_last)
        half = self.step < settings.half_until
        loss = loss_of(self.network, features, target, weight, settings.robust_sigma, half=half)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.step += 1
        decay = min(settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return float(loss.detach())

    def _save(self) -> None:
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for number, entry in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": value for name, value in entry.items()}
        state["step"] = torch.tensor(self.step)
        with atomic_path(self._path) as temporary:
            temporary.write_bytes(pack_tensors(state))

    def _restore(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(_below("network.", state))
        self.average.load_state_dict(_below("average.", state))
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in _below("optimizer.", state).items():
            number, _, part = name.partition(".")
            entries.setdefault(int(number), {})[part] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        self.step = int(state["step"])


def rate(step: int, cycles: Sequence[int]) -> float:
    """Learning rate over its maximum, in cycles that end after the given steps.

    >>> rate(0, [1000]) < 0.01, round(rate(200, [1000]), 2), round(rate(999, [1000]), 2)
    (True, 0.9, 0.0)
    >>> round(rate(1300, [1000, 2000]) / rate(300, [1000]), 2)
    0.6
    """
    cycle = sum(step >= end for end in cycles[:-1])
    start = cycles[cycle - 1] if cycle else 0
    done = (step - start) / (cycles[cycle] - start)
    rise = min(1.0, (step - start + 1) / STEPS_OF_RISE)
    return LATER_CYCLES**cycle * rise * (1 + math.cos(math.pi * min(done, 1))) / 2


def cooled(step: int, settings: PriorSettings) -> float:
    """Further factor on the learning rate: the part of the steps from `cool_from` on that is left.

    >>> settings = PriorSettings(cool_from=60_000)
    >>> cooled(0, settings), cooled((settings.cool_from + settings.steps) // 2, settings)
    (1.0, 0.5)
    """
    if settings.cool_from is None:
        return 1.0
    return min(1.0, (settings.steps - step) / (settings.steps - settings.cool_from))


def loss_of(
    network: PriorNetwork,
    features: Tensor,
    target: Tensor,
    weight: Tensor,
    robust_sigma: float,
    *,
    half: bool = False,
) -> Tensor:
    r"""Weighted mean of \(2 s^2 (\sqrt{1 + |f - t|^2 / s^2} - 1)\), in sigma squared."""
    output = without_mean(network(features, half=half), features[:, -1] > 0.5, network.recipe)
    inner = (..., slice(EDGE_PX, -EDGE_PX), slice(EDGE_PX, -EDGE_PX))
    value = _robust((output - target)[inner], robust_sigma)
    return (value * weight[inner]).sum() / weight[inner].sum().clamp_min(1)


@torch.no_grad()
def mean_loss(network: PriorNetwork, examples: Sequence[Example], robust_sigma: float) -> tuple[float, float]:
    """Mean loss of whole images, and that of no correction."""
    found, nothing = 0.0, 0.0
    silent = PriorNetwork(network.recipe)
    for example in examples:
        parts = (example.features[None].float(), example.target[None].float(), example.weight[None].float())
        found += float(loss_of(network, *parts, robust_sigma))
        nothing += float(loss_of(silent, *parts, robust_sigma))
    return found / len(examples), nothing / len(examples)


def balanced(examples: Sequence[Example], robust_sigma: float) -> list[Example]:
    """The examples with weights over their mean loss without a prior, which counts as at least `LEAST_LOSS`."""
    found: list[Example] = []
    for example in examples:
        value = _robust(example.target[None].float(), robust_sigma)[0]
        weight = example.weight.float()
        loss = float((value * weight).sum() / weight.sum().clamp_min(1))
        found.append(replace(example, weight=(weight / max(loss, LEAST_LOSS)).half()))
    return found


def _robust(error: Tensor, robust_sigma: float) -> Tensor:
    """(B, 1, Y, X), of errors (B, 2, Y, X)."""
    square = error.square().sum(1, keepdim=True) / robust_sigma**2
    return 2 * robust_sigma**2 * ((1 + square).sqrt() - 1)


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
