"""The same generator, trained on labels."""

from typing import final

from torch import Tensor

from ptychopinn.data.dataset import Batch
from ptychopinn.errors import ScanError
from ptychopinn.models.base import PatchModel
from ptychopinn.physics import power_weight


@final
class Supervised(PatchModel):
    r"""Mean absolute error of complex patches against labels, weighted by the probe's intensity.

    \[ \ell = \frac{\sum |P|^2\, |O - Y|}{\sum |P|^2} \]

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
        weight = power_weight("probe", view.power.detach())
        weight = weight / weight.sum()
        *early, last = [(weight * (patches - batch.labels).abs()).sum() for patches in self.stage_patches(batch, view)]
        return {"realspace_mae": sum((self.config.loss.stage_weight * value for value in early), start=last)}
