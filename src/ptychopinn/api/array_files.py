"""A scan from files of arrays: patterns, positions and probe, with the numbers of the experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from ptychopinn.config import DataConfig
from ptychopinn.data import Scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.io import read_probe
from ptychopinn.data.io.arrays import read_patterns
from ptychopinn.data.io.frames_with_table import scan_in_metres
from ptychopinn.data.io.position_table import PositionTable


@final
@dataclass(frozen=True)
class ArrayFiles:
    """What belongs to a file of patterns so that they are a scan; see `Scan.from_metres`."""

    positions: Path
    """A table with the columns x and y, or an NPY array (N, 2); see `ptychopinn.data.io.position_table`."""
    energy_eV: float
    """Photon energy."""
    distance_m: float
    """From the sample to the detector."""
    detector_pixel_m: float
    """Side of a detector pixel."""

    def scan(self, patterns: Path, options: DataConfig, probe: Path | None = None) -> Scan:
        """The scan.

        Args:
            patterns: NPY, TIFF or HDF5 stack, folder or list of frames; see `ptychopinn.data.io.arrays.read_patterns`.
            options: how it is read; `domain` auto means counts.
            probe: see `ptychopinn.data.io.read_probe`; without it an estimate stands in.

        Raises:
            ScanError: a file that cannot be read, or arrays that are no scan.
        """
        geometry = Geometry(self.energy_eV, self.distance_m, self.detector_pixel_m)
        table = PositionTable.read(self.positions)
        beam = None if probe is None else read_probe(probe)
        return scan_in_metres(read_patterns(patterns), table, geometry, options, beam, str(patterns))
