"""Samples of kinds that the training of the prior never draws: letters, biology, crystals, speckle, photographs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import skimage.data
from drawn_scans import PROBES, Drawn, defocused
from numpy.typing import NDArray
from scipy.fft import fft2, fftfreq, ifft2
from skimage.io import imread
from skimage.transform import resize

from ptychopinn.simulation import make_positions, make_probe, position_bounds, record_scan
from ptychopinn.simulation.fields import Field, Texture, to_unit
from ptychopinn.simulation.lettering import written
from ptychopinn.simulation.objects import transmission

FOLDER = Path(skimage.data.__file__).parent
"""Pictures that every installation of scikit-image has."""
BIOLOGY = ("cell.png", "ihc.png", "retina.jpg", "microaneurysms.png")
PHOTOGRAPHS = ("camera.png", "coins.png", "grass.png", "brick.png", "gravel.png", "chelsea.png")
SIGNS = tuple("ABCDEFGHKLMNPRSTUVXYZ2345678")
PATTERN_PX = 64


def letters(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Rows of random letters, some small and some large."""
    rows, columns = int(rng.integers(2, 7)), int(rng.integers(3, 10))
    text = " ".join("".join(rng.choice(SIGNS, columns)) for _ in range(rows))
    return np.asarray(written(text, shape))


def biology(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A part of a micrograph or of a picture of a retina."""
    return _part(str(rng.choice(BIOLOGY)), shape, rng)


def photograph(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A part of a photograph, of grass, bricks or gravel."""
    return _part(str(rng.choice(PHOTOGRAPHS)), shape, rng)


def crystal(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Atoms on a lattice, two grains of different direction, some atoms missing or heavier."""
    y, x = np.indices(shape).astype(float)
    period, angle = rng.uniform(5, 12), rng.uniform(0, np.pi)
    border = (y - shape[0] * rng.uniform(0.3, 0.7)) * np.cos(angle) + (x - shape[1] / 2) * np.sin(angle)
    grains = []
    for _ in range(2):
        turn, skew = rng.uniform(0, np.pi), rng.choice([np.pi / 2, np.pi / 3])
        axes = period * np.array([[np.cos(turn), np.sin(turn)], [np.cos(turn + skew), np.sin(turn + skew)]])
        index = np.linalg.inv(axes).T @ np.stack([y.ravel(), x.ravel()])
        whole = np.rint(index).astype(int)
        away = axes.T @ (index - whole)
        weights = rng.choice([1.0, 0.0, 1.7], (97, 89), p=[0.9, 0.05, 0.05])[whole[0] % 97, whole[1] % 89]
        width = period * 0.18
        grains.append((weights * np.exp(-(away**2).sum(0) / (2 * width**2))).reshape(shape))
    return to_unit(np.where(border > 0, *grains))


def speckle(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """The intensity of a speckle field, with grains of 3 to 8 px."""
    field = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    inside = np.hypot(fftfreq(shape[0])[:, None], fftfreq(shape[1])) < 1 / rng.uniform(3, 8) / 2
    return to_unit(np.abs(ifft2(fft2(field) * inside)) ** 2)


KINDS: Mapping[str, Callable[[tuple[int, int], np.random.Generator], Field]] = MappingProxyType(
    {"letters": letters, "biology": biology, "crystal": crystal, "speckle": speckle, "photograph": photograph}
)
NAMES = tuple(KINDS)


@dataclass(frozen=True)
class Unseen:
    """A scan of a sample of such a kind."""

    seed: int
    drawn: Drawn
    kind: str
    related: bool
    """Whether amplitude and phase are one picture."""
    photons: float


def unseen(seed: int, photons: float | None = None, *, kind: str | None = None, related: bool | None = None) -> Unseen:
    """A scan of 64 px patterns; the seed decides kind, relation, photons, probe, step, contrast and start.

    Five seeds in a row have the five kinds; of ten, five have unrelated amplitude and phase, the phase then being of
    the next kind.

    Args:
        seed: of everything.
        photons: per pattern; by default log-uniform from 1e3 to 1e5.
        kind: a key of `KINDS`.
        related: whether amplitude and phase are one picture.
    """
    rng = np.random.default_rng([seed, 7])
    dose = float(np.exp(rng.uniform(np.log(1e3), np.log(1e5)))) if photons is None else photons
    kind = NAMES[seed % len(NAMES)] if kind is None else kind
    related = seed // len(NAMES) % 2 == 0 if related is None else related
    step = float(rng.uniform(5.5, 9))
    side = int(PATTERN_PX + 4 + 11 * step)
    dense = KINDS[kind]((side, side), rng)
    other = NAMES[(NAMES.index(kind) + 1) % len(NAMES)]
    texture = Texture(dense, dense if related else KINDS[other]((side, side), rng))
    sample = transmission(
        texture, amplitude_min=float(rng.uniform(0.4, 0.85)), phase_range_rad=float(rng.uniform(0.5, 2))
    )
    probe = make_probe(str(rng.choice(PROBES)), PATTERN_PX, photons_per_pattern=dose)
    bounds = position_bounds((side, side), (PATTERN_PX, PATTERN_PX))
    positions = make_positions("jittered_grid", bounds, rng, step_px=step, jitter_px=1.5)
    scan = record_scan(sample, probe, positions, seed=int(rng.integers(2**31)), device="cpu")
    if rng.uniform() < 0.5:
        scan = replace(scan, probe=defocused(scan.probe))
    (y0, x0), (y1, x1) = scan.positions_px.min(0).astype(int) + 2, scan.positions_px.max(0).astype(int) - 2
    return Unseen(seed, Drawn(scan, (int(y0), int(y1), int(x0), int(x1))), kind, related, dose)


def _part(name: str, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    picture = np.asarray(imread(FOLDER / name), dtype=float)
    grey = picture if picture.ndim == 2 else picture[..., :3].mean(-1)
    side = min(*grey.shape, int(rng.uniform(1.0, 2.5) * max(shape)))
    y, x = (int(rng.integers(length - side + 1)) for length in grey.shape)
    return to_unit(resize(grey[y : y + side, x : x + side], shape, anti_aliasing=True))
