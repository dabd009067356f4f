"""The measured patterns of a result, beside what its image predicts for them.

The scan is the file that the image names, or one that the user gives. Its patterns stay in that file or in a map of it
(`ptychopinn.data.large_arrays`): one that is asked for is read alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import Recipe
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.errors import PtychoPINNError, ScanError, shown
from ptychopinn.plotting.content import PatternFit, best_median_worst
from ptychopinn.web.results import Result

if TYPE_CHECKING:
    from ptychopinn.data.scan import Scan
    from ptychopinn.metrics.frc import FRCCurve
    from ptychopinn.physics import DiffractionModel

MEASURED_TOGETHER = 16
"""Patterns modelled at once: some 30 MB for 128 x 128 px beside the page. Doubled, the memory is twice as much."""

MOST_COMPARED_PX = 384
"""Side of the part of an image whose ring correlation is shown. Moving it onto a reference takes 30 complex arrays of
its size; 928 px took 400 MB and 7 s."""


@final
class Patterns:
    """The scan behind an image.

    Args:
        result: with an image.
        scan: file that is read instead of the one that the image names.
    """

    def __init__(self, result: Result, scan: Path | None = None) -> None:
        assert result.image is not None
        self._image = result.image
        self._recipe = result.recipe or Recipe()
        self._given = scan
        self._scan: Scan | None = None
        self._model: DiffractionModel | None = None
        self.ratio: NDArray[np.float64] | None = None
        """(N,), deviance of each pattern over what its counts allow; None before `measure`."""

    def __len__(self) -> int:
        return len(self._image.positions_px)

    def load(self) -> None:
        """Read the scan.

        Raises:
            PtychoPINNError: the image names no file that is there, the file cannot be read, or it is another scan.
        """
        from ptychopinn.api.inputs import opened_scan
        from ptychopinn.data.propagation import with_geometry
        from ptychopinn.physics import DiffractionModel

        scan = opened_scan(self._file(), self._recipe)
        image = self._image
        if len(scan) != len(image.positions_px) or scan.pattern_size != image.probe.shape[-1]:
            raise ScanError(
                f"{scan.source}: has {len(scan)} patterns of {scan.pattern_size} px where the image has "
                f"{len(image.positions_px)} of {image.probe.shape[-1]} px; give the scan of the image by --scan"
            )
        self._model = DiffractionModel.of(with_geometry(self._recipe, scan).model)
        self._scan = scan

    def fit(self, number: int) -> PatternFit:
        """One pattern of the scan, from 0."""
        return self.fits([(f"pattern {number}", number)])[0]

    def fits(self, chosen: Sequence[tuple[str, int]]) -> list[PatternFit]:
        """Some patterns, each with a label."""
        from ptychopinn.api.figure_content import pattern_fits

        assert self._scan is not None
        assert self._model is not None
        ratio = np.full(len(self), np.nan) if self.ratio is None else self.ratio
        return pattern_fits(
            self._image, self._scan, self._model, [(label, number, float(ratio[number])) for label, number in chosen]
        )

    def measure(self) -> None:
        """Compare all patterns with the image, a batch at a time, for `ratio`."""
        from ptychopinn.api.fit import judge_fit
        from ptychopinn.data.dataset import ScanTensors
        from ptychopinn.solver import photons_in_batches

        assert self._scan is not None
        tensors = ScanTensors(self._scan, "cpu")
        expected = photons_in_batches(self._image, tensors, self._model, MEASURED_TOGETHER)
        self.ratio = judge_fit(expected, tensors, _maker_of(self._image)).ratio

    def selection(self, count: int) -> list[tuple[str, int]]:
        """Best, median and worst pattern, and others evenly through the scan, `count` in all."""
        ratio = np.zeros(len(self)) if self.ratio is None else self.ratio
        found = {number: label for label, number in best_median_worst(ratio)}
        spread = np.linspace(0, len(self) - 1, min(max(count - len(found), 0), len(self))).round().astype(int)
        for number in spread:
            found.setdefault(int(number), f"pattern {number}")
        return [(label, number) for number, label in sorted(found.items())]

    def ring_correlation(self) -> Mapping[str, "FRCCurve"]:
        """With the object that the scan brings along; empty where there is none that can be compared."""
        from ptychopinn.api.evaluate import evaluate

        assert self._scan is not None
        guess = self._scan.object_guess
        if guess is None or float(np.std(guess)) < 1e-6:
            return {}
        middle, where = _middle(self._image)
        try:
            return {f"with the object of the scan{where}": evaluate(middle, self._scan).frc}
        except (PtychoPINNError, ValueError):
            return {}

    def _file(self) -> Path:
        """The scan's.

        Raises:
            ScanError: the image names none, or none that is here.
        """
        if self._given is not None:
            return self._given
        name = self._image.metadata.get("source")
        if not isinstance(name, str) or not Path(name).suffix or name.startswith(("\\\\", "//")):
            raise ScanError("the result names no file of its scan; give it by --scan")
        if not Path(name).is_file():
            raise ScanError(f"{shown(name)}: the scan of the result is not there; give its file by --scan")
        return Path(name)


def _middle(image: Reconstruction) -> tuple[Reconstruction, str]:
    """The middle of an image as far as the page compares it, and words for that; all of a small one.

    >>> image = Reconstruction(np.ones((600, 40)), np.ones((600, 40)), (0, 0), [[300, 20]], np.ones((1, 16, 16)))
    >>> part, where = _middle(image)
    >>> part.object_.shape, part.origin_px.tolist(), where
    ((384, 40), [108, 0], ', middle 384 × 40 px')
    """
    rows, columns = (min(size, MOST_COMPARED_PX) for size in image.object_.shape)
    if (rows, columns) == image.object_.shape:
        return image, ""
    start = image.origin_px + (np.array(image.object_.shape) - (rows, columns)) // 2
    object_, coverage = image.in_frame((int(start[0]), int(start[1])), (rows, columns))
    part = Reconstruction(object_, coverage, start, image.positions_px, image.probe, image.pixel_size_m)
    return part, f", middle {rows} × {columns} px"


def _maker_of(image: Reconstruction) -> Literal["network", "solver"]:
    from ptychopinn.api.figure_content import is_of_network  # imports torch, for which the first page must not wait

    return "network" if is_of_network(image) else "solver"


def correlation_of(first: Result, second: Result) -> Mapping[str, "FRCCurve"]:
    """Ring correlation of the images of two results; empty where they cannot be compared."""
    from ptychopinn.api.evaluate import evaluate

    if first.image is None or second.image is None:
        return {}
    middle, where = _middle(first.image)
    try:
        return {f"with {second.name}{where}": evaluate(middle, second.image).frc}
    except (PtychoPINNError, ValueError):
        return {}
