r"""What the prior is shown of an image: the object, the photons on each pixel, and what the counts still ask for.

With the gradient g of the loss of all patterns by the conjugate of the object, and the placed probe intensity W, the
step \(-g / W\) leads from a penalised image back to the one that the counts alone would give. Where the image is the
optimum of likelihood and penalties it is the gradient of the penalties over W.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.losses import Poisson
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.estimate import Counted, Estimate
from ptychopinn.physics.gradients import gradients
from ptychopinn.physics.likelihood import Compare
from ptychopinn.physics.steps import damping_floor
from ptychopinn.solver import estimate_of
from ptychopinn.typing import Canvas

BATCH = 64
"""Patterns at once."""
STEP_DAMPING = 0.02
"""Photons added to W in the step, relative to the largest W, so that it stays small where hardly any light falls."""


@dataclass(frozen=True)
class PriorCanvas:
    """An image on the canvas of all windows of its scan."""

    frame: Frame
    object_: Canvas
    """(Y, X), 1 where not covered."""
    power: Tensor
    """(Y, X), W, photons."""
    step: Canvas
    """(Y, X), -g / W."""
    covered: Tensor
    """(Y, X), bool."""


def canvas_of(image: Reconstruction, tensors: ScanTensors, model: DiffractionModel) -> PriorCanvas:
    """What a prior is shown of an image; one pass over the patterns.

    Args:
        image: with its own probe and positions.
        tensors: the scan that it was made from.
        model: of the patterns.
    """
    frame = Frame.of_positions(image.positions_px, image.probe.shape[-1], margin=2)
    estimate = estimate_of(image, frame, tensors.device)
    gradient, power, _ = object_gradient(estimate, tensors, model, Poisson().value_and_slope)
    coverage = image.in_frame(frame.origin_px, frame.shape)[1]
    covered = torch.from_numpy(np.ascontiguousarray(coverage > 0)).to(tensors.device)
    step = -gradient / (power + damping_floor(power, STEP_DAMPING))
    return PriorCanvas(frame, estimate.object_, power, step * covered, covered)


def object_gradient(
    estimate: Estimate, tensors: ScanTensors, model: DiffractionModel, loss: Compare
) -> tuple[Canvas, Tensor, Tensor]:
    """Gradient of a loss by the conjugate of the object, the placed probe intensity, and the losses.

    Args:
        estimate: object, probe and positions.
        tensors: the patterns.
        model: of the patterns.
        loss: from expected and counted photons to the loss of each pixel and its derivative by the expected ones.

    Returns:
        (Y, X), (Y, X) in photons, and (N,): the loss of each pattern.
    """
    gradient = torch.zeros_like(estimate.object_)
    power = torch.zeros_like(gradient.real)
    losses = []
    for index in torch.arange(len(tensors), device=tensors.device).split(BATCH):
        counts = tensors.amplitude_of(index).to(power.dtype).square()
        counted = Counted.of(model.propagator, counts, tensors.measured_of(index))
        found = gradients(model, estimate, index, counted, loss=loss, probe=False, positions=False)
        gradient += found.object_
        power += found.probe_power
        losses.append(found.losses)
    return gradient, power, torch.cat(losses)
