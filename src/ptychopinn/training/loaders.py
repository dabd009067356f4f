"""The batches of a prepared training, for the loop of every backend."""

from collections.abc import Callable, Iterable

from ptychopinn.config import TrainingConfig
from ptychopinn.data.dataset import Batch
from ptychopinn.training.loader import WHOLE, GroupLoader, InterleavedLoader, Share
from ptychopinn.training.prepare import Prepared


def training_loader(
    start: Prepared, config: TrainingConfig, epoch: Callable[[], int], share: Share = WHOLE
) -> Iterable[Batch]:
    """The batches of every epoch; `epoch` tells its number, from 0."""
    per_step, seed, mirror, hidden = config.patterns_per_step, config.seed, config.mirror, config.thinning
    loaders = [
        GroupLoader(part.tensors, part.train_groups, per_step, seed, epoch, mirror, share, hidden)
        for part in start.parts
    ]
    return loaders[0] if len(loaders) == 1 else InterleavedLoader(loaders, config.seed, epoch)


def validation_loader(start: Prepared, config: TrainingConfig, share: Share = WHOLE) -> Iterable[Batch] | None:
    """The batches of the regions kept for validation; None where there is no such region."""
    loaders = [
        GroupLoader(part.tensors, part.validation_groups, config.patterns_per_step, share=share, hidden=config.thinning)
        for part in start.parts
        if len(part.validation_groups)
    ]
    if len(loaders) < 2:
        return loaders[0] if loaders else None
    return InterleavedLoader(loaders)
