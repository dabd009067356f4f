"""From a solved scan to what the network is given and what it shall answer; crops of these for training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ptychopinn.data.frame import Frame
from ptychopinn.generators.unrolled import local_mean
from ptychopinn.prior import PriorCanvas, PriorRecipe
from ptychopinn.prior.network import shown, without_mean
from ptychopinn.studies.prior.solved import Solved
from ptychopinn.typing import Canvas

GAUGE_PX = 12.0
"""Standard deviation of the windows in which the truth takes the phase and the scale of the image: slower errors are no
matter of the prior."""
FULL_WEIGHT = 0.05
"""Power, relative to its maximum, from which an error counts fully."""
LARGEST_TARGET = 12.0
"""Sigma; where the image has gone wrong altogether there is nothing to learn."""
PAIRS = ((0, 1), (2, 3), (4, 5))
"""Channels of the features that are real and imaginary part of one field."""


@dataclass(frozen=True)
class Example:
    """One image."""

    features: Tensor
    """(8, Y, X), half precision."""
    target: Tensor
    """(2, Y, X), half precision: the error of the image in sigma, in the frame of the features, less its mean."""
    weight: Tensor
    """(1, Y, X), half precision."""


def canvas_of_solved(solved: Solved) -> PriorCanvas:
    """The image of a solved scan."""
    arrays = [torch.from_numpy(array) for array in (solved.object_, solved.power, solved.step, solved.coverage)]
    frame = Frame((0, 0), (solved.object_.shape[0], solved.object_.shape[1]))
    return PriorCanvas(frame, arrays[0], arrays[1], arrays[2], arrays[3] > 0)


def example_of(solved: Solved, recipe: PriorRecipe) -> Example:
    """What the network is given, and what it shall answer."""
    canvas = canvas_of_solved(solved)
    seen = shown(canvas, recipe)
    truth = in_gauge_of(canvas.object_, torch.from_numpy(solved.truth), seen.covered)
    error = (truth - canvas.object_) / seen.sigma * seen.frame.conj()
    target = torch.stack((error.real, error.imag)).nan_to_num().clamp(-LARGEST_TARGET, LARGEST_TARGET)
    target = without_mean(target[None], seen.covered[None], recipe)[0]
    weight = (canvas.power / (FULL_WEIGHT * canvas.power.max())).clamp(0, 1) * seen.covered
    return Example(seen.features.half(), target.half(), weight[None].half())


def in_gauge_of(object_: Canvas, truth: Canvas, covered: Tensor) -> Canvas:
    """The truth (Y, X) with the phase and the scale that the image has in each neighbourhood."""
    product = object_ * truth.conj() * covered
    parts = torch.stack((product.real, product.imag, truth.abs().square() * covered))
    real, imag, power = local_mean(parts[None], GAUGE_PX)[0]
    return truth * torch.complex(real, imag) / power.clamp_min(1e-6)


def draw_batch(
    examples: Sequence[Example], batch: int, crop_px: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Features (B, 8, S, S), targets (B, 2, S, S) and weights (B, 1, S, S) of random crops of random examples.

    Each is flipped and turned at random; half of them are conjugated; a third have their contrasts turned in the
    complex plane by a random angle, which mixes amplitude and phase.
    """
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    crops = [_crop(examples[int(rng.integers(len(examples)))], crop_px, rng) for _ in range(batch)]
    return tuple(torch.stack(part).float() for part in zip(*crops, strict=True))  # type: ignore[return-value]


def _crop(example: Example, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    shape = example.target.shape[-2:]
    y, x = (int(rng.integers(max(length - side, 0) + 1)) for length in shape)
    parts = (example.features, example.target, example.weight)
    image = torch.cat([part[:, y : y + side, x : x + side] for part in parts]).float()
    missing = [side - length for length in image.shape[-2:]]
    image = torch.nn.functional.pad(image, (0, missing[1], 0, missing[0]))
    image = torch.rot90(image, int(rng.integers(4)), (-2, -1))
    image = image.flip(-1) if rng.uniform() < 0.5 else image
    features, target, weight = image.split((example.features.shape[0], 2, 1))
    if rng.uniform() < 0.5:
        features, target = _conjugated(features.clone(), target.clone())
    if rng.uniform() < 1 / 3:
        features, target = _turned(features.clone(), target.clone(), float(rng.uniform(0, 2 * np.pi)))
    return features, target, weight


def _conjugated(features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    for _, imag in PAIRS:
        features[imag] *= -1
    target[1] *= -1
    return features, target


def _turned(features: Tensor, target: Tensor, angle: float) -> tuple[Tensor, Tensor]:
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=features.dtype)
    for real, _ in PAIRS:
        features[real : real + 2] = torch.einsum("ij,jyx->iyx", turn, features[real : real + 2])
    return features, torch.einsum("ij,jyx->iyx", turn, target)
