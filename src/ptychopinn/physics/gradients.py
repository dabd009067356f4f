r"""How the misfit of a scan changes with object, probe modes and positions: the adjoints of the forward model.

With \(\psi_{nm} = P_m(r - \delta_n)\, O(r + y_n)\), \(\Psi = \mathcal{F}\psi\), \(\lambda_n = \sum_m |\Psi_{nm}|^2\)
and \(\chi_{nm} = \mathcal{F}^{-1}[\ell'(\lambda_n)\, \Psi_{nm}]\),

\[ \frac{\partial L}{\partial \bar O} = \sum_n \mathrm{place}_n \sum_m \bar P_{nm} \chi_{nm}, \qquad
   \frac{\partial L}{\partial \bar P_m} = \sum_n \mathrm{shift}_{-\delta_n} [\bar O_n \chi_{nm}], \qquad
   \frac{\partial L}{\partial y_n} = 4 \pi \sum_{m, f} f\, \mathrm{Im}\left[
   \overline{\mathcal{F}[\bar O_n \chi_{nm}]}\, \mathcal{F}[P_{nm}] \right] . \]

The expected second derivative by a position is half of its Fisher information, from the slopes of the photons:

\[ C_{n,ab} = \frac12 \sum_f \frac{J_{na} J_{nb}}{\lambda_n + \lambda_0}, \qquad
   J_{na} = \frac{\partial \lambda_n}{\partial y_{na}}
          = 4 \pi \sum_m \mathrm{Im}\left[ \bar\Psi_{nm}\,
            \mathcal{F}[O_n\, \mathcal{F}^{-1}[f_a \mathcal{F} P_{nm}]] \right] . \]

Where positions are bent by a field \(u(r)\), and the object with them, each patch is strained about its own centre by
\(\epsilon_{ab} = \partial_b u_a\), so that \(\partial O_n / \partial \epsilon_{ab} = -r_b\, \partial_a O\). Gradient
and curvature follow as for a position, but counts have a variance of \(\lambda + \sigma^2\), with `MODEL_ERROR`
times the mean photons for \(\sigma\): where light is strong, dim pixels, which the object fits last, tell of a
shrunken object until then; where it is weak, counting noise is more than that.

Zero frequency stays at element (0, 0) here: where a wave lies in its array does not change its intensity, so that no
transform has to move anything.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from ptychopinn.physics import exit_wave, extract_patches, intensity, place_patches, split_position
from ptychopinn.physics.fourier import frequencies, uncentre_zero_frequency
from ptychopinn.physics.illumination import exit_wave_to_patches
from ptychopinn.physics.shift import shift_phase
from ptychopinn.typing import Canvas, Patterns, Probe

DataLoss = Literal["poisson", "amplitude"]
Subpixel = Literal["probe", "bilinear"]
Compare = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
BACKGROUND_PHOTONS = 0.02
"""Added to expected photons, so that a dark pixel with a photon does not outweigh all others."""
STEEPEST = 9.0
"""Counted over expected photons beyond which the Poisson loss is a straight line of the amplitude."""

MODEL_ERROR = 0.2
"""Deviation of the expected photons from the true ones as the strain takes it, in units of the mean of a pixel."""

_to_detector = partial(torch.fft.fft2, norm="ortho")
_to_sample = partial(torch.fft.ifft2, norm="ortho")


@dataclass
class Estimate:
    """What is refined."""

    object_: Canvas
    """(Y, X)."""
    probe: Probe
    """(M, H, W), sqrt(photons)."""
    positions_px: Tensor
    """(N, 2), on the canvas."""


@dataclass(frozen=True)
class Gradients:
    """Of the loss of some patterns; complex ones are derivatives by the conjugate."""

    loss: Tensor
    """Sum over measured pixels, scalar."""
    object_: Canvas
    """(Y, X)."""
    probe_power: Tensor
    """(Y, X), photons: the placed intensity of the probes."""
    probe: Probe
    """(M, H, W)."""
    object_power: Tensor
    """(H, W): the summed squared modulus of the patches."""
    positions: Tensor
    """(B, 2), per pixel."""
    positions_curvature: Tensor | None
    """(B, 2, 2), per square pixel, where asked for: the expected second derivative by each position."""
    strain: Tensor | None
    """(B, 4), where asked for: by the elements yy, yx, xy, xx of the strain of each patch about its centre."""
    strain_curvature: Tensor | None
    """(B, 4, 4), where asked for: the expected second derivative by these."""


def poisson_quarter_deviance(expected: Tensor, amplitude: Tensor) -> tuple[Tensor, Tensor]:
    r"""\(\ell = \frac12 (\lambda' - k + k \log(k / \lambda'))\) and \(\ell' = \frac12 (1 - k / \lambda')\).

    The prime on lambda stands for `BACKGROUND_PHOTONS` more. A quarter of the Poisson deviance is as curved as
    `amplitude_square`: both agree where there are many photons. Where counts are more than R = `STEEPEST` times what is
    expected it goes on as a straight line over \(\sqrt{\lambda'}\), with \(\ell' = -\frac12 \sqrt{k / \lambda'}
    (\sqrt R - 1/\sqrt R)\): the slope of the likelihood itself has no bound there, and no step would be short enough.

    Args:
        expected: photons.
        amplitude: measured, sqrt(photons).

    Returns:
        The loss of each pixel, and its derivative by `expected`.
    """
    counts = amplitude.square()
    photons = expected + BACKGROUND_PHOTONS
    ratio = counts / photons
    steep = ratio > STEEPEST
    bend = counts / STEEPEST
    turn = torch.where(steep, bend, photons)
    slope = math.sqrt(STEEPEST) - 1 / math.sqrt(STEEPEST)
    line = slope * counts.sqrt() * (bend.sqrt() - photons.sqrt())
    likelihood = turn - counts + torch.xlogy(counts, counts) - torch.xlogy(counts, turn)
    loss = likelihood / 2 + torch.where(steep, line, torch.zeros_like(line))
    return loss, torch.where(steep, -slope * ratio.sqrt(), 1 - ratio) / 2


def amplitude_square(expected: Tensor, amplitude: Tensor) -> tuple[Tensor, Tensor]:
    r"""\(\ell = (\sqrt\lambda - a)^2\) and \(\ell' = 1 - a / \sqrt\lambda\); arguments and result as above."""
    model = expected.sqrt()
    return (model - amplitude).square(), 1 - amplitude / model.clamp_min(torch.finfo(model.dtype).tiny ** 0.5)


LOSSES: dict[DataLoss, Compare] = {"poisson": poisson_quarter_deviance, "amplitude": amplitude_square}


def gradients(
    now: Estimate,
    index: Tensor,
    amplitude: Patterns,
    measured: Bool[Tensor, "... H W"] | None = None,
    *,
    loss: DataLoss = "poisson",
    subpixel: Subpixel = "probe",
    positions_curvature: bool = False,
    strain: bool = False,
) -> Gradients:
    """Loss of some patterns, its gradients, and the powers that precondition them.

    Args:
        now: object, probe, positions; their precision is that of the arithmetic.
        index: (B,), which positions.
        amplitude: (B, H, W), sqrt(photons), zero frequency at (H//2, W//2).
        measured: (B, H, W) or (H, W), False at bad pixels.
        loss: `poisson` or `amplitude`.
        subpixel: as in `DiffractionModel`. With `bilinear` the gradient of the positions is still that of a shifted
            probe: the two models differ by their interpolation alone.
        positions_curvature: also find the curvature of the positions, which takes four transforms more.
        strain: also find gradient and curvature by the strain of each patch, which takes five transforms more.
    """
    size = (now.probe.shape[-2], now.probe.shape[-1])
    shape = (now.object_.shape[-2], now.object_.shape[-1])
    where, rest = _placement(now.positions_px[index], subpixel)
    patches = extract_patches(now.object_, where, size)
    phase = uncentre_zero_frequency(shift_phase(rest.to(now.probe.real.dtype), size)).unsqueeze(1)
    spectra = _to_detector(now.probe) * phase
    probes = _to_sample(spectra)
    waves = _to_detector(exit_wave(probes, patches))
    misfit, slope = _compared(LOSSES[loss], intensity(waves), amplitude, measured)
    back = _to_sample(slope.unsqueeze(1) * waves)
    residual = _to_detector(patches.conj().unsqueeze(1) * back)
    by_patch = exit_wave_to_patches(probes, back)
    by_strain = by_strain_twice = None
    if strain:
        changes = _strained_patches(now.object_, where, size)
        background = (MODEL_ERROR * _mean_photons(amplitude, measured)).square()
        robust = _robust_slope(waves, amplitude, measured, background).unsqueeze(1) * waves
        by_robust = exit_wave_to_patches(probes, _to_sample(robust))
        by_strain = 2 * (by_robust.conj().unsqueeze(1) * changes).real.sum((-2, -1))
        moved = (_photons_by(waves, _to_detector(exit_wave(probes, change))) for change in changes.unbind(1))
        by_strain_twice = _curvature(waves, list(moved), measured, background)
    return Gradients(
        loss=misfit,
        object_=place_patches(by_patch, where, shape),
        probe_power=place_patches(intensity(probes), where, shape),
        probe=_to_sample((residual * phase.conj()).sum(0)),
        object_power=(patches.real.square() + patches.imag.square()).sum(0),
        positions=_position_gradient(residual, spectra),
        positions_curvature=_position_curvature(spectra, patches, waves, measured) if positions_curvature else None,
        strain=by_strain,
        strain_curvature=by_strain_twice,
    )


def _placement(positions_px: Tensor, subpixel: Subpixel) -> tuple[Tensor, Tensor]:
    """Where the patches are cut, and how far the probes are shifted."""
    if subpixel == "bilinear":
        return positions_px, torch.zeros_like(positions_px)
    return split_position(positions_px)


def _compared(compare: Compare, expected: Tensor, amplitude: Tensor, measured: Tensor | None) -> tuple[Tensor, Tensor]:
    """Summed loss, and its derivative by the expected photons, zero where nothing was measured."""
    loss, slope = compare(expected, uncentre_zero_frequency(amplitude))
    if measured is not None:
        seen = uncentre_zero_frequency(measured)
        loss, slope = loss.masked_fill(~seen, 0), slope.masked_fill(~seen, 0)
    return loss.sum(), slope


def _position_gradient(residual: Tensor, spectra: Tensor) -> Tensor:
    """(B, 2) from two spectra (B, M, H, W)."""
    product = (residual.conj() * spectra).imag.sum(1)
    rows, columns = _frequency_axes(product)
    return 4 * torch.pi * torch.stack((product.sum(-1) @ rows, product.sum(-2) @ columns), -1)


def _position_curvature(spectra: Tensor, patches: Tensor, waves: Tensor, measured: Tensor | None) -> Tensor:
    """(B, 2, 2) from spectra and waves (B, M, H, W) and patches (B, H, W)."""
    rows, columns = _frequency_axes(spectra.real)
    shifted = (_to_sample(-2j * torch.pi * axis * spectra) for axis in (rows.unsqueeze(-1), columns))
    slopes = [_photons_by(waves, _to_detector(exit_wave(probe, patches))) for probe in shifted]
    return _curvature(waves, slopes, measured, BACKGROUND_PHOTONS)


def _strained_patches(object_: Canvas, where: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, 4, H, W): how patches change with the elements of a strain about their centres."""
    slopes = [extract_patches(slope, where, size) for slope in torch.gradient(object_, dim=(-2, -1))]
    rows, columns = (torch.arange(side, device=object_.device, dtype=object_.real.dtype) - side // 2 for side in size)
    return -torch.stack([arm * slope for slope in slopes for arm in (rows.unsqueeze(-1), columns)], 1)


def _mean_photons(amplitude: Tensor, measured: Tensor | None) -> Tensor:
    """Scalar: of the measured pixels."""
    photons = amplitude.square()
    if measured is None:
        return photons.mean()
    seen = measured.expand_as(photons)
    return (photons * seen).sum() / seen.sum()


def _robust_slope(waves: Tensor, amplitude: Tensor, measured: Tensor | None, background: Tensor) -> Tensor:
    """(B, H, W): derivative of the loss by the expected photons, small where these are few beside a background."""
    expected = intensity(waves)
    slope = (expected - uncentre_zero_frequency(amplitude).square()) / (expected + background) / 2
    return slope if measured is None else slope.masked_fill(~uncentre_zero_frequency(measured), 0)


def _photons_by(waves: Tensor, change: Tensor) -> Tensor:
    """(B, H, W): derivative of the photons, from waves and their derivative (B, M, H, W)."""
    return 2 * (waves.conj() * change).real.sum(1)


def _curvature(waves: Tensor, slopes: list[Tensor], measured: Tensor | None, background: Tensor | float) -> Tensor:
    """(B, K, K): half of the Fisher information, from K derivatives (B, H, W) of the photons."""
    weight = (intensity(waves) + background).reciprocal()
    if measured is not None:
        weight = weight.masked_fill(~uncentre_zero_frequency(measured), 0)
    slope = torch.stack(slopes, 1).flatten(2)
    return (slope * weight.flatten(1).unsqueeze(1)) @ slope.mT / 2


def _frequency_axes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies along both axes, zero at element 0."""
    height, width = like.shape[-2:]
    rows, columns = (
        torch.fft.ifftshift(frequencies(size, device=like.device, dtype=like.dtype)) for size in (height, width)
    )
    return rows, columns
