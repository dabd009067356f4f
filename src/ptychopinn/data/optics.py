"""A start for the probe from the optics that form the beam: zone plate, rectangular aperture (KB mirrors), Gaussian."""

import numpy as np
from numpy.typing import NDArray

from ptychopinn.config import DataConfig
from ptychopinn.data.scan import Scan
from ptychopinn.data.start_probe import mean_counts
from ptychopinn.errors import ScanError

SUPERSAMPLING = 4
"""Samples of the aperture along each axis of a frequency, so that its edges are smooth. With 1, a rim of a few pixels
would be off by half a pixel."""

Pupil = NDArray[np.float64]


def optics_probe(scan: Scan, options: DataConfig) -> tuple[NDArray[np.complex64], str]:
    r"""The beam of the optics that `data.probe_model` names, at the sample.

    A ray through the aperture at \(a\) reaches the focus under the angle \(a / f\), that is with the spatial frequency
    \(q = a / (\lambda f)\). At the distance \(d\) behind the focus

    \[ P = F^{-1}\left( A(\lambda f q)\, e^{-i \pi \lambda d |q|^2} \right), \quad q = k / (N \Delta) \]

    with the transmission \(A\) of the aperture, N pixels \(\Delta\) of the object, and the frequency index \(k\) from
    the centre. A zone plate of diameter D and outermost zone w has \(f = D w / \lambda\), and a ring as its aperture
    if it has a central stop. A Gaussian beam of the width s (full width at half maximum of the intensity at the focus)
    has \(A = \exp(-\pi^2 s^2 |q|^2 / (2 \ln 2))\).

    Args:
        scan: with patterns, pixel size and, for other optics than a focused Gaussian beam, photon energy.
        options: `probe_model` and the numbers of the optics.

    Returns:
        (H, H) probe with the mean photons of the patterns, and one sentence that states what was done.

    Raises:
        ScanError: the object pixel, the energy or a number of the optics is missing, or the beam does not fit.
    """
    size = scan.pattern_size
    known = scan.geometry.far_field_pixel_m(size)
    pixel = scan.pixel_size_m or (None if known is None else known[1])
    if scan.geometry.propagation == "near_field":
        raise ScanError(f"{scan.source}: data.probe_model is for the far field; give a probe by --probe FILE")
    if pixel is None:
        raise ScanError(
            f"{scan.source}: a probe of the optics needs the object pixel; give --energy-ev, --distance and "
            "--detector-pixel, or a probe by --probe FILE"
        )
    axis = (np.arange(size * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5 - size // 2
    q = axis / (size * pixel)
    pupil = _pupil(q, options, scan)
    if not pupil.any():
        raise ScanError(
            f"{scan.source}: the aperture of data.probe_model does not reach any detector pixel; correct the numbers "
            "of the optics, in metres"
        )
    wave = pupil.astype(np.complex128)
    if options.optics_defocus_m:
        squared = np.square(q)[:, None] + np.square(q)
        wave *= np.exp(-1j * np.pi * _wavelength(scan) * options.optics_defocus_m * squared)
    wave = wave.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING).mean(axis=(1, 3))
    probe = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(wave), norm="ortho"))
    photons = mean_counts(scan.patterns, scan.bad_pixels, scan.domain == "counts").sum()
    probe *= np.sqrt(photons / np.square(np.abs(probe)).sum())
    kind = {"zone_plate": "zone plate", "rectangular": "rectangular aperture", "gaussian": "Gaussian beam"}
    return probe.astype(np.complex64), (
        f"The probe is the calculated beam of a {kind[str(options.probe_model)]}, {options.optics_defocus_m:g} m "
        "behind its focus (data.probe_model)."
    )


def _pupil(q: NDArray[np.float64], options: DataConfig, scan: Scan) -> Pupil:
    if options.probe_model == "gaussian":
        width = _needed(options, "optics_size_m", scan)[0]
        profile = np.exp(-(np.pi**2) * width**2 * np.square(q) / (2 * np.log(2)))
        return np.asarray(profile[:, None] * profile)
    aperture, wavelength = _needed(options, "optics_aperture_m", scan), _wavelength(scan)
    if options.probe_model == "zone_plate":
        focal = aperture[0] * _needed(options, "optics_outer_zone_m", scan)[0] / wavelength
        radius = np.sqrt(np.square(q)[:, None] + np.square(q)) * wavelength * focal
        open_ = (radius <= aperture[0] / 2) & (radius >= options.optics_stop_m / 2)
        return open_.astype(np.float64)
    focal_y, focal_x = _needed(options, "optics_focal_m", scan)
    rows, columns = (
        np.abs(q) * wavelength * focal <= side / 2 for focal, side in zip((focal_y, focal_x), aperture, strict=True)
    )
    return (rows[:, None] & columns).astype(np.float64)


def _needed(options: DataConfig, name: str, scan: Scan) -> tuple[float, float]:
    """A number of the optics as (y, x)."""
    value = getattr(options, name)
    if value is None:
        raise ScanError(
            f"{scan.source}: data.probe_model {options.probe_model} needs data.{name}; give "
            f"--{name.removesuffix('_m').replace('_', '-')}"
        )
    return value if isinstance(value, tuple) else (value, value)


def _wavelength(scan: Scan) -> float:
    wavelength = scan.geometry.wavelength_m
    if wavelength is None:
        raise ScanError(f"{scan.source}: a probe of the optics needs the photon energy; give --energy-ev")
    return wavelength
