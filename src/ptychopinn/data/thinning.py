r"""Counts that are split at random: a generator sees one part, the loss compares with the other.

Each photon is hidden with probability q. Of Poisson counts k with mean \(\lambda\) both parts are Poisson again, with
means \((1 - q)\lambda\) and \(q\lambda\), and independent: the noise that a generator saw tells nothing of the noise in
the loss, so that it learns the object and not the noise (Neufeld et al. 2023, arXiv:2301.07276).
"""

from dataclasses import replace

import torch
from torch import Tensor

from ptychopinn.data.dataset import Batch


def thin(batch: Batch, hidden: float, generator: torch.Generator) -> Batch:
    """The batch with a part of its counts for the generator and the rest for the loss.

    Args:
        batch: of photon counts; what is left of a count that is not a whole number is split in proportion.
        hidden: q, the part for the loss, in (0, 1).
        generator: source of the draws, on the device of the batch.
    """
    counts = batch.amplitude.square()
    return replace(batch, seen=_part(counts, 1 - hidden, generator).sqrt(), hidden_fraction=hidden)


def _part(counts: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    whole = (counts + 1e-3).floor()
    drawn = torch.binomial(whole, torch.full_like(whole, fraction), generator=generator)
    return (drawn + fraction * (counts - whole)).clamp_min(0)
