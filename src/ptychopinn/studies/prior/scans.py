"""Simulated scans that a prior is trained on, each drawn from one seed: sample, beam, positions, dose, start probe."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.data import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.simulation import make_positions, make_probe, position_bounds, record_scan
from ptychopinn.simulation.fields import Field, Texture, to_unit
from ptychopinn.simulation.objects import transmission
from ptychopinn.simulation.pictures import draw_picture

PATTERN_PX = 64
UNRELATED = 0.45
"""Part of the samples whose amplitude and phase are pictures of their own."""
ONE_PICTURE = 0.2
"""Part of the samples whose amplitude and phase are one picture; the rest have a partial relation."""
PLAIN = 0.1
"""Part of the unrelated samples with a constant or smooth amplitude or phase."""
DOSES = (5e2, 1e6)
USUAL_DOSES = (1e3, 1e5)
USUAL = 0.75
"""Part of the scans with one of the usual doses."""
PROBES = ("zone_plate", "disk", "ideal_disk", "gaussian", "zernike", "diffuser")
PROBE_SHARES = (0.3, 0.17, 0.08, 0.2, 0.2, 0.05)
PATTERNS = (70, 170)
LARGEST_SIDE_PX = 190


@dataclass(frozen=True)
class DrawnScan:
    """A scan with its truth."""

    scan: Scan
    """Its `probe` is what a reconstruction starts from, its `object_guess` the truth."""
    photons: float
    """Per pattern, where the object is 1."""
    facts: dict[str, Any]
    """What was drawn."""


def draw_sample(shape: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.complex64], str]:
    """A complex sample (Y, X), and how its amplitude and phase belong together."""
    kind = str(rng.choice(["unrelated", "one", "partial"], p=[UNRELATED, ONE_PICTURE, 1 - UNRELATED - ONE_PICTURE]))
    dense = draw_picture(shape, rng)
    if kind == "one":
        delay = dense
    elif kind == "unrelated":
        dense, delay = _perhaps_plain(dense, rng), _perhaps_plain(draw_picture(shape, rng), rng)
    else:
        delay = _related(dense, draw_picture(shape, rng), rng)
    dense = dense if rng.uniform() < 0.6 else 1 - dense
    delay = delay if rng.uniform() < 0.6 else 1 - delay
    lowest = 1 - np.exp(rng.uniform(np.log(0.03), np.log(0.75)))
    phase_range = np.exp(rng.uniform(np.log(0.1), np.log(3.2)))
    return transmission(Texture(dense, delay), amplitude_min=float(lowest), phase_range_rad=float(phase_range)), kind


def draw_scan(seed: int) -> DrawnScan:
    """A scan of about a hundred patterns; the seed decides everything."""
    rng = np.random.default_rng(seed)
    step = float(rng.uniform(5, 9) if rng.uniform() < 0.7 else rng.uniform(9, 15))
    count = int(rng.integers(*PATTERNS))
    side = min(int(PATTERN_PX + 4 + step * np.sqrt(count)), LARGEST_SIDE_PX)
    sample, relation = draw_sample((side, side), rng)
    low, high = USUAL_DOSES if rng.uniform() < USUAL else DOSES
    photons = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    probe = _draw_probe(photons, rng)
    bounds = position_bounds((side, side), (PATTERN_PX, PATTERN_PX))
    kind = str(rng.choice(["jittered_grid", "spiral", "raster", "random"], p=[0.5, 0.25, 0.1, 0.15]))
    positions = make_positions(kind, bounds, rng, step_px=step, jitter_px=float(rng.uniform(0.5, 2)))
    error = float(rng.uniform(0.1, 0.7)) if rng.uniform() < 0.25 else 0.0
    defects = rng.uniform() < 0.15
    scan = record_scan(
        sample,
        probe,
        positions,
        seed=int(rng.integers(2**31)),
        position_error_px=error,
        beamstop_diameter_px=4.0 if defects and rng.uniform() < 0.5 else 0.0,
        bad_pixel_fraction=0.005 if defects else 0.0,
        device="cpu",
    )
    facts = {"seed": seed, "photons": photons, "step_px": step, "relation": relation, "position_error_px": error}
    poor = float(rng.uniform(2, 12)) * float(rng.choice([-1, 1])) if rng.uniform() < 0.4 else 0.0
    facts |= {"start_defocus_rad": poor, "patterns": len(positions), "modes": len(probe), "scan": kind}
    return DrawnScan(replace(scan, probe=defocused(scan.probe, poor)), photons, facts)


def defocused(probe: NDArray[np.complex64], phase_rad: float) -> NDArray[np.complex64]:
    """The probe (M, H, W) at another distance: with a phase at the Nyquist frequency, rad, and the same photons."""
    frequency = 2 * np.fft.fftfreq(probe.shape[-1])
    phase = np.exp(1j * phase_rad * (frequency[:, None] ** 2 + frequency**2))
    return np.fft.ifft2(np.fft.fft2(probe) * phase).astype(np.complex64)


def _draw_probe(photons: float, rng: np.random.Generator) -> NDArray[np.complex64]:
    modes = int(rng.choice([1, 2, 3], p=[0.8, 0.12, 0.08]))
    while True:
        kind = str(rng.choice(PROBES, p=PROBE_SHARES))
        try:
            probe = make_probe(
                kind,
                PATTERN_PX,
                modes=modes,
                photons_per_pattern=photons,
                mode_ratio=float(rng.uniform(0.05, 0.4)),
                diameter_px=float(rng.uniform(13, 28)),
                central_stop=float(rng.uniform(0, 0.6)),
                zernike=tuple(rng.normal(0, 0.25, 8)),
            )
        except ConfigError:
            continue  # this kind cannot be as wide as asked for
        is_real = not probe.imag.any()  # two real modes would be taken for the planes of one complex one
        return (probe * np.exp(0.3j)).astype(np.complex64) if is_real and modes > 1 else probe


def _perhaps_plain(picture: Field, rng: np.random.Generator) -> Field:
    if rng.uniform() >= PLAIN:
        return picture
    return draw_picture((picture.shape[0], picture.shape[1]), rng, ("smooth",)) * float(rng.choice([0.0, 1.0]))


def _related(first: Field, second: Field, rng: np.random.Generator) -> Field:
    """A picture that shares something with the first one: a part of its contrast, of its area, or its edges."""
    how = int(rng.integers(4))
    share = rng.uniform(0.2, 0.8)
    if how == 0:
        return to_unit(share * first + (1 - share) * second)
    if how == 1:
        inside = second > np.quantile(second, share)
        return np.where(inside, first, second)
    if how == 2:
        return to_unit(np.sin(rng.uniform(2, 9) * first + rng.uniform(0, 6)))
    return to_unit(first * (share + second))
