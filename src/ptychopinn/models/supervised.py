"""The same generator, trained on labels."""

from typing import final

from torch import Tensor

from ptychopinn.data.dataset import Batch
from ptychopinn.errors import ScanError
from ptychopinn.losses import weighted_mae
from ptychopinn.models.base import PatchModel
from ptychopinn.physics import power_weight


@final
class Supervised(PatchModel):
    """Mean absolute error of complex patches against labels, weighted by the probe's intensity; see `weighted_mae`.

    Where the probe has no light a pattern says nothing of the object, so that no label is asked for there.
    """

    def losses(self, batch: Batch, mean_count: float) -> dict[str, Tensor]:
        """One term, `realspace_mae`, summed over the stages of an unrolled generator with their weights."""
        if batch.labels is None:
            raise ScanError(
                "supervised training needs labels, and the scan has neither Y nor objectGuess; "
                "add one of them, or set model.kind=pinn"
            )
        view = self.view(batch)
        power = power_weight("probe", view.power.detach())
        *early, last = [weighted_mae(patches, batch.labels, power) for patches in self.stage_patches(batch, view)]
        return {"realspace_mae": sum((self.config.loss.stage_weight * value for value in early), start=last)}
