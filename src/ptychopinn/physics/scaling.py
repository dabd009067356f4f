"""The scale between model and counts, and the statistics that a network's input is normalised by."""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ptychopinn.physics.calibration import CALIBRATED_RATIO, photon_ratio


def intensity_scale(
    rule: Literal["auto", "data", "probe", "trainable"],
    mean_counts_per_pattern: float,
    probe: Complex[Tensor, "M H W"],
) -> tuple[float, str]:
    """Factor on the probe that takes it to sqrt(photons), and the reason in words.

    `probe` trusts the probe's own scale. `data` makes its photons equal to the mean counts, so that the
    object is 1 on average. `auto` trusts the probe if it explains the counts within `CALIBRATED_RATIO`, else
    it does as `data`; `trainable` begins there.
    """
    ratio = photon_ratio(mean_counts_per_pattern, probe)
    low, high = CALIBRATED_RATIO
    if rule == "probe" or (rule in ("auto", "trainable") and low <= ratio <= high):
        return 1.0, f"probe in sqrt(photons): counts / probe photons = {ratio:.3g}"
    return ratio**0.5, f"probe scaled to the mean counts: counts / probe photons = {ratio:.3g}"


def rms_scale(amplitudes: Float[Tensor, "... H W"], target: float) -> float:
    """Factor that makes the mean over patterns of the summed squared amplitude equal to `target`.

    Legacy PtychoPINN uses (N/2)^2 in TensorFlow and N^2 in PyTorch ("Parseval").
    """
    mean = amplitudes.to(torch.float64).square().sum((-2, -1)).mean()
    return float((target / mean).sqrt())
