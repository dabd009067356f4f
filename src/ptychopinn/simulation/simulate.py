r"""A whole simulated experiment.

\[ k_n \sim \mathrm{Poisson}\Big( \sum_m \big| \mathcal{F}[P_m(r - \delta_n)\, O(r + y_n)] \big|^2 \Big) \]

with the position split into the nearest whole pixel \(y_n\) and a remainder \(\delta_n\).
"""

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.config.simulation import SimulationConfig
from ptychopinn.data.scan import Scan
from ptychopinn.physics.forward import DiffractionModel
from ptychopinn.simulation.objects import make_object
from ptychopinn.simulation.probes import make_probe
from ptychopinn.simulation.scans import make_positions, position_bounds

BATCH_ELEMENTS = 2**20
"""Wave elements that are computed at once."""


def simulate(config: SimulationConfig) -> Scan:
    """Draw an object, a beam and positions, and record the patterns.

    The seed fixes everything, byte for byte. Object, positions and counts have random numbers of their own,
    so that a change of the dose keeps the sample and the positions.

    Returns:
        A scan in counts with the true probe and, as `object_guess`, the true object, whose element (0, 0) is
        the origin of the positions. Without Poisson noise the patterns are the expected counts, float32.

    Raises:
        ConfigError: the object has no room for one patch.

    >>> scan = simulate(SimulationConfig(object_size_px=48, probe_size_px=16, step_px=8))
    >>> scan.domain, scan.patterns.shape, scan.patterns.dtype.name
    ('counts', (16, 16, 16), 'uint16')
    """
    shape = (config.object_size_px, config.object_size_px)
    for_object, for_positions, for_counts = np.random.default_rng(config.seed).spawn(3)
    object_ = make_object(
        config.object_kind,
        shape,
        for_object,
        amplitude_min=config.amplitude_min,
        phase_range_rad=config.phase_range_rad,
    )
    probe = make_probe(
        config.probe_kind,
        config.probe_size_px,
        modes=config.probe_modes,
        photons_per_pattern=config.photons_per_pattern,
    )
    positions = make_positions(
        config.scan_kind,
        position_bounds(shape, probe.shape[-2:]),
        for_positions,
        step_px=config.step_px,
        jitter_px=config.jitter_px,
    )
    patterns = record_patterns(object_, probe, positions, for_counts if config.poisson_noise else None)
    return Scan.create(
        patterns,
        positions,
        probe,
        domain="counts",
        object_guess=object_,
        metadata=_metadata(config),
        source="simulated",
    )


def record_patterns(
    object_: NDArray[np.complex64],
    probe: NDArray[np.complex64],
    positions_px: NDArray[np.float64],
    rng: np.random.Generator | None,
    *,
    batch_size: int | None = None,
) -> NDArray[np.uint16 | np.uint32 | np.uint64 | np.float32]:
    """Patterns of any object and probe, (N, H, W), photons, zero frequency at (H//2, W//2).

    Args:
        object_: (Y, X).
        probe: (M, H, W), sqrt(photons).
        positions_px: (N, 2), (y, x), in the frame of `object_`.
        rng: draws Poisson counts, in the smallest of uint16, uint32 and uint64 that holds them all; None
            records the expected counts, float32.
        batch_size: patterns computed at once; by default as many as fill `BATCH_ELEMENTS`.

    Raises:
        PtychoPINNError: a patch leaves the object.
    """
    model = DiffractionModel()
    canvas, modes, positions = (torch.from_numpy(array) for array in (object_, probe, positions_px))
    size = batch_size or max(1, BATCH_ELEMENTS // probe.size)
    batches = []
    with torch.inference_mode():
        for start in range(0, len(positions), size):
            expected = model(canvas, positions[start : start + size], modes).numpy()
            batches.append(expected if rng is None else _smallest(rng.poisson(expected)))
    return np.concatenate(batches)  # takes the widest type of the batches


def _smallest(counts: NDArray[np.int64]) -> NDArray[np.uint16 | np.uint32 | np.uint64]:
    """Counts in the smallest unsigned type, from 16 bits up, that holds them."""
    return counts.astype(np.result_type(np.uint16, np.min_scalar_type(int(counts.max()))))


def _metadata(config: SimulationConfig) -> dict[str, object]:
    return {
        "simulated": True,
        "photons_per_pattern": config.photons_per_pattern,
        "seed": config.seed,
        "object_kind": config.object_kind,
        "probe_kind": config.probe_kind,
        "scan_kind": config.scan_kind,
        "noise": "poisson" if config.poisson_noise else "none: patterns are expected counts",
        "object_guess": "true object",
        "simulation": config.model_dump(mode="json"),
    }
