"""An unrolled generator driven over a whole scan: its patterns in batches, their sum on one canvas."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.frame import Frame
from ptychopinn.generators import GroupView, changed_patches
from ptychopinn.models import PatchModel
from ptychopinn.physics import extract_patches, place_patches
from ptychopinn.ranks import ALONE, Ranks
from ptychopinn.typing import Canvas, Patches

KEPT_BYTES = 2**29
"""Size of views below which they are kept from one step to the next, and not made again."""


@final
class ScanScene:
    """The patterns of a whole scan on one canvas; a `Scene`.

    Args:
        model: gives views and positions; on the device of the tensors.
        tensors: the scan.
        batch_size: patterns taken at once.
        on_pass: called after every pass over the scan.
        ranks: each takes its own patterns; the canvases are the sums of all.
    """

    def __init__(
        self,
        model: PatchModel,
        tensors: ScanTensors,
        batch_size: int,
        on_pass: Callable[[], None] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._ranks = ranks
        self._weight: Tensor | None = None
        self._model = model
        self._tensors = tensors
        self._batch_size = batch_size
        self._on_pass = on_pass
        self._size = (tensors.pattern_size, tensors.pattern_size)
        self.frame = Frame.of_positions(tensors.whole_px.cpu().numpy(), tensors.pattern_size)
        self._origin = torch.tensor(self.frame.origin_px, device=tensors.device)

    @property
    def weight(self) -> Tensor:
        """(1, Y, X), photons on each pixel of the object."""
        if self._weight is None:  # no cached property: its lock, that of all instances, would be held during a sum
            self._weight = self._sum(lambda view, _: view.power[:, 0], torch.float32)
        return self._weight

    def back_project(self, canvas: Canvas) -> Canvas:
        """(1, Y, X), the sum over all patterns of the scan."""

        def change(view: GroupView, positions: Tensor) -> Patches:
            patches = extract_patches(canvas[0], positions, self._size)
            return changed_patches(view, patches.unsqueeze(1))[:, 0]

        total = self._sum(change, torch.complex64)
        if self._on_pass is not None:
            self._on_pass()
        return total

    def patches(self, canvas: Canvas, index: Tensor, remainder_px: Tensor) -> Patches:
        """Patches (B, G, H, W) of an object (1, Y, X) where the model has those of patterns (B, G)."""
        positions = self._at(index, remainder_px)
        return extract_patches(canvas[0], positions.flatten(0, 1), self._size).unflatten(0, index.shape)

    def _at(self, index: Tensor, remainder_px: Tensor) -> Tensor:
        """Positions on the canvas."""
        return self._model.physics.place(self._tensors.whole_px[index] - self._origin, remainder_px)

    def _sum(self, patch_of: Callable[[GroupView, Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        total = torch.zeros(self.frame.shape, dtype=dtype, device=self._tensors.device)
        for view, positions in self._views():
            total += place_patches(patch_of(view, positions), positions, self.frame.shape)
        self._ranks.add(total)
        return total.unsqueeze(0)

    def _views(self) -> Iterator[tuple[GroupView, Tensor]]:
        return iter(self._kept) if self._fits() else self._made()

    @cached_property
    def _kept(self) -> list[tuple[GroupView, Tensor]]:
        return list(self._made())

    def _made(self) -> Iterator[tuple[GroupView, Tensor]]:
        alone = np.arange(len(self._tensors))[self._ranks.own(len(self._tensors)), None]
        for batch in self._tensors.batches(alone, self._batch_size):
            positions = self._at(batch.index[:, 0], batch.remainder_px[:, 0])
            yield self._model.view(batch), positions

    def _fits(self) -> bool:
        """Amplitudes and the probes of every pattern, at the sample and at the detector, fit into `KEPT_BYTES`."""
        modes = len(self._model.probe_of(self._tensors))
        return len(self._tensors) * self._size[0] * self._size[1] * (4 + 16 * modes) <= KEPT_BYTES
