"""Patches accumulated on one canvas by weight, batch after batch."""

import torch
from torch import Tensor

from ptychopinn.physics.merge import accumulate, average
from ptychopinn.physics.patches import centred_part


class CanvasSum:
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

    def accumulate_batch(
        self,
        canvas: Tensor,
        canvas_counts: Tensor,
        patches: Tensor,
        positions_px: Tensor,
        patch_size: int | None = None,
        *,
        weight: Tensor | None = None,
    ) -> None:
        """Add patches to a canvas and to its counts, in place.

        Args:
            canvas: (Y, X) complex, such as `self.canvas`.
            canvas_counts: (Y, X) real, such as `self.counts`.
            patches: (P, H, W) complex.
            positions_px: (P, 2), [x, y] on the canvas, of element (H//2, W//2); fractions are bilinear.
            patch_size: side of the central part that is used, px; all of it by default.
            weight: (H, W) or (P, H, W); one without it.

        Raises:
            PtychoPINNError: a patch leaves the canvas; nothing is dropped in silence.
        """
        parts = patches if patch_size is None else centred_part(patches, (int(patch_size), int(patch_size)))
        weight = torch.ones(parts.shape[-2:], device=parts.device) if weight is None else weight
        placed, total = accumulate(parts, weight, positions_px.flip(-1), (canvas.shape[0], canvas.shape[1]))
        canvas += placed
        canvas_counts += total

    def add(self, patches: Tensor, positions_px: Tensor, weight: Tensor | None = None) -> None:
        """`accumulate_batch` on the canvas of this object."""
        self.accumulate_batch(self.canvas, self.weights, patches, positions_px, weight=weight)

    def get_reconstruction(self, epsilon: float = 1e-9) -> Tensor:
        """(Y, X) complex: sum over weight, 0 where nothing was placed."""
        return average(self.canvas, self.weights, fill=0, epsilon=epsilon)
