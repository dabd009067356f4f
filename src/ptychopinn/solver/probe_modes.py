r"""How many incoherent probe modes a scan needs, found before the iterations, by photons that no image was made from.

A part q of the photons of some neighbouring patterns is withheld. Images with one, two and more modes are made from the
others. A mode is added as long as it explains the withheld counts better, by more than two standard errors
(`ptychopinn.metrics.withheld`), and holds at least `LEAST_POWER` of the power.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import Split, holds_photons, withhold_photons
from ptychopinn.metrics.withheld import Preference, preference, withheld_deviance
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.illumination import with_modes

logger = logging.getLogger("ptychopinn.reconstruction")

Fit = Callable[[Reconstruction, ScanTensors, RefineConfig, DiffractionModel], Reconstruction | None]
"""Makes an image of a scan from a start; None where the iterations diverge."""
Predict = Callable[[Reconstruction, ScanTensors, DiffractionModel], Iterable[tuple[slice, Tensor]]]
"""Photons that an image predicts, some patterns at a time; see `photons_in_batches`."""

LEAST_POWER = 0.028
"""Part of the power that an added mode must hold. On drawn scans of one mode a second one ended with up to 0.021 at 1e5
photons per pattern and 0.011 at 1e6, on those with 0.048 in the second mode with 0.032 or more."""
LEAST_PHOTONS = 3e4
"""Photons per pattern below which no mode is added: at 1e4 a second mode ended with 0.036 to 0.073 of the power without
need, and one with a sixth of the power lost up to 0.5 dB of amplitude."""
START_POWER = 0.05
"""Power of an added mode in units of that before it."""
MOST_PATTERNS = 200
MOST_ITERATIONS = 40
"""Of the fits that are compared."""
WITHHELD = 0.1
"""q."""
MOST_MODES = 5
SEED = 0


@dataclass(frozen=True)
class FoundModes:
    """How many modes are needed, and the evidence."""

    modes: int
    compared: tuple[Preference, ...] = ()
    """Of one and two modes, of two and three, and so on, on withheld photons."""
    powers: tuple[float, ...] = ()
    """Part of the power in the weakest mode of two, of three, and so on."""

    def entry(self) -> dict[str, Any]:
        """JSON values."""
        gains = [-one.errors for one in self.compared]
        evidence = {"gains_in_standard_errors": gains, "powers_of_added_modes": list(self.powers)}
        return {"probe_modes": self.modes, "probe_modes_evidence": evidence}


def found_modes(
    start: Reconstruction,
    tensors: ScanTensors,
    config: RefineConfig,
    model: DiffractionModel,
    fit: Fit,
    predict: Predict,
) -> FoundModes:
    """Find the number of modes of a scan; a start with several modes keeps them.

    Args:
        start: what the iterations begin with.
        tensors: the scan.
        config: of the solver.
        model: of the patterns.
        fit: makes the image of some patterns.
        predict: photons of an image.
    """
    index = nearest(start.positions_px, MOST_PATTERNS)
    part = tensors.scan.select(index)
    if len(start.probe) > 1 or tensors.mean_counts_per_pattern() < LEAST_PHOTONS or not holds_photons(part):
        return FoundModes(len(start.probe))
    short = config.changed(iterations=min(config.iterations, MOST_ITERATIONS), probe_modes="given", probe_relaxation=0)
    split = withhold_photons(part, WITHHELD, SEED)
    kept = ScanTensors(replace(split.scan, object_guess=None, truth_patches=None), tensors.device)
    fainter = model.dimmed(1 - WITHHELD)

    compared, powers = [], []
    for found, power in _compared(
        start.at_positions(index),
        split,
        lambda begin: fit(begin, kept, short, fainter),
        lambda image: withheld_deviance(predict(image, kept, fainter), split, kept),
    ):
        compared.append(found)
        powers.append(power)
    needed = sum(_is_needed(*one) for one in zip(compared, powers, strict=True))
    return FoundModes(1 + needed, tuple(compared), tuple(powers))


def log_modes(found: FoundModes) -> None:
    """Log what was found."""
    if not found.compared:
        logger.info(
            "probe modes: %d, without a comparison (a start of several modes, few photons, or no counts)", found.modes
        )
        return
    logger.info(
        "probe modes: %d; a further one explains withheld photons better by %s standard errors, with %s of the power",
        found.modes,
        ", ".join(f"{-one.errors:.3g}" for one in found.compared),
        ", ".join(f"{power:.2%}" for power in found.powers),
    )


def with_mode(image: Reconstruction, modes: int) -> Reconstruction:
    """The image with so many modes, the added ones at a small part of the power."""
    return replace(image, probe=with_modes(torch.from_numpy(image.probe), modes, START_POWER).numpy())


def nearest(positions_px: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The `count` patterns nearest to the middle of the scan, in their order."""
    distance = np.square(positions_px - np.median(positions_px, axis=0)).sum(axis=1)
    return np.sort(np.argsort(distance, kind="stable")[:count])


def dimmed(image: Reconstruction, fraction: float) -> Reconstruction:
    """A start with a part of the photons of its probe and its background."""
    background = None if image.background is None else fraction * image.background
    return replace(image, background=background).with_beam(lambda wave: wave * np.float32(fraction**0.5))


def _compared(
    start: Reconstruction,
    split: Split,
    fit: Callable[[Reconstruction], Reconstruction | None],
    deviance: Callable[[Reconstruction], NDArray[np.float64]],
) -> Iterator[tuple[Preference, float]]:
    """Preferences between m and m + 1 modes, and the power of the last one, up to the first that is not needed."""
    begin, before = dimmed(start, 1 - split.fraction), None
    for modes in range(1, MOST_MODES + 1):
        image = fit(with_mode(begin, modes))
        if image is None:
            return
        now = deviance(image)
        if before is not None:
            found = preference(before, now, split.withheld.size, split.withheld_photons())
            power = _least_power(image.probe)
            yield found, power
            if not _is_needed(found, power):
                return
        before = now


def _is_needed(found: Preference, power: float) -> bool:
    return found.is_second_better and power >= LEAST_POWER


def _least_power(probe: NDArray[np.complex64]) -> float:
    """Part of the power in the weakest mode."""
    powers = np.square(np.abs(probe), dtype=np.float64).sum((-2, -1))
    return float(powers.min() / powers.sum())
