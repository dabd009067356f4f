"""Simulation from an object and a probe, of several experiments, and labels from a measured one."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.probe import as_modes
from ptycho.raw_data import RawData
from ptycho_torch.config_params import DataConfig, DatagenConfig
from ptychopinn import simulation
from ptychopinn.api.simulate import label_scan
from ptychopinn.data import Scan
from ptychopinn.data.io import check_output_folder
from ptychopinn.data.reconstruction import Reconstruction

ArraySource = str | Path | NDArray[Any]

_KINDS = {"grf": "gaussian_field", "gaussian": "gaussian_field", "siemens": "siemens_star", "diagonal": "diagonals"}
"""Legacy names of object classes."""


def from_simulation(
    xcoords: ArrayLike,
    ycoords: ArrayLike,
    probeGuess: ArraySource,
    objectGuess: ArraySource,
    nphotons: float | None = None,
    scan_index: ArrayLike | None = None,
    *,
    beamstop_diameter: float = 0,
    poisson_noise: bool = True,
    labels: bool = True,
    seed: int = 0,
) -> RawData:
    """Record an object with a probe at given positions: counts with the true object, and labels as `Y`.

    Args:
        xcoords: (N,), columns of the patches in the object, px: where patch element (N//2, N//2) lies.
        ycoords: (N,), rows.
        probeGuess: (H, W), (H, W, 1) or (modes, H, W) complex, or a file that holds it.
        objectGuess: (Y, X) complex, or a file that holds it.
        nphotons: mean counts of a pattern; without it the probe is in sqrt(photons).
        scan_index: (N,), which object a pattern belongs to.
        beamstop_diameter: px, of a disk about the zero frequency that records nothing; it makes `bad_pixels`.
        poisson_noise: draw counts, which `seed` fixes; else expected counts are recorded.

    A `PtychoPINNError` for a file that cannot be used, or a patch that leaves the object.

    Returns:
        Counts with the true object, and `bad_pixels` where there is a beam stop.

    Raises:
        PtychoPINNError: a file that cannot be used, or a patch that leaves the object.
    """
    read = simulation.load_object(Path(objectGuess))[0] if isinstance(objectGuess, str | Path) else objectGuess
    probe, object_ = _probe(probeGuess), np.asarray(read, np.complex64)
    positions = np.stack([np.asarray(ycoords, np.float64), np.asarray(xcoords, np.float64)], axis=1)
    if nphotons is not None:
        probe = simulation.calibrated_probe(object_, probe, positions, nphotons)
    about = {"simulated": True, "seed": seed, "object_guess": "true object"}
    recorded = partial(simulation.record_scan, seed=seed, poisson_noise=poisson_noise, labels=labels, metadata=about)
    scan = recorded(object_, probe, positions, beamstop_diameter_px=beamstop_diameter)
    return RawData.of_scan(scan if scan_index is None else replace(scan, scan_index=np.asarray(scan_index, np.int64)))


def simulate_multiple_experiments(
    datagen_config: DatagenConfig | None = None,
    data_config: DataConfig | None = None,
    output_dir: str | Path | None = None,
    *,
    seed: int = 0,
) -> list[RawData]:
    """Simulate `objects_per_probe` objects of one class with each probe, at random positions.

    Args:
        datagen_config: what to simulate; without probe files a zone plate is drawn.
        data_config: `nphotons`, the mean counts of a pattern, and `N`, the size of a drawn probe.
        output_dir: where `experiment_000.npz`, `experiment_001.npz`, ... are written; made if need be.
        seed: experiment i has seed + i.

    A `PtychoPINNError` for an unknown object class, an unusable probe file, or an object smaller than a patch.

    Raises:
        PtychoPINNError: an object class that is not known, a probe file that cannot be used, or an object that is
            smaller than a patch.
    """
    settings, data = datagen_config or DatagenConfig(), data_config or DataConfig()
    folder = None if output_dir is None else check_output_folder(output_dir)
    probes = [_probe(path) for path in settings.probe_paths] or [simulation.make_probe("zone_plate", data.N)]
    pairs = [probe for probe in probes for _ in range(settings.objects_per_probe)]
    made = []
    for i, probe in enumerate(pairs):
        made.append(_experiment(settings, probe, data.nphotons, seed + i))
        if folder is not None:
            made[-1].to_file(folder / f"experiment_{i:03d}.npz")
    return made


def generate_data_from_experiment(
    scan: str | Path | RawData | Scan,
    reconstruction: str | Path | Reconstruction,
    output: str | Path | None = None,
) -> RawData:
    """Labels for supervised training from a measured scan and what was reconstructed from it.

    See `ptychopinn.api.simulate.label_scan`; `output` is an NPZ file to write.

    Args:
        scan: a file, or data.
        reconstruction: `reconstruction.npz`, its folder, or a `Reconstruction`.
        output: NPZ file to write.

    Raises:
        PtychoPINNError: scan or reconstruction cannot be used, or do not belong together.
    """
    return RawData.of_scan(label_scan(scan.scan if isinstance(scan, RawData) else scan, reconstruction, output).scan)


def _experiment(settings: DatagenConfig, probe: NDArray[np.complex64], nphotons: float, seed: int) -> RawData:
    """One object of the class, with so many patterns."""
    for_object, for_positions = np.random.default_rng(seed).spawn(2)
    kind = settings.object_class.casefold()
    object_ = simulation.make_object(_KINDS.get(kind, kind), settings.image_size, for_object)
    bounds = simulation.position_bounds(settings.image_size, (probe.shape[-2], probe.shape[-1]))
    positions = for_positions.uniform(bounds[0], bounds[1], (settings.diff_per_object, 2))
    x, y, stop = positions[:, 1], positions[:, 0], settings.beamstop_diameter
    return from_simulation(x, y, probe, object_, nphotons, beamstop_diameter=stop, seed=seed)


def _probe(source: ArraySource) -> NDArray[np.complex64]:
    """(modes, H, W)."""
    return simulation.load_probe(Path(source)) if isinstance(source, str | Path) else as_modes(np.asarray(source))
