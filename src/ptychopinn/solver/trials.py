"""Short fits of some neighbouring patterns, compared by photons that were withheld from them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ptychopinn.config import RefineConfig
from ptychopinn.data.dataset import ScanTensors
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.data.thinning import Split, holds_photons, withhold_photons
from ptychopinn.metrics.withheld import Preference, preference, withheld_deviance
from ptychopinn.physics import DiffractionModel
from ptychopinn.physics.fly import ExposurePath

Fit = Callable[[Reconstruction, ScanTensors, RefineConfig, DiffractionModel], Reconstruction | None]
"""Makes an image of a scan from a start; None where the iterations diverge."""
Predict = Callable[[Reconstruction, ScanTensors, DiffractionModel], Iterable[tuple[slice, Tensor]]]
"""Photons that an image predicts, some patterns at a time; see `photons_in_batches`."""

MOST_PATTERNS = 200
MOST_ITERATIONS = 40
"""Of the fits that are compared."""
WITHHELD = 0.1
"""Part of the photons."""
SEED = 0


@dataclass(frozen=True)
class Trials:
    """A part of a scan, its photons split, with what makes images of it."""

    start: Reconstruction
    """Of these patterns, with a part of the photons of its probe and its background."""
    config: RefineConfig
    """Of a fit."""
    model: DiffractionModel
    """Of the patterns, with a part of its background."""
    _split: Split
    _kept: ScanTensors
    _fit: Fit
    _predict: Predict

    @classmethod
    def of(
        cls,
        start: Reconstruction,
        tensors: ScanTensors,
        config: RefineConfig,
        model: DiffractionModel,
        fit: Fit,
        predict: Predict,
    ) -> Self | None:
        """Some patterns of a scan; None where their counts are not whole numbers, so that nothing can be withheld.

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
        if not holds_photons(part):
            return None
        split = withhold_photons(part, WITHHELD, SEED)
        kept = ScanTensors(replace(split.scan, object_guess=None, truth_patches=None), tensors.device)
        plain = "auto" if config.background == "pattern" else config.background
        short = config.changed(
            iterations=min(config.iterations, MOST_ITERATIONS),
            probe_modes="given",
            background=plain,
        )
        begin = dimmed(start.at_positions(index), 1 - WITHHELD)
        return cls(begin, short, model.dimmed(1 - WITHHELD), split, kept, fit, predict)

    def image(self, start: Reconstruction, config: RefineConfig) -> Reconstruction | None:
        """From the photons that were not withheld; None where the iterations diverge."""
        return self._fit(start, self._kept, config, self.model)

    def changed(self, **settings: Any) -> Self:
        """The same with other settings of the solver."""
        return replace(self, config=self.config.changed(**settings))

    def begun_with(self, start: Reconstruction) -> Self:
        """The same from another start, of the same patterns."""
        return replace(self, start=start)

    def along(self, path: ExposurePath) -> Self:
        """The same with a model in which the sample moves during an exposure."""
        return replace(self, model=self.model.with_path(path))

    def settled(self) -> tuple[Self, Reconstruction] | None:
        """The same trials with what a first fit chose where `intensities` or `blur` is `auto`, and the image of them.

        A fit decides such a setting by its own misfit, so that of two fits that are compared one could have it and the
        other not. None where the iterations diverge.
        """
        image = self.image(self.start, self.config)
        if image is None:
            return None
        has = {"intensities": image.intensities is not None, "blur": image.blur_px != self.start.blur_px}
        chosen = {name: "fitted" if has[name] else "given" for name in has if getattr(self.config, name) == "auto"}
        trials = self.changed(**chosen)
        if "fitted" not in chosen.values():  # the first fit had neither
            return trials, image
        again = trials.image(trials.start, trials.config)
        return None if again is None else (trials, again)

    def deviance(self, image: Reconstruction) -> NDArray[np.float64]:
        """(N,): of the withheld photons of each pattern."""
        return withheld_deviance(self._predict(image, self._kept, self.model), self._split, self._kept)

    def preference(self, before: NDArray[np.float64], now: NDArray[np.float64]) -> Preference:
        """Between two images, from their `deviance`."""
        return preference(before, now, self._split.withheld.size, self._split.withheld_photons())


def nearest(positions_px: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The `count` patterns nearest to the middle of the scan, in their order."""
    distance = np.square(positions_px - np.median(positions_px, axis=0)).sum(axis=1)
    return np.sort(np.argsort(distance, kind="stable")[:count])


def dimmed(image: Reconstruction, fraction: float) -> Reconstruction:
    """A start with a part of the photons of its probe and its background."""
    background = None if image.background is None else fraction * image.background
    return replace(image, background=background).with_beam(lambda wave: wave * np.float32(fraction**0.5))
