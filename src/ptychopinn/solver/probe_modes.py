r"""How many incoherent probe modes a scan needs, found before the iterations, by photons that no image was made from.

A part q of the photons of some neighbouring patterns is withheld. Images with one, two and more modes are made from the
others. A mode is added as long as it explains the withheld counts better, by more than two standard errors
(`ptychopinn.metrics.withheld`), and holds at least `LEAST_POWER` of the power.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics.withheld import Preference
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.illumination import with_modes
from ptychopinn.solver.trials import Fit, Predict, Trials

logger = logging.getLogger("ptychopinn.reconstruction")

LEAST_POWER = 0.028
"""Part of the power that an added mode must hold. On drawn scans of one mode a second one ended with up to 0.021 at 1e5
photons per pattern and 0.011 at 1e6, on those with 0.048 in the second mode with 0.032 or more."""
LEAST_PHOTONS = 3e4
"""Photons per pattern below which no mode is added: at 1e4 a second mode ended with 0.036 to 0.073 of the power without
need, and one with a sixth of the power lost up to 0.5 dB of amplitude."""
START_POWER = 0.05
"""Power of an added mode in units of that before it."""
MOST_MODES = 5


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
    if len(start.probe) > 1 or tensors.mean_counts_per_pattern() < LEAST_PHOTONS:
        return FoundModes(len(start.probe))
    trials = Trials.of(start, tensors, config, model, fit, predict)
    if trials is None:
        return FoundModes(len(start.probe))
    compared, powers = [], []
    for found, power in _compared(trials):
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


def _compared(trials: Trials) -> Iterator[tuple[Preference, float]]:
    """Preferences between m and m + 1 modes, and the power of the last one, up to the first that is not needed."""
    settled = trials.settled()
    if settled is None:
        return
    trials, image = settled
    before = trials.deviance(image)
    for modes in range(2, MOST_MODES + 1):
        added = trials.image(with_mode(trials.start, modes), trials.config)
        if added is None:
            return
        now = trials.deviance(added)
        found, power = trials.preference(before, now), _least_power(added.probe)
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
