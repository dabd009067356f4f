"""Generator + merge + physics: learning from the patterns alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

from torch import Tensor

from ptychopinn.data.dataset import Batch
from ptychopinn.generators import GroupScene, GroupView
from ptychopinn.losses import (
    DataLoss,
    Penalty,
    data_terms,
    mean_loss,
    penalty_terms,
    realspace_mae,
    shape_of_amplitudes,
    weighted_mae,
)
from ptychopinn.models.base import PatchModel
from ptychopinn.physics import extract_patches, merge_group, power_weight
from ptychopinn.physics.legacy import merge_halves
from ptychopinn.typing import Canvas, Patches, Patterns


@dataclass(frozen=True)
class Prediction:
    """What the model makes of a batch."""

    patches: Patches
    """(B, G, H, W), as the generator gave them."""
    merged: Canvas
    """(B, Y, X), one object for each group."""
    merged_patches: Patches
    """(B, G, H, W), cut out of the merged object again."""
    expected: Patterns
    """(B, G, H, W), photons at the detector."""


@final
class PtychoPINN(PatchModel):
    """Self-supervised: learns from the counts alone.

    Compares detect(propagate(illuminate(probe, extract(merge(generator(patterns)))))) with them.
    """

    def forward(self, batch: Batch) -> Prediction:
        """Patches, merged object and expected photons; of an unrolled generator those of its last stage."""
        return self.stages(batch)[-1]

    def stages(self, batch: Batch, view: GroupView | None = None) -> list[Prediction]:
        """What each stage of an unrolled generator makes of a batch; one prediction of any other generator.

        Args:
            batch: groups of patterns.
            view: of the batch, where it is known.
        """
        view = self.view(batch) if view is None else view
        seen = self.seen(batch, view)
        solver = self.generator.scene_solver
        if solver is None:
            return [self.detect(batch, view, patches) for patches in self.generator.stage_patches(seen)]
        return [self._detect_object(view, canvas) for canvas in solver.canvases(GroupScene(seen))]

    def detect(self, batch: Batch, view: GroupView, patches: Tensor) -> Prediction:
        """Merge patches (B, G, H, W) and take them to the detector."""
        size = (patches.shape[-2], patches.shape[-1])
        positions = self.positions(batch)
        merged = self._merged(patches, view, positions, batch.canvas_shape)
        merged_patches = extract_patches(merged, positions, size) if self.config.merge.enabled else patches
        expected = self.physics.photons(merged_patches, view.probes)
        return Prediction(patches, merged, merged_patches, expected)

    def _merged(self, patches: Tensor, view: GroupView, positions: Tensor, shape: tuple[int, int]) -> Canvas:
        """One object (B, Y, X) for each group."""
        kind = self.config.merge.weight
        if kind == "legacy":
            return merge_halves(patches, positions, shape)
        return merge_group(patches, power_weight(kind, view.power.detach()), positions, shape)

    def _detect_object(self, view: GroupView, canvas: Canvas) -> Prediction:
        """Take an object (B, Y, X) that is merged already to the detector."""
        size = (view.amplitude.shape[-2], view.amplitude.shape[-1])
        patches = extract_patches(canvas, view.positions_px, size)
        return Prediction(patches, canvas, patches, self.physics.photons(patches, view.probes))

    def losses(self, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms, summed over the stages; see `ptychopinn.config.LossConfig`.

        Where the counts were thinned, those that the generator did not see are compared.
        """
        return self._physics(self.stages(batch), batch, mean_count)

    def data_and_physics(
        self, batch: Batch, mean_count: float, data_loss: Literal["labels", "amplitude"]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the first stage of a training in stages, and the terms of the third, `losses`.

        Args:
            batch: groups of patterns, with labels if these are compared.
            mean_count: mean count of a pixel.
            data_loss: see `ptychopinn.config.StagesConfig`.
        """
        view = self.view(batch)
        predictions = self.stages(batch, view)
        power = power_weight("probe", view.power.detach())

        def of(prediction: Prediction) -> Tensor:
            if data_loss == "amplitude":
                return shape_of_amplitudes(prediction.expected, batch.hidden_counts, batch.measured)
            assert batch.labels is not None
            return weighted_mae(prediction.patches, batch.labels, power)

        *early, last = map(of, predictions)
        data = sum((self.config.loss.stage_weight * value for value in early), start=last)
        return data, self._physics(predictions, batch, mean_count)

    def _physics(self, predictions: Sequence[Prediction], batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The terms of `losses`, of predictions that are known."""
        *early, last = predictions
        terms = self._terms(last, batch, mean_count)
        weight = self.config.loss.stage_weight
        for prediction in early if weight else ():
            for name, value in self._terms(prediction, batch, mean_count).items():
                terms[name] = terms[name] + weight * value
        return terms

    @cached_property
    def data_terms(self) -> dict[str, tuple[float, DataLoss]]:
        """Weight and data loss of each term, by name."""
        return data_terms(self.config.loss)

    @cached_property
    def penalty_terms(self) -> dict[str, tuple[float, Penalty]]:
        """Weight and penalty of each further term, by name."""
        return penalty_terms(self.config.loss)

    def _terms(self, prediction: Prediction, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms of one stage."""
        weights = self.config.loss
        terms: dict[str, Tensor] = {}
        hidden, part = batch.hidden_counts, batch.hidden_fraction
        for name, (weight, loss) in self.data_terms.items():
            mean = mean_loss(loss, part * prediction.expected, hidden, batch.measured)
            terms[name] = weight * mean / (part * mean_count) ** loss.photons_power
        if weights.realspace_weight and weights.realspace_mae_weight and batch.labels is not None:
            mae = realspace_mae(prediction.merged_patches, batch.labels)
            terms["realspace_mae"] = weights.realspace_weight * weights.realspace_mae_weight * mae
        for name, (weight, penalty) in self.penalty_terms.items():
            terms[name] = weight * penalty.value(prediction.merged_patches)
        return terms
