"""Scans whose positions were recorded in other axes than their patterns."""

from dataclasses import dataclass, replace

import numpy as np

from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction


@dataclass(frozen=True)
class Orientation:
    """How the recorded positions and the patterns of a scan lie to each other.

    p' = c + s * f * (p - c), with the mean position c, the factor s, and f = -1 for an axis that counts the other way;
    then rows and columns are interchanged, where `transpose` is set.

    >>> Orientation().is_usual, Orientation(flip_rows=True).is_usual
    (True, False)
    """

    flip_rows: bool = False
    """The rows of the positions count the other way."""
    flip_columns: bool = False
    """So do the columns."""
    transpose: bool = False
    """Rows and columns of the patterns are interchanged."""
    scale: float = 1.0
    """Factor on the positions."""

    @property
    def is_usual(self) -> bool:
        """Whether it changes nothing."""
        return self == Orientation()

    def scan(self, scan: Scan) -> Scan:
        """The scan with positions in the axes of its patterns; without its object guess, which has another frame."""
        if self.is_usual:
            return scan
        centre = scan.positions_px.mean(axis=0)
        signs = np.array([-1.0 if self.flip_rows else 1.0, -1.0 if self.flip_columns else 1.0])
        positions = centre + self.scale * signs * (scan.positions_px - centre)
        positions = positions[:, ::-1].copy() if self.transpose else positions
        return replace(scan, positions_px=positions, object_guess=None)

    def image(self, image: Reconstruction) -> Reconstruction:
        """An image of that scan with rows and columns as in the recorded positions."""
        if not self.transpose:
            return image
        turned = replace(
            image,
            object_=image.object_.T,
            coverage=image.coverage.T,
            origin_px=image.origin_px[::-1],
            positions_px=image.positions_px[:, ::-1],
        )
        return turned.with_beam(lambda wave: wave.swapaxes(-2, -1))
