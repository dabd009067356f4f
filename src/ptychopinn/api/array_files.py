"""A scan from files of arrays: patterns, positions and probe, with the numbers of the experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ptychopinn.config import DataConfig
from ptychopinn.data import Scan
from ptychopinn.data.adjust import finished_scan
from ptychopinn.data.geometry import Geometry
from ptychopinn.data.in_metres import scan_arguments
from ptychopinn.data.io import read_probe
from ptychopinn.data.io.arrays import read_patterns, read_positions
from ptychopinn.data.io.rules import zero_frequency_centred


@final
@dataclass(frozen=True)
class ArrayFiles:
    """What belongs to a file of patterns so that they are a scan; see `Scan.from_metres`."""

    positions: Path
    """A table with the columns x and y, or an NPY array (N, 2); see `ptychopinn.data.io.arrays.read_positions`."""
    energy_eV: float
    """Photon energy."""
    distance_m: float
    """From the sample to the detector."""
    detector_pixel_m: float
    """Side of a detector pixel."""

    def scan(self, patterns: Path, options: DataConfig, probe: Path | None = None) -> Scan:
        """The scan.

        Args:
            patterns: NPY, TIFF stack, folder or list of frames; see `ptychopinn.data.io.arrays.read_patterns`.
            options: how it is read; `domain` auto means counts.
            probe: see `ptychopinn.data.io.read_probe`; without it an estimate stands in.

        Raises:
            ScanError: a file that cannot be read, or arrays that are no scan.
        """
        frames = read_patterns(patterns)
        x_m, y_m = read_positions(self.positions, options.position_unit)
        geometry = Geometry(self.energy_eV, self.distance_m, self.detector_pixel_m)
        known = scan_arguments(frames, x_m, y_m, geometry, str(patterns))
        if options.fftshift:
            frames, _, known["metadata"] = zero_frequency_centred(frames, None, known["metadata"])
        beam: Any = None if probe is None else read_probe(probe)
        domain = "counts" if options.domain == "auto" else options.domain
        reason = "patterns from arrays are counts" if options.domain == "auto" else "given explicitly"
        scan = Scan(frames, domain, probe=beam, domain_reason=reason, source=str(patterns), **known)
        return finished_scan(scan, options)
