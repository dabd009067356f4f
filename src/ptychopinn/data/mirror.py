"""The eight ways to mirror and transpose an experiment.

Diffraction knows no left and right: a mirrored object under a mirrored probe at mirrored positions gives mirrored
patterns. A network that is trained on all eight sees eight times as many experiments.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ptychopinn.data.dataset import Batch


@dataclass(frozen=True)
class Mirror:
    """Mirror rows, then columns, then transpose."""

    rows: bool
    columns: bool
    transpose: bool

    def image(self, image: Tensor) -> Tensor:
        """Patterns, probes or patches (..., H, W), about element (H//2, W//2); even sizes wrap their first line."""
        for axis, wanted in ((-2, self.rows), (-1, self.columns)):
            if wanted:
                image = torch.roll(image.flip(axis), 1 - image.shape[axis] % 2, axis)
        return image.transpose(-1, -2).contiguous() if self.transpose else image

    def batch(self, batch: Batch) -> Batch:
        """All of a batch; its canvases keep their margins."""
        height, width = batch.amplitude.shape[-2:]
        rows, columns = batch.canvas_shape
        span = batch.whole_px.new_tensor([rows - height % 2, columns - width % 2])
        sign = batch.whole_px.new_tensor([1 - 2 * self.rows, 1 - 2 * self.columns])
        whole = torch.where(sign < 0, span - batch.whole_px, batch.whole_px)
        return replace(
            batch,
            amplitude=self.image(batch.amplitude),
            measured=None if batch.measured is None else self.image(batch.measured),
            labels=None if batch.labels is None else self.image(batch.labels),
            whole_px=self._swapped(whole),
            remainder_px=self._swapped(batch.remainder_px * sign),
            relative_px=self._swapped(batch.relative_px * sign),
            canvas_shape=(columns, rows) if self.transpose else (rows, columns),
            mirrored=self.image,
        )

    def _swapped(self, pairs: Tensor) -> Tensor:
        return pairs.flip(-1) if self.transpose else pairs


MIRRORS = [Mirror(bool(way & 1), bool(way & 2), bool(way & 4)) for way in range(8)]
"""The first leaves everything as it is."""
