r"""The grid-lines data set: patterns of drawn lines, scanned on square grids.

\[ X = \sqrt{\mathrm{Poisson}(s^2 A^2)} / s, \qquad A = |\mathcal{F}[P \cdot O / \nu]| \]

with the normalised probe P, windows O of the objects, their mean maximum \(\nu\) and the photon scale s;
docs/specs/grid_lines_data.md has every symbol.
"""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.api.backends import Recorder
from ptychopinn.data.io.probe_file import read_probe
from ptychopinn.data.scan import Scan
from ptychopinn.errors import ConfigError
from ptychopinn.physics import support_mask
from ptychopinn.physics.illumination import normalise_probe
from ptychopinn.simulation.probe_transforms import PreparedProbe, ideal_disk, prepare_probe
from ptychopinn.simulation.record import record_patterns
from ptychopinn.studies.grid_lines.config import GridLinesConfig
from ptychopinn.studies.grid_lines.scene import GridScene, draw_scene

SplitName = Literal["train", "test"]

PAIRED = "coordinates_follow_patterns"
"""Metadata of files whose coordinates have the order of their patterns; legacy PtychoPINN's files lack it."""
PROBE_SCALE = 4.0
"""The probe is divided by this times its mean modulus inside the disk of radius N/4."""


@dataclass(frozen=True, eq=False)
class GridLinesSplit:
    """The training or the test part, in the conventions of docs/conventions.md."""

    split: SplitName
    scene: GridScene
    """Objects, not divided by `norm`, and where each pattern lies on them."""
    amplitudes: NDArray[np.float32]
    """(B, G, N, N): X, the root of the counts over `intensity_scale`; zero frequency at (N//2, N//2)."""
    probe_guess: NDArray[np.complex64]
    """(N, N): the prepared probe."""
    probe: NDArray[np.complex64]
    """(N, N): the normalised probe P that the patterns were made with."""
    norm: float
    """What the objects are divided by before anything is recorded."""
    intensity_scale: float
    """s: amplitudes and probe times this are in sqrt(photons)."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """What the file says beside the arrays; plain JSON values."""
    source: str = "simulated"
    """Where the data came from, for messages."""

    def __len__(self) -> int:
        return len(self.amplitudes)

    def patches(self, rows: slice | NDArray[Any] = slice(None)) -> NDArray[np.complex64]:
        """(B, G, N, N): windows of the objects over `norm`, of some groups or of all."""
        return self.scene.windows(rows) / np.float32(self.norm)

    @property
    def truth(self) -> NDArray[np.complex64]:
        """(n, Y, X): the part of the objects, not divided by `norm`, that reconstructions are compared with."""
        rows, columns = self.scene.layout.truth_region
        return self.scene.objects[:, rows, columns]


@dataclass(frozen=True, eq=False)
class GridLinesData:
    """A data set: what is trained on, and objects never seen in training."""

    config: GridLinesConfig
    train: GridLinesSplit
    test: GridLinesSplit


def make_grid_lines(
    config: GridLinesConfig, probe: NDArray[Any] | None = None, record: Recorder = record_patterns
) -> GridLinesData:
    """Draw the objects, prepare the probe and record the patterns.

    The seed fixes everything, byte for byte; the two parts have random numbers of their own. Training groups are
    shuffled, each with its positions.

    Args:
        config: what to make.
        probe: (H, H) complex, any scale; wins over the file that the configuration names.
        record: simulates the patterns; see `ptychopinn.api.backends.recorder_of`.

    Raises:
        ConfigError: the probe cannot be used.
        ScanError: the file of the probe cannot be read.

    >>> data = make_grid_lines(GridLinesConfig(N=16, size=48, nimgs_train=1))
    >>> data.train.amplitudes.shape, data.test.truth.shape
    ((25, 1, 16, 16), (1, 40, 40))
    """
    given, source = _given_probe(config, probe)
    prepared = _prepared(config, given)
    normalised = _normalised(prepared.probe)
    draws = np.random.SeedSequence(config.seed).spawn(4)
    train, test = (_scene(config, split, draw) for split, draw in zip(_SPLITS, draws[:2], strict=True))
    if config.shuffle_seed is not None:
        train = train.reordered(np.random.RandomState(config.shuffle_seed).permutation(len(train)))
    scale = photon_scale(train, normalised, config.nphotons)
    about = _metadata(config, prepared, source, scale)

    def recorded(split: SplitName, scene: GridScene, draw: np.random.SeedSequence) -> GridLinesSplit:
        norm = scene.norm()
        amplitudes = record_amplitudes(scene, normalised, norm, scale, np.random.default_rng(draw), record)
        return GridLinesSplit(split, scene, amplitudes, prepared.probe, normalised, norm, scale, about)

    return GridLinesData(config, recorded("train", train, draws[2]), recorded("test", test, draws[3]))


def photon_scale(scene: GridScene, probe: NDArray[np.complex64], photons: float) -> float:
    r"""s, which gives `photons` counts per pattern in the mean: \(\sqrt{n / \overline{\sum |P O / \nu|^2}}\)."""
    return float(scene.norm() * np.sqrt(photons / scene.mean_power(probe)))


def record_amplitudes(
    scene: GridScene,
    probe: NDArray[np.complex64],
    norm: float,
    intensity_scale: float,
    rng: np.random.Generator | None,
    record: Recorder = record_patterns,
) -> NDArray[np.float32]:
    """X of every pattern, (B, G, N, N): the root of Poisson counts over the intensity scale.

    Args:
        scene: objects and positions.
        probe: (N, N), normalised.
        norm: what the objects are divided by.
        intensity_scale: s.
        rng: draws the counts; none records the expected amplitudes.
        record: simulates the patterns.
    """
    size = scene.layout.pattern_size
    amplitudes = np.empty((*scene.positions_px.shape[:2], size, size), np.float32)
    wave = (intensity_scale * probe[None]).astype(np.complex64)
    for number, object_ in enumerate(scene.objects):
        mine = scene.object_index == number
        counts = record(object_ / np.float32(norm), wave, scene.positions_px[mine].reshape(-1, 2), rng)
        amplitudes[mine] = (np.sqrt(counts) / intensity_scale).reshape(-1, *amplitudes.shape[1:])
    return amplitudes


def scans_of(split: GridLinesSplit, *, truth_patches: bool = False) -> list[Scan]:
    """One scan for each object.

    The patterns of a group stand together, G after G, in the order of the file. Amplitudes and probe are in
    sqrt(photons). Positions are in the frame of `object_guess`, which is the object over `norm`; so is whatever is
    reconstructed. The metadata hold under `grid_lines` the norm, by which a reconstruction is multiplied before it is
    compared with `GridLinesSplit.truth`, and the region of the frame that the truth covers.

    Args:
        split: the training or the test part.
        truth_patches: whether each scan carries the true windows, as supervised training needs them.

    Raises:
        ScanError: arrays that are no scan.
    """
    return [_scan_of(split, number, truth_patches) for number in range(len(split.scene.objects))]


_SPLITS: tuple[SplitName, SplitName] = ("train", "test")


def _scene(config: GridLinesConfig, split: SplitName, draw: np.random.SeedSequence) -> GridScene:
    count = config.nimgs_train if split == "train" else config.nimgs_test
    if config.object_seeds is None:
        state = np.random.RandomState(np.random.MT19937(draw))
    else:
        state = np.random.RandomState(config.object_seeds[_SPLITS.index(split)])
    return draw_scene(config.layout(split), count, state, set_phi=config.set_phi)


def _given_probe(config: GridLinesConfig, probe: NDArray[Any] | None) -> tuple[NDArray[Any], str]:
    """One mode, and whether it is `custom` or the `ideal_disk`."""
    if probe is None and config.probe_npz is None:
        return ideal_disk(config.N), "ideal_disk"
    wave = np.asarray(read_probe(str(config.probe_npz)) if probe is None else probe)
    modes = wave[..., 0] if wave.ndim == 3 and wave.shape[-1] == 1 else wave
    modes = modes[None] if modes.ndim == 2 else modes
    if modes.ndim != 3 or len(modes) != 1:
        raise ConfigError(f"the probe has shape {wave.shape}; grid-lines data have one mode, so give (H, H)")
    return modes[0], "custom"


def _normalised(probe: NDArray[np.complex64]) -> NDArray[np.complex64]:
    disk = support_mask(len(probe), len(probe) / 4)
    if not (probe * disk.numpy()).any():
        raise ConfigError("the probe is zero in the middle of the window, by which it is normalised; centre it")
    return normalise_probe(torch.from_numpy(probe), PROBE_SCALE, disk)[0].numpy()


def _prepared(config: GridLinesConfig, probe: NDArray[Any]) -> PreparedProbe:
    return prepare_probe(
        probe,
        config.N,
        scale_mode=config.probe_scale_mode,
        smoothing_sigma=config.probe_smoothing_sigma,
        pipeline=config.probe_transform_pipeline,
        mask_diameter=config.probe_mask_diameter,
    )


def _metadata(config: GridLinesConfig, prepared: PreparedProbe, source: str, scale: float) -> dict[str, Any]:
    """What a file says beside its arrays: legacy PtychoPINN's schema, and what makes the data again.

    Neither the time nor the machine stands in it, so that the same seed gives the same file.
    """
    settings = config.model_dump(mode="json", exclude={"N", "gridsize", "nphotons"})
    return {
        "schema_version": "1.0.0",
        "creation_info": {"script": "grid_lines_workflow", "ptychopinn_version": version("ptychopinn")},
        "measurement_domain": "amplitude",
        "physics_parameters": {
            "nphotons": config.nphotons,
            "gridsize": config.gridsize,
            "N": config.N,
            "intensity_scale": scale,
        },
        "training_parameters": {},
        "data_transformations": [],
        "additional_parameters": {
            **settings,
            "probe_source": source,
            "probe_transform_pipeline": prepared.pipeline,
            "probe_transform_steps": prepared.steps,
            "coords_type": "relative",
            PAIRED: True,
        },
    }


def _scan_of(split: GridLinesSplit, number: int, truth_patches: bool) -> Scan:
    mine = np.flatnonzero(split.scene.object_index == number)
    size = split.scene.layout.pattern_size
    scale = np.float32(split.intensity_scale)
    return Scan.create(
        (scale * split.amplitudes[mine]).reshape(-1, size, size),
        split.scene.positions_px[mine].reshape(-1, 2),
        scale * split.probe[None],
        domain="amplitude",
        domain_reason="grid-lines data hold amplitudes",
        object_guess=split.scene.objects[number] / np.float32(split.norm),
        truth_patches=split.patches(mine).reshape(-1, size, size) if truth_patches else None,
        metadata={"simulated": True, "grid_lines": _about(split, number)},
        source=f"{split.source} ({split.split}, object {number})",
    )


def _about(split: GridLinesSplit, number: int) -> dict[str, Any]:
    layout = split.scene.layout
    rows, columns = layout.truth_region
    return {
        "split": split.split,
        "object": number,
        "norm": split.norm,
        "intensity_scale": split.intensity_scale,
        "group_size": layout.gridsize**2,
        "truth_rows": [rows.start, rows.stop],
        "truth_columns": [columns.start, columns.stop],
    }
