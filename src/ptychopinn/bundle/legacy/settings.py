r"""From the settings of an earlier archive to a recipe, a probe in sqrt(photons), and the scale between them.

The earlier implementation divides the patterns of every scan so that the mean over patterns of \(\sum X^2\) is
\(n / s^2\), with n = `nphotons` and s = `intensity_scale`, and its probe is divided by `probe_scale` times its mean
modulus. Here the probe is s times that one, and the network sees \(\sqrt{k / \sum |P|^2}\) over a fixed deviation. The
photons of a scan's own probe are set to those of its mean pattern, times \(c^2 = \sum |P|^2 / n\) (the
`scale_correction`), so that any scan is normalised as before.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.bundle.legacy.layout import Layout
from ptychopinn.config import FittedStatistics, Recipe
from ptychopinn.errors import BundleError, ConfigError, shown
from ptychopinn.physics import support_mask
from ptychopinn.physics.illumination import normalise_probe

LARGEST = 1e18
"""Of a photon number or a scale; more than any detector counts."""
PROBE_SCALE = 4.0
"""The default of the earlier implementation."""


@final
@dataclass(frozen=True)
class Settings:
    """What an archive says of the experiment that its model was trained on."""

    size: int
    """Rows of the patterns, px."""
    group_size: int
    """Patterns of a group."""
    nphotons: float
    """Mean photons per pattern that the training assumed."""
    intensity_scale: float
    """sqrt(photons) for an amplitude of 1 of the network's input."""
    probe_scale: float
    """The probe is divided by this times its mean modulus."""
    supervised: bool
    """Trained on labels."""
    merges: bool
    """Whether the patches of a group were merged in training."""


def settings_of(params: Mapping[str, Any], where: str) -> Settings:
    """The settings of `params.dill`.

    Raises:
        BundleError: one that is needed is not there, or is no usable number.
    """
    size = _number(params, "N", None, where)
    gridsize = _number(params, "gridsize", 1, where)
    if size != int(size) or size > 65536 or gridsize not in (1, 2, 3, 4, 5, 6, 7, 8):
        raise BundleError(f"{where}: N and gridsize must be whole numbers, got {size:g} and {gridsize:g}")
    nphotons = _number(params, "nphotons", 1e9, where)
    return Settings(
        size=int(size),
        group_size=int(gridsize) ** 2,
        nphotons=nphotons,
        intensity_scale=_number(params, "intensity_scale", 2 * math.sqrt(nphotons) / size, where),
        probe_scale=_number(params, "probe_scale", PROBE_SCALE, where),
        supervised=params.get("model_type") == "supervised",
        merges=bool(params.get("object.big", True)),
    )


def trained_probe(params: Mapping[str, Any], settings: Settings, where: str) -> tuple[NDArray[np.complex64], bool]:
    """The probe (M, H, W) in sqrt(photons), and whether the archive holds it.

    Without one, a disk of a quarter of the window stands in: the PyTorch side was given the probe of each scan and
    stored none.

    Raises:
        BundleError: it is no complex array of the size of the patterns.
    """
    probe, size = params.get("probe"), settings.size
    if probe is None:
        disk = support_mask(size, size / 4).to(torch.complex64)[None]
        normalised = normalise_probe(disk, settings.probe_scale, support_mask(size, size / 4))[0].numpy()
        return (normalised * np.float32(settings.intensity_scale)).astype(np.complex64), False
    if isinstance(probe, np.ndarray) and probe.dtype.kind in "fc" and probe.ndim in (2, 3):
        modes = probe[..., 0] if probe.ndim == 3 and probe.shape[-1] == 1 else probe
        modes = modes.astype(np.complex64).reshape(-1, *modes.shape[-2:])
        if modes.shape[1:] == (size, size) and np.isfinite(modes).all() and modes.any():
            return np.ascontiguousarray(modes * np.float32(settings.intensity_scale), np.complex64), True
    raise BundleError(
        f"{where}: probe must be an array of {size}x{size} finite numbers, not all 0, got "
        f"{shown(getattr(probe, 'shape', type(probe).__name__))}; copy the archive again"
    )


def recipe_of(settings: Settings, layout: Layout, probe: NDArray[np.complex64], has_probe: bool, where: str) -> Recipe:
    """The recipe that makes our own model of the archive.

    Raises:
        BundleError: network and settings do not fit each other.
    """
    generator = layout.generator(where)
    if (channels := layout.channels(where)) != settings.group_size:
        raise BundleError(
            f"{where}: the network sees {channels} patterns at once, but gridsize makes groups of "
            f"{settings.group_size}; network and settings are of different models"
        )
    photons = float(np.square(np.abs(probe), dtype=np.float64).sum())
    of_tensorflow = layout.architecture == "legacy_cnn_tensorflow"
    tree = {
        "data": {"group_size": settings.group_size},
        "model": {
            "kind": "supervised" if settings.supervised else "pinn",
            "generator": generator.model_dump(),
            "merge": {"weight": "legacy" if of_tensorflow else "central", "enabled": settings.merges},
            "subpixel": "bilinear",
            "intensity_scale": "data",
        },
        "reconstruction": {"weight": "central"},
        "fitted": FittedStatistics(
            pattern_size=settings.size,
            input_mean=0.0,
            input_deviation=settings.intensity_scale / math.sqrt(photons),
            mean_count=settings.nphotons / settings.size**2,
            intensity_scale=1.0,
            n_patterns=0,
            scale_correction=math.sqrt(photons / settings.nphotons),
            probe_estimated=not has_probe,
        ).model_dump(),
    }
    try:
        return Recipe.from_mapping(tree, where)
    except ConfigError as error:
        raise BundleError(f"{where}: its settings make no model of this version ({shown(error)})") from None


def _number(params: Mapping[str, Any], key: str, default: float | None, where: str) -> float:
    """A positive number of the settings."""
    value = params.get(key)
    value = default if value is None else value
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
        raise BundleError(f"{where}: {key} must be a positive number, got {shown(repr(value))}; copy the archive again")
    return float(value)
