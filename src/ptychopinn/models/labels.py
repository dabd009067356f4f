"""Labels: the true patches that supervised training, and one term of the loss, compare with."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import ModelConfig
from ptychopinn.data.large_arrays import new_array
from ptychopinn.data.scan import Scan
from ptychopinn.errors import PtychoPINNError, ScanError
from ptychopinn.physics import DiffractionModel, extract_patches
from ptychopinn.physics.forward import Subpixel

_WITHOUT = "train without labels (model.kind=pinn, model.loss.realspace_weight=0)"
_TOGETHER = 256
"""Labels that are cut together: 8 MiB at 64 px."""


def needs_labels(config: ModelConfig) -> bool:
    """Whether training needs labels: always if supervised, else where a term of the loss does."""
    loss = config.loss
    return config.kind == "supervised" or (loss.realspace_mae_weight > 0 and loss.realspace_weight > 0)


def labels_for(scan: Scan, subpixel: Subpixel = "probe") -> NDArray[np.complex64]:
    """Labels (N, H, W): the scan's own `Y`, or patches cut from its object guess.

    They are cut where the model's patches lie: at the rounded positions, or with `bilinear` the exact ones.

    Raises:
        ScanError: neither is there, the object guess is flat, or a patch leaves it.
    """
    if scan.truth_patches is not None:
        return scan.truth_patches
    if scan.object_guess is None:
        raise ScanError(
            f"{scan.source}: training with labels needs a reconstructed object, and the scan has neither Y nor "
            f"objectGuess; reconstruct it first and export it again with that object, or {_WITHOUT}"
        )
    if float(np.std(scan.object_guess)) < 1e-6 * float(np.abs(scan.object_guess).max()):
        raise ScanError(
            f"{scan.source}: training with labels needs a reconstructed object, and objectGuess is flat; "
            f"reconstruct the scan first and export it again with that object, or {_WITHOUT}"
        )
    positions, _ = DiffractionModel(subpixel).split(torch.from_numpy(scan.positions_px))
    size = (scan.pattern_size, scan.pattern_size)
    try:
        guess = torch.from_numpy(scan.object_guess)
        labels = new_array((len(scan), *size), np.complex64)
        for start in range(0, len(scan), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            labels[part] = extract_patches(guess, positions[part], size).numpy()
        return labels
    except PtychoPINNError as error:
        raise ScanError(f"{scan.source}: labels cannot be cut from objectGuess: {error}") from None


def with_labels(scan: Scan, subpixel: Subpixel = "probe") -> Scan:
    """The scan with labels for supervised training, see `labels_for`."""
    return replace(scan, truth_patches=labels_for(scan, subpixel))
