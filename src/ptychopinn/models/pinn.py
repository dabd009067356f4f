"""Generator + merge + physics: learning from the patterns alone."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ptychopinn.data.dataset import Batch
from ptychopinn.generators import GroupScene, GroupView, Unrolled
from ptychopinn.losses import amplitude_mae, mean_deviation, phase_of, poisson_nll, realspace_mae, total_variation
from ptychopinn.models.base import PatchModel
from ptychopinn.physics import FarField, detect_patches, extract_patches, merge_group, power_weight
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

    def stages(self, batch: Batch) -> list[Prediction]:
        """What each stage of an unrolled generator makes of a batch; one prediction of any other generator."""
        view = self.view(batch)
        seen = self.seen(batch, view)
        if isinstance(self.generator, Unrolled):
            return [self._detect_object(view, canvas) for canvas in self.generator.canvases(GroupScene(seen))]
        return [self.detect(batch, view, self.generator(seen))]

    def detect(self, batch: Batch, view: GroupView, patches: Tensor) -> Prediction:
        """Merge patches (B, G, H, W) and take them to the detector."""
        size = (patches.shape[-2], patches.shape[-1])
        positions = self.positions(batch)
        weight = power_weight(self.config.merge.weight, view.power.detach())
        merged = merge_group(patches, weight, positions, batch.canvas_shape)
        merged_patches = extract_patches(merged, positions, size) if self.config.merge.enabled else patches
        expected = detect_patches(merged_patches, view.probes, FarField())
        return Prediction(patches, merged, merged_patches, expected)

    def _detect_object(self, view: GroupView, canvas: Canvas) -> Prediction:
        """Take an object (B, Y, X) that is merged already to the detector."""
        size = (view.amplitude.shape[-2], view.amplitude.shape[-1])
        patches = extract_patches(canvas, view.positions_px, size)
        return Prediction(patches, canvas, patches, detect_patches(patches, view.probes, FarField()))

    def losses(self, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms, summed over the stages; see `ptychopinn.config.LossConfig`.

        Where the counts were thinned, those that the generator did not see are compared. The Poisson term counts from
        the likelihood of a model that equals the counts, a constant of the batch: without it an epoch's loss would say
        more of which patterns it saw than of the model.
        """
        *early, last = self.stages(batch)
        terms = self._terms(last, batch, mean_count)
        weight = self.config.loss.stage_weight
        for prediction in early if weight else ():
            for name, value in self._terms(prediction, batch, mean_count).items():
                terms[name] = terms[name] + weight * value
        return terms

    def _terms(self, prediction: Prediction, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """The weighted terms of one stage."""
        weights = self.config.loss
        terms: dict[str, Tensor] = {}
        hidden, part = batch.hidden_counts, batch.hidden_fraction
        if weights.poisson_weight:
            best = poisson_nll(hidden, hidden, batch.measured)
            excess = poisson_nll(part * prediction.expected, hidden, batch.measured) - best
            terms["poisson"] = weights.poisson_weight * excess / (part * mean_count)
        if weights.amplitude_mae_weight:
            mae = amplitude_mae(part * prediction.expected, hidden.sqrt(), batch.measured)
            terms["amplitude_mae"] = weights.amplitude_mae_weight * mae / (part * mean_count) ** 0.5
        if weights.realspace_weight and weights.realspace_mae_weight and batch.labels is not None:
            mae = realspace_mae(prediction.merged_patches, batch.labels)
            terms["realspace_mae"] = weights.realspace_weight * weights.realspace_mae_weight * mae
        return terms | self._penalties(prediction.merged_patches)

    def _penalties(self, patches: Tensor) -> dict[str, Tensor]:
        """Terms that ask for a calm object, its amplitude or its phase."""
        weights = self.config.loss
        penalties = {"total_variation": total_variation, "mean_deviation": mean_deviation}
        images = {"": lambda: patches, "amplitude_": patches.abs, "phase_": lambda: phase_of(patches)}
        terms = {}
        for prefix, image in images.items():
            for name, penalty in penalties.items():
                weight = getattr(weights, f"{prefix}{name}_weight")
                if weight:
                    terms[f"{prefix}{name}"] = weight * penalty(image())
        return terms
