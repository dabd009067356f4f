"""Illuminations at the sample, in sqrt(photons)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from ptychopinn.errors import ConfigError
from ptychopinn.physics.fourier import to_detector, to_sample
from ptychopinn.physics.illumination import with_modes
from ptychopinn.simulation.zernike import zernike

Wave = NDArray[np.complex128]

RMS_DIAMETER = 1 / 3
"""Twice the root mean square radius of every kind of probe, in units of the window, where nothing else is asked for."""
MODE_POWER_RATIO = 0.4
"""Power of an incoherent mode over that of the mode before it."""
PUPIL_RADIUS = 0.2
"""Outer radius of the pupil on the detector, in units of the window; the rest is scattering."""
CENTRAL_STOP = 0.4
"""Radius of the central stop over that of the zone plate."""
ASTIGMATISM_RAD = 0.5
COMA_RAD = 0.4
"""Aberrations of the zone plate at its rim."""
ZERNIKE_RAD = (0.0, 0.2, -0.15, 0.15, 0.1, 0.0, 0.05, 0.15)
"""Terms 4 to 11 of the kind `zernike`, rad rms."""
SPOT_PX = 6.0
"""RMS diameter of the focus: what diffraction and aberrations add, in quadrature, to the defocused beam."""
FRESNEL_NUMBER = 7.0
"""Of the pinhole: radius squared over wavelength and distance."""
DIFFUSER_RAD = 1.5
"""Root mean square phase of the diffuser; much less and the beam is nearly flat, much more and it aliases."""
DIFFUSER_PX = 2.0
"""Standard deviation of the Gaussian that smooths the diffuser: the phase then changes by less than pi from pixel to
pixel."""
DIFFUSER_SEED = 20
"""Of the diffuser's random numbers."""


@dataclass(frozen=True)
class Beam:
    """What the kinds of probe ask for; each uses what it has a meaning for."""

    size: int
    """Rows and columns of the window, px."""
    diameter_px: float
    """Twice the root mean square radius at the sample."""
    central_stop: float = CENTRAL_STOP
    """Radius of the stop over that of the zone plate."""
    defocus_px: float | None = None
    """Where a ray from the rim of the pupil meets the sample; by default what the diameter asks for."""
    zernike: tuple[float, ...] = ZERNIKE_RAD
    """Coefficients of Noll's terms from 4 on, rad rms."""


def zone_plate(beam: Beam) -> Wave:
    r"""The defocused beam of a zone plate with central stop: ring-shaped on the detector and at the sample.

    \[ P = \mathcal{F}^{-1}\left[A(u)\, e^{i \pi (R N / a)\, (u/N)^2 + i W(u)}\right] \]

    with the annular aperture A of outer radius a = `PUPIL_RADIUS` N detector pixels. Defocus carries a ray
    from u to R u / a at the sample, so R sets the diameter. W holds a little astigmatism and coma.
    """
    rho, angle, outer = _pupil(beam.size)
    defocus = np.pi * _rim(beam, beam.central_stop) * PUPIL_RADIUS * rho**2
    aberration = ASTIGMATISM_RAD * rho**2 * np.cos(2 * angle - 0.7) + COMA_RAD * rho**3 * np.cos(angle - 0.4)
    softness = max(0.05 * beam.size, 2.5)
    aperture = _step((1 - rho) * outer, softness)
    if beam.central_stop > 0:
        aperture = aperture * _step((rho - beam.central_stop) * outer, softness)
    return _to_sample(aperture * np.exp(1j * (defocus + aberration)))


def zernike_beam(beam: Beam) -> Wave:
    r"""The defocused beam of a lens with aberrations: a full pupil of phase \(\sum_j c_j Z_j\) beside the defocus."""
    rho, angle, outer = _pupil(beam.size)
    phase = np.pi * _rim(beam, 0.0) * PUPIL_RADIUS * rho**2
    for j, coefficient in enumerate(beam.zernike, start=4):
        phase = phase + coefficient * zernike(j, np.minimum(rho, 1.0), angle)
    return _to_sample(_step((1 - rho) * outer, max(0.05 * beam.size, 2.5)) * np.exp(1j * phase))


def disk(beam: Beam) -> Wave:
    """A pinhole with a soft edge, slightly out of focus: fringes inside the rim."""
    y, x = _centred_grid(beam.size)
    radius = beam.diameter_px / np.sqrt(2)
    pinhole = _step(radius - np.hypot(y, x), 0.05 * beam.size)
    fresnel = np.exp(1j * np.pi * radius**2 / FRESNEL_NUMBER * (y**2 + x**2) / beam.size**2)
    return _to_sample(_to_detector(pinhole) * fresnel)


def ideal_disk(beam: Beam) -> Wave:
    """A disk of even intensity and flat phase, with an edge one pixel wide: an Airy pattern on the detector."""
    y, x = _centred_grid(beam.size)
    return np.clip(beam.diameter_px / np.sqrt(2) - np.hypot(y, x) + 0.5, 0, 1).astype(np.complex128)


def gaussian(beam: Beam) -> Wave:
    """A Gaussian beam behind its waist: a smooth spot with a curved wavefront."""
    y, x = _centred_grid(beam.size)
    squared = y**2 + x**2
    deviation = beam.diameter_px / np.sqrt(8)
    return np.exp(-squared / (2 * deviation) ** 2 + 1j * np.pi * 0.7 * squared / beam.size)


def diffuser(beam: Beam) -> Wave:
    """A round aperture behind a diffuser: even modulus inside a soft rim, random phase that varies over a few pixels.

    For the near field, where the image of the beam falls on the detector: fine structure in it makes patterns depend on
    slow variations of the object too. The random numbers are the same every time.
    """
    y, x = _centred_grid(beam.size)
    aperture = _step(beam.diameter_px / np.sqrt(2) - np.hypot(y, x), 0.05 * beam.size)
    rows, columns = np.fft.fftfreq(beam.size)[:, None], np.fft.fftfreq(beam.size)
    smooth = np.exp(-2 * (np.pi * DIFFUSER_PX) ** 2 * (rows**2 + columns**2))
    noise = np.random.default_rng(DIFFUSER_SEED).standard_normal((beam.size, beam.size))
    phase = np.fft.ifft2(np.fft.fft2(noise) * smooth).real
    return aperture * np.exp(1j * DIFFUSER_RAD * phase / phase.std())


PROBES: Mapping[str, Callable[[Beam], Wave]] = MappingProxyType(
    {
        "zone_plate": zone_plate,
        "disk": disk,
        "ideal_disk": ideal_disk,
        "gaussian": gaussian,
        "zernike": zernike_beam,
        "diffuser": diffuser,
    }
)
"""The kinds of `make_probe`: what is asked for to wave, any scale."""


def make_probe(
    kind: str,
    size: int,
    *,
    modes: int = 1,
    photons_per_pattern: float = 1.0,
    mode_ratio: float = MODE_POWER_RATIO,
    diameter_px: float | None = None,
    central_stop: float = CENTRAL_STOP,
    defocus_px: float | None = None,
    zernike: tuple[float, ...] | None = None,
) -> NDArray[np.complex64]:
    """The illumination `probe`, (M, H, W), sqrt(photons), with sum |probe|^2 = photons_per_pattern.

    The modes are orthogonal. Nothing is random: experiments with different seeds share their beam.

    Args:
        kind: a key of `PROBES`.
        size: rows and columns, px.
        modes: incoherent modes M.
        photons_per_pattern: expected counts in a pattern where the object is 1.
        mode_ratio: power of each mode over that of the one before.
        diameter_px: twice the root mean square radius; a third of the window by default.
        central_stop: of the zone plate: radius of its stop over its own.
        defocus_px: of `zone_plate` and `zernike`: where a ray from the rim meets the sample, px from the axis;
            by default what the diameter asks for.
        zernike: of `zernike`: coefficients of Noll's terms from 4 on, rad rms.

    Raises:
        ConfigError: an unknown kind, or a beam that does not fit the window.

    >>> probe = make_probe("disk", 32, modes=2, photons_per_pattern=1e4)
    >>> probe.shape, round(float((abs(probe) ** 2).sum()))
    ((2, 32, 32), 10000)
    """
    if kind not in PROBES:
        raise ConfigError(f"probe kind {kind!r} is not known; choose one of {', '.join(PROBES)}")
    coefficients = ZERNIKE_RAD if zernike is None else tuple(zernike)
    beam = Beam(size, diameter_px or RMS_DIAMETER * size, central_stop, defocus_px, coefficients)
    wave = PROBES[kind](beam)[None]
    wave *= np.sqrt(photons_per_pattern / np.square(np.abs(wave)).sum())
    return with_modes(torch.from_numpy(wave), modes, mode_ratio).numpy().astype(np.complex64)


def scaled_probe(
    probe: NDArray[np.complex64], photons_per_pattern: float, *, modes: int | None = None, mode_ratio: float
) -> NDArray[np.complex64]:
    """A given probe (M, H, W) with so many photons, and its first modes or further orthogonal ones."""
    wave = torch.from_numpy(probe.astype(np.complex128))
    wave = wave * (photons_per_pattern / wave.abs().square().sum()).sqrt()
    return with_modes(wave, modes or len(probe), mode_ratio).numpy().astype(np.complex64)


def _pupil(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Distance from the axis in units of the rim, angle, and the radius of the rim in detector pixels."""
    y, x = _centred_grid(size)
    outer = PUPIL_RADIUS * size
    return np.hypot(y, x) / outer, np.arctan2(y, x), outer


def _rim(beam: Beam, stop: float) -> float:
    """Where a ray from the rim of the pupil meets the sample, px from the axis."""
    if beam.defocus_px is not None:
        return beam.defocus_px
    return np.sqrt(max(beam.diameter_px**2 - SPOT_PX**2, 0) / (2 * (1 + stop**2)))


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
