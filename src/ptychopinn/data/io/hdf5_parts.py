"""The parts of a file, whichever way it is laid out, before it is known whether they make a scan."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data.geometry import Geometry, PixelSize, same_pixel
from ptychopinn.data.io.dark import Dark
from ptychopinn.data.io.frames import PatternSource
from ptychopinn.data.io.hdf5 import listing_at
from ptychopinn.data.io.own import Own
from ptychopinn.data.scan import Domain
from ptychopinn.errors import ScanError


@dataclass(frozen=True, eq=False)
class Hdf5Parts:
    """The parts of one file; what it lacks is none."""

    source: str
    """Path of the file."""
    layout: str
    """Name of the format, for messages."""
    frames: PatternSource | None = None
    """The patterns, still on disk."""
    domain: Domain = "counts"
    """What the patterns are."""
    frame_index: NDArray[np.int64] | None = None
    """(N,) number of each frame in the scan, -1 where it was never filled; none where frames count from 0."""
    bad_pixels: NDArray[np.bool_] | None = None
    """(H, W) or (N, H, W)."""
    dark: Dark | None = None
    """Where the dark image of the detector stands, and its mean, (H, W), counts."""
    positions_m: NDArray[np.float64] | None = None
    """(N, 2), (y, x): where the beam was, growing with row and column; or none where `positions_px` is there."""
    positions_px: NDArray[np.float64] | None = None
    """(N, 2), (y, x): the geometric centre of each patch in the frame of the object."""
    position_index: NDArray[np.int64] | None = None
    """(N,) number of the frame that a position belongs to; none where they count from 0."""
    probe: NDArray[Any] | None = None
    """(H, W) or (M, H, W)."""
    beam_m: float | None = None
    """Diameter of the beam on the sample, for an estimate of the probe where there is none."""
    object_: NDArray[Any] | None = None
    """(Y, X)."""
    object_pixel_m: PixelSize | None = None
    """As the file states it for object or positions."""
    object_centre_m: tuple[float, float] | None = None
    """(y, x): where the geometric centre of the object lies among `positions_m`; none where they have no object."""
    geometry: Geometry = field(default_factory=Geometry)
    """As the file states it, nominal values of our own files included."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Title and the like."""
    own: Own | None = None
    size: int | None = None
    """Columns of a pattern, where they are not those of the file."""
    notes: tuple[str, ...] = ()
    """What a user must know of the choice between several entries, detectors or data sets; for `Scan.notes`."""
    wanted: dict[str, str] = field(default_factory=dict)
    """Where the layout keeps `patterns`, `positions`, `probe` and `object`, for messages."""
    found: str = ""
    """What the file holds, for messages; of HDF5 files that is listed when a message needs it."""

    def missing(self, part: str) -> ScanError:
        """An error that names a part which is not there, and where it was looked for."""
        found = self.found or listing_at(self.source)
        return ScanError(
            f"{self.source}: this {self.layout} holds no {part} (looked for {self.wanted[part]}; found: {found}); "
            f"{_WAY_OUT[part]}"
        )

    @property
    def pattern_size(self) -> int | None:
        """Columns of a pattern, or of the probe where there are no patterns."""
        if self.size is not None:
            return self.size
        if self.frames is not None:
            return self.frames.shape[-1]
        return None if self.probe is None else int(self.probe.shape[-1])

    def pixel_m(self) -> PixelSize | None:
        """(y, x): object pixel. What the file states for its object counts, unless patterns are there and their
        far-field geometry gives another one.
        """
        size = self.pattern_size
        implied = None if size is None else self.geometry.far_field_pixel_m(size)
        stated = self.object_pixel_m
        if implied is None or stated is None:
            return stated or implied
        return implied if self.frames is not None and not same_pixel(stated, implied) else stated

    def is_framed(self) -> bool:
        """Whether positions are in the frame of an object array."""
        return self.positions_px is not None or self.object_centre_m is not None or self.own is not None

    def centres_px(self, pixel_m: PixelSize | None) -> NDArray[np.float64]:
        """(N, 2): geometric centre of each patch, in the frame of the object where there is one.

        Raises:
            ScanError: no positions, or positions in metres and no pixel size.
        """
        if self.positions_px is not None:
            return self.positions_px
        if self.positions_m is None:
            raise self.missing("positions")
        if pixel_m is None:
            geometry = self.geometry
            options = (
                ("--energy-ev (data.energy_eV)", geometry.energy_eV),
                ("--distance (data.distance_m)", geometry.distance_m),
                ("--detector-pixel (data.detector_pixel_m)", geometry.detector_pixel_m),
            )
            raise ScanError(
                f"{self.source}: the positions are in metres, and the object pixel is not known, as energy, distance "
                f"or detector pixel is missing (looked for {self.wanted['geometry']}); add what is missing, or give "
                f"{' and '.join(option for option, value in options if value is None) or 'patterns'}"
            )
        centres = self.positions_m / np.asarray(pixel_m)
        if self.object_ is None or self.object_centre_m is None:
            return centres
        return centres - np.asarray(self.object_centre_m) / pixel_m + (np.asarray(self.object_.shape) - 1) / 2


_WAY_OUT = {
    "patterns": "give the file with the patterns to --diffraction, or put it beside this one as diffraction.h5",
    "positions": (
        "name two datasets by --position-names X,Y (data.position_names), or give a file that holds them, such as NPZ "
        "with xcoords and ycoords in object pixels"
    ),
    "probe": "give a file that holds one to --probe, or add the illumination to this one",
    "object": "give a file with a reconstructed object",
}
