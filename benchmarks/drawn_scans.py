"""Small simulated scans, drawn to choose settings on (seeds from 1000) or to report on (seeds from 2000)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config import SimulationConfig
from ptychopinn.data import Scan
from ptychopinn.data.reconstruction import Reconstruction
from ptychopinn.metrics import compare
from ptychopinn.simulation import simulate
from ptychopinn.solver import flat_start

OBJECTS = ("composite", "siemens_star", "dead_leaves", "gaussian_field", "lines", "text")
PROBES = ("zone_plate", "disk", "zernike", "gaussian")
POOR_RAD = 12.0
"""Defocus of a poor probe: phase at the Nyquist frequency, rad. It blurs the beam by several pixels."""


@dataclass(frozen=True)
class Drawn:
    """A scan with a truth, and the probe that a reconstruction starts from."""

    scan: Scan
    """Its `probe` is the start."""
    region: tuple[int, int, int, int]
    """Where the image is scored, in the frame of the object."""

    def start(self) -> Reconstruction:
        """An object of 1 under the start probe."""
        return flat_start(self.scan, torch.from_numpy(self.scan.probe))

    def scores(self, image: Reconstruction) -> dict[str, float]:
        """`ptychopinn.metrics.compare` with the truth."""
        truth = self.scan.object_guess
        assert truth is not None
        return compare(image.object_, truth, mask=image.covered, region=self.region)


def drawn(seed: int, photons: float, size_px: int = 132, *, poor: bool | None = None) -> Drawn:
    """A scan of 64 px patterns; the seed decides object, probe, step, contrast and, by default, a poor start.

    Args:
        seed: of everything.
        photons: per pattern, where the object is 1.
        size_px: of the object.
        poor: start from a defocused probe of the same photons; by default with every second seed.
    """
    rng = np.random.default_rng(seed)
    config = SimulationConfig(
        object_kind=OBJECTS[seed % len(OBJECTS)],
        probe_kind=PROBES[(seed // 2) % len(PROBES)],
        object_size_px=size_px,
        step_px=float(rng.uniform(5.5, 8)),
        amplitude_min=float(rng.uniform(0.5, 0.85)),
        phase_range_rad=float(rng.uniform(0.6, 2.0)),
        object_correlation=float(rng.choice([0.0, 0.5, 1.0])),
        photons_per_pattern=photons,
        seed=seed,
    )
    scan = simulate(config)
    (y0, x0), (y1, x1) = scan.positions_px.min(0).astype(int) + 2, scan.positions_px.max(0).astype(int) - 2
    if seed % 2 if poor is None else poor:
        scan = replace(scan, probe=defocused(scan.probe))
    return Drawn(scan, (int(y0), int(y1), int(x0), int(x1)))


def defocused(probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The probe (M, H, W) at another distance, with the same photons."""
    frequency = 2 * np.fft.fftfreq(probe.shape[-1])
    phase = np.exp(1j * POOR_RAD * (frequency[:, None] ** 2 + frequency**2))
    return np.fft.ifft2(np.fft.fft2(probe) * phase).astype(np.complex64)
