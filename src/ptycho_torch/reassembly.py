"""Stitching under its legacy name: patches accumulated on a canvas by weight."""

import torch
from torch import Tensor

from ptychopinn.physics import accumulate, average


class VectorizedBarycentricAccumulator:
    """Sum of weighted patches, and of their weights, on one canvas (Y, X), which must hold every patch.

    Args:
        canvas_shape: (Y, X), which must hold every patch.
        device: where the canvas lives.
    """

    def __init__(self, canvas_shape: tuple[int, int], device: torch.device | str = "cpu") -> None:
        self.canvas_shape = (int(canvas_shape[0]), int(canvas_shape[1]))
        self.canvas = torch.zeros(self.canvas_shape, dtype=torch.complex64, device=device)
        self.weights = torch.zeros(self.canvas_shape, dtype=torch.float32, device=device)

    @property
    def counts(self) -> Tensor:
        """(Y, X): the weights; with weights of one, how many patches reached a pixel."""
        return self.weights

    def accumulate_batch(self, patches: Tensor, positions_px: Tensor, weight: Tensor | None = None) -> None:
        """Add patches.

        Args:
            patches: (P, H, W) complex.
            positions_px: (P, 2), [x, y] on the canvas, of element (H//2, W//2); fractions are bilinear.
            weight: (H, W) or (P, H, W); one without it.

        A `PtychoPINNError` where a patch leaves the canvas; nothing is dropped in silence.

        Raises:
            PtychoPINNError: a patch leaves the canvas; nothing is dropped in silence.
        """
        weight = torch.ones(patches.shape[-2:], device=patches.device) if weight is None else weight
        placed, total = accumulate(patches, weight, positions_px.flip(-1), self.canvas_shape)
        self.canvas += placed
        self.weights += total

    def get_reconstruction(self, epsilon: float = 1e-9) -> Tensor:
        """(Y, X) complex: sum over weight, 0 where nothing was placed."""
        return average(self.canvas, self.weights, fill=0, epsilon=epsilon)
