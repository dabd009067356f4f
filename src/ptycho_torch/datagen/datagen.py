"""Simulation from an object and a probe, of several experiments, and labels from a measured one."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ptycho.config.shared import device_of
from ptycho.probe import as_modes
from ptycho.raw_data import RawData
from ptycho_torch.config_params import DataConfig, DatagenConfig
from ptychopinn import simulation
from ptychopinn.data.io import check_output_folder
from ptychopinn.physics import centred_part

logger = logging.getLogger("ptychopinn-torch")
ArraySource = str | Path | NDArray[Any]

_KINDS = {"grf": "gaussian_field", "gaussian": "gaussian_field", "siemens": "siemens_star", "diagonal": "diagonals"}
"""Legacy names of object classes."""
_PROBE_ARGUMENTS = {"beamstop_diameter": "beamstop_diameter_px", "poisson_noise": "poisson_noise", "seed": "seed"}
"""What `probe_arg` may say here, and its name in the core."""


def from_simulation(
    xcoords: ArrayLike,
    ycoords: ArrayLike,
    probeGuess: ArraySource,
    objectGuess: ArraySource,
    data_config: DataConfig | None = None,
    probe_arg: Mapping[str, Any] | None = None,
    scan_index: ArrayLike | None = None,
    device: str = "cuda",
    batch_size: int = 32,
    *,
    nphotons: float | None = None,
    beamstop_diameter: float = 0,
    poisson_noise: bool = True,
    labels: bool = True,
    seed: int = 0,
) -> RawData:
    """As `ptycho.raw_data.RawData.from_simulation`; object and probe may be files.

    Args:
        data_config: its `nphotons` are the mean counts of a pattern; without it and `nphotons` the probe is in
            sqrt(photons).
        probe_arg: `beamstop_diameter`, `poisson_noise` and `seed`, as below.
        device: `cuda` means the CPU where there is none.
        batch_size: has no effect; the simulator chooses what fits.
        beamstop_diameter: px, of a disk about the zero frequency that records nothing; it makes `bad_pixels`.
        poisson_noise: draw counts, which `seed` fixes; else expected counts are recorded.
        labels: add the patch that each pattern saw.

    Raises:
        PtychoPINNError: a file that cannot be used, or a patch that leaves the object.
    """
    dose = data_config.nphotons if nphotons is None and data_config is not None else nphotons
    told = {"beamstop_diameter": beamstop_diameter, "poisson_noise": poisson_noise, "seed": seed, **(probe_arg or {})}
    how = {"nphotons": dose or 0, "labels": labels, "device": device_of(device), **_said(told)}
    return RawData.from_simulation(xcoords, ycoords, _probe(probeGuess), _object(objectGuess), scan_index, **how)


def simulate_multiple_experiments(
    obj_list: Sequence[ArraySource],
    probe_list: Sequence[ArraySource],
    images_per_experiment: int,
    img_shape: tuple[int, int] | None = None,
    data_config: DataConfig | None = None,
    probe_arg: Mapping[str, Any] | None = None,
    save_dir: str | Path | None = None,
    save_bool: bool = True,
) -> list[RawData]:
    """Record each object with its probe, or with the only one, at random positions.

    Args:
        obj_list: (Y, X) complex each, or files.
        probe_list: as many probes, or one.
        images_per_experiment: patterns of each.
        img_shape: (Y, X), the central part of the objects that is scanned; all of them by default.
        data_config: `nphotons`, the mean counts of a pattern.
        probe_arg: as for `from_simulation`; experiment i has seed + i.
        save_dir: where `experiment_000.npz`, `experiment_001.npz`, ... are written; made if need be.
        save_bool: whether to write them.

    Raises:
        ConfigError: neither one probe nor one for each object.
        PtychoPINNError: a file that cannot be used, or an object that is smaller than a patch.
    """
    objects = [_object(one) if img_shape is None else centred_part(_object(one), img_shape) for one in obj_list]
    how = {"mean_photons": (data_config or DataConfig()).nphotons, "labels": True, **_said(probe_arg)}
    scans = simulation.record_each(objects, [_probe(one) for one in probe_list], images_per_experiment, **how)
    folder = None if save_dir is None or not save_bool else check_output_folder(save_dir)
    made: list[RawData] = []
    for i, scan in enumerate(scans):
        made.append(RawData.of_scan(scan))
        if folder is not None:
            made[-1].to_file(folder / f"experiment_{i:03d}.npz")
    return made


class Datagen:
    """Simulates `objects_per_probe` objects of one class with each probe.

    Args:
        probe_list: probes or their files; those of `datagen_config`, else a zone plate of `N` px.
        probe_arg: as for `from_simulation`, as `data_config`.
        datagen_config: class, size and number of the objects, and patterns of each.
    """

    def __init__(
        self,
        probe_list: Sequence[ArraySource] | None = None,
        probe_arg: Mapping[str, Any] | None = None,
        datagen_config: DatagenConfig | None = None,
        data_config: DataConfig | None = None,
    ) -> None:
        self.datagen_config, self.data_config = datagen_config or DatagenConfig(), data_config or DataConfig()
        self.probe_arg = {"beamstop_diameter": self.datagen_config.beamstop_diameter, **(probe_arg or {})}
        given = list(probe_list or self.datagen_config.probe_paths)
        self.probes = [_probe(one) for one in given] or [simulation.make_probe("zone_plate", self.data_config.N)]

    def simulate(self, save_dir: str | Path | None = None, seed: int = 0) -> list[RawData]:
        """All experiments, as `simulate_multiple_experiments` makes them; experiment i has seed + i.

        Raises:
            PtychoPINNError: an object class that is not known, or an object that is smaller than a patch.
        """
        settings = self.datagen_config
        kind = settings.object_class.casefold()
        probes = [probe for probe in self.probes for _ in range(settings.objects_per_probe)]
        streams = [np.random.default_rng(seed + i).spawn(1)[0] for i in range(len(probes))]
        objects = [simulation.make_object(_KINDS.get(kind, kind), settings.image_size, rng) for rng in streams]
        how = self.data_config, {**self.probe_arg, "seed": seed}, save_dir
        return simulate_multiple_experiments(objects, probes, settings.diff_per_object, None, *how)


def generate_data_from_experiment(
    diff: NDArray[Any],
    objectGuess: NDArray[Any],
    probeGuess: NDArray[Any],
    xcoords: ArrayLike,
    ycoords: ArrayLike,
    data_config: DataConfig | None = None,
    probe_arg: Mapping[str, Any] | None = None,
    batch_size: int = 3000,
    random_seed: int | None = None,
) -> RawData:
    """Labels for supervised training: measured patterns with the patches of what was reconstructed from them.

    Args:
        diff: (N, H, W), measured; probe and positions as for `RawData`.
        objectGuess: (Y, X) complex, reconstructed.
        data_config: has no effect, as `probe_arg`; counts carry their dose.
        batch_size: at most so many patterns, drawn at random.
        random_seed: of the draw; 0 by default.

    Raises:
        PtychoPINNError: arrays that make no scan, or a patch that leaves the object.
    """
    scan = RawData.from_coords(xcoords, ycoords, diff, probeGuess).scan
    if batch_size < len(scan):
        chosen = np.random.default_rng(random_seed or 0).choice(len(scan), batch_size, replace=False)
        scan = scan.select(np.sort(chosen))
    return RawData.of_scan(simulation.with_object(scan, np.asarray(objectGuess, np.complex64), np.zeros(2)))


def _said(probe_arg: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entries of `probe_arg` that mean something here, as arguments of the core; the log names the others."""
    given = probe_arg or {}
    others = [name for name in given if name not in _PROBE_ARGUMENTS]
    if others:
        logger.warning("probe_arg: %s not followed; known are %s", ", ".join(others), ", ".join(_PROBE_ARGUMENTS))
    return {_PROBE_ARGUMENTS[name]: value for name, value in given.items() if name in _PROBE_ARGUMENTS}


def _object(source: ArraySource) -> NDArray[np.complex64]:
    """(Y, X)."""
    return simulation.load_object(Path(source))[0] if isinstance(source, str | Path) else np.asarray(source)


def _probe(source: ArraySource) -> NDArray[np.complex64]:
    """(modes, H, W)."""
    return simulation.load_probe(Path(source)) if isinstance(source, str | Path) else as_modes(np.asarray(source))
