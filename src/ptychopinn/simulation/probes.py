"""Illuminations at the sample, in sqrt(photons)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.physics.fourier import to_detector, to_sample
from ptychopinn.physics.illumination import with_modes

Wave = NDArray[np.complex128]

RMS_DIAMETER = 1 / 3
"""Twice the root mean square radius of every kind of probe, in units of the window."""
MODE_POWER_RATIO = 0.4
"""Power of an incoherent mode over that of the mode before it."""
PUPIL_RADIUS = 0.2
"""Outer radius of the zone plate's ring on the detector, in units of the window; the rest is scattering."""
CENTRAL_STOP = 0.4
"""Radius of the central stop over that of the zone plate."""
ASTIGMATISM_RAD = 0.5
COMA_RAD = 0.4
"""Aberrations of the zone plate at its rim."""
SPOT_PX = 6.0
"""RMS diameter of the focus: what diffraction and aberrations add, in quadrature, to the defocused beam."""
FRESNEL_NUMBER = 7.0
"""Of the pinhole: radius squared over wavelength and distance."""


def zone_plate(size: int) -> Wave:
    r"""The defocused beam of a zone plate with central stop: ring-shaped on the detector and at the sample.

    \[ P = \mathcal{F}^{-1}\left[A(u)\, e^{i \pi (R N / a)\, (u/N)^2 + i W(u)}\right] \]

    with the annular aperture A of outer radius a = `PUPIL_RADIUS` N detector pixels. Defocus carries a ray
    from u to R u / a at the sample, so R sets the diameter. W holds a little astigmatism and coma.
    """
    y, x = _centred_grid(size)
    outer = PUPIL_RADIUS * size
    rho, angle = np.hypot(y, x) / outer, np.arctan2(y, x)
    rim = np.sqrt(max((RMS_DIAMETER * size) ** 2 - SPOT_PX**2, 0) / (2 * (1 + CENTRAL_STOP**2)))
    defocus = np.pi * rim * PUPIL_RADIUS * rho**2
    aberration = ASTIGMATISM_RAD * rho**2 * np.cos(2 * angle - 0.7) + COMA_RAD * rho**3 * np.cos(angle - 0.4)
    softness = max(0.05 * size, 2.5)
    aperture = _step((1 - rho) * outer, softness) * _step((rho - CENTRAL_STOP) * outer, softness)
    return _to_sample(aperture * np.exp(1j * (defocus + aberration)))


def disk(size: int) -> Wave:
    """A pinhole with a soft edge, slightly out of focus: fringes inside the rim."""
    y, x = _centred_grid(size)
    radius = RMS_DIAMETER * size / np.sqrt(2)
    pinhole = _step(radius - np.hypot(y, x), 0.05 * size)
    fresnel = np.exp(1j * np.pi * radius**2 / FRESNEL_NUMBER * (y**2 + x**2) / size**2)
    return _to_sample(_to_detector(pinhole) * fresnel)


def gaussian(size: int) -> Wave:
    """A Gaussian beam behind its waist: a smooth spot with a curved wavefront."""
    y, x = _centred_grid(size)
    squared = y**2 + x**2
    deviation = RMS_DIAMETER * size / np.sqrt(8)
    return np.exp(-squared / (2 * deviation) ** 2 + 1j * np.pi * 0.7 * squared / size)


PROBES: Mapping[str, Callable[[int], Wave]] = MappingProxyType(
    {"zone_plate": zone_plate, "disk": disk, "gaussian": gaussian}
)
"""The kinds of `make_probe`: size to wave, any scale."""


def make_probe(kind: str, size: int, *, modes: int = 1, photons_per_pattern: float = 1.0) -> NDArray[np.complex64]:
    """The illumination `probe`, (M, H, W), sqrt(photons), with sum |probe|^2 = photons_per_pattern.

    The modes are orthogonal; each carries `MODE_POWER_RATIO` of the power of the one before. Nothing is
    random: experiments with different seeds share their beam.

    Args:
        kind: a key of `PROBES`.
        size: rows and columns, px.
        modes: incoherent modes M.
        photons_per_pattern: expected counts in a pattern where the object is 1.

    Raises:
        ConfigError: an unknown kind.

    >>> probe = make_probe("disk", 32, modes=2, photons_per_pattern=1e4)
    >>> probe.shape, round(float((abs(probe) ** 2).sum()))
    ((2, 32, 32), 10000)
    """
    if kind not in PROBES:
        raise ConfigError(f"probe kind {kind!r} is not known; choose one of {', '.join(PROBES)}")
    wave = PROBES[kind](size)[None]
    wave *= np.sqrt(photons_per_pattern / np.square(np.abs(wave)).sum())
    return with_modes(torch.from_numpy(wave), modes, MODE_POWER_RATIO).numpy().astype(np.complex64)


def _centred_grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.ogrid[:size, :size]
    return y - float(size // 2), x - float(size // 2)


def _step(inside: NDArray[np.float64], softness: float) -> NDArray[np.float64]:
    """0 to 1 as the distance inside an edge grows, on a cosine `softness` px (at least 1 px) wide."""
    along = np.clip(inside / max(softness, 1.0) + 0.5, 0, 1)
    return np.square(np.sin(np.pi / 2 * along))


def _to_sample(wave: Wave) -> Wave:
    return to_sample(torch.from_numpy(wave)).numpy()


def _to_detector(wave: NDArray[np.float64]) -> Wave:
    return to_detector(torch.from_numpy(wave)).numpy()
