"""A trained network with everything that belongs to it, as one value that nobody changes."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.data.scan import Scan
from ptychopinn.errors import BundleError
from ptychopinn.models.base import PatchModel


@final
@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained network, its complete recipe, and the pixels that it was trained without.

    Its weights, probe, scale and fitted positions stay as training left them. To use it on a scan, make a
    `ptychopinn.reconstruction.Reconstructor` of it.

    Raises:
        BundleError: the recipe does not hold the statistics of a training run.
    """

    network: PatchModel
    """Must not be changed."""
    recipe: Recipe
    """With the statistics that training measured."""
    unseen: NDArray[np.bool_] | None = None
    """(H, W), True where training had no measurement; None where every pixel was measured. See `unseen_pixels`."""

    def __post_init__(self) -> None:
        _ = self.fitted

    @property
    def fitted(self) -> FittedStatistics:
        """The statistics that training measured."""
        if self.recipe.fitted is None:
            raise BundleError("the recipe of a trained model must hold the statistics of its training; train it again")
        return self.recipe.fitted

    def network_on(self, device: torch.device | str) -> PatchModel:
        """The network itself where it is on that device already, else a copy of it there."""
        device = torch.device(device)
        current = self.network.log_scale.device
        if current.type == device.type and device.index in (None, current.index):
            return self.network
        return deepcopy(self.network).to(device)

    def masked(self, scan: Scan) -> Scan:
        """The scan; where it has no mask of its own, `unseen` becomes its mask.

        The network has never seen a value in those pixels, and a client may have filled them in.
        """
        if scan.bad_pixels is not None or self.unseen is None or self.unseen.shape != scan.patterns.shape[1:]:
            return scan
        return replace(scan, bad_pixels=self.unseen)


def unseen_pixels(scans: Sequence[Scan]) -> NDArray[np.bool_] | None:
    """(H, W), True where all patterns of one of the scans have a bad pixel; None without any such pixel."""
    masks = [scan.always_bad for scan in scans if scan.always_bad is not None]
    return np.logical_or.reduce(masks) if masks else None
