r"""The probe, and what it makes of the object: \(\psi_m = P_m \cdot O_n\)."""

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor

from ptychopinn.physics.fourier import gaussian_exponent, to_detector, to_sample
from ptychopinn.physics.shift import fourier_shift, shift_phase


def exit_wave(
    probe: Complex[Tensor, "*#batch M H W"], patches: Complex[Tensor, "*#batch H W"]
) -> Complex[Tensor, "... M H W"]:
    """Wave just behind the sample; leading axes broadcast.

    Args:
        probe: modes, sqrt(photons).
        patches: object windows.
    """
    return probe * patches.unsqueeze(-3)


def exit_wave_to_patches(
    probe: Complex[Tensor, "*#batch M H W"], wave: Complex[Tensor, "*#batch M H W"]
) -> Complex[Tensor, "... H W"]:
    r"""Adjoint of `exit_wave` as a map of the patches: \(\sum_m P_m^* \psi_m\)."""
    return (probe.conj() * wave).sum(-3)


def exit_wave_to_probe(
    patches: Complex[Tensor, "*batch H W"], wave: Complex[Tensor, "*batch M H W"]
) -> Complex[Tensor, "M H W"]:
    r"""Adjoint of `exit_wave` as a map of one probe for all patches: \(\sum_n O_n^* \psi_{nm}\)."""
    return _sum_leading(patches.conj().unsqueeze(-3) * wave)


def shifted_probes(
    probe: Complex[Tensor, "M H W"], remainder_px: Float[Tensor, "*batch 2"]
) -> tuple[Complex[Tensor, "*batch M H W"], Complex[Tensor, "*batch M H W"]]:
    r"""The probe moved by the fractional part of each position, at the sample and at the detector.

    \[ D_{nm} = \mathcal{F}[P_m]\, e^{-2\pi i f \cdot r_n}, \qquad P_{nm} = \mathcal{F}^{-1}[D_{nm}] \]

    Args:
        probe: one probe for all positions.
        remainder_px: each in [-0.5, 0.5), in the precision of the probe.

    Returns:
        `(P_nm, D_nm)`.
    """
    height, width = probe.shape[-2:]
    detector = to_detector(probe) * shift_phase(remainder_px, (height, width)).unsqueeze(-3)
    return to_sample(detector), detector


def shifted_probes_to_probe(
    waves: Complex[Tensor, "*batch M H W"], remainder_px: Float[Tensor, "*batch 2"]
) -> Complex[Tensor, "M H W"]:
    """Adjoint of the first result of `shifted_probes`: every wave shifted back, and summed."""
    return _sum_leading(fourier_shift(waves, -remainder_px.unsqueeze(-2)))


def _sum_leading(waves: Tensor) -> Tensor:
    return waves.reshape(-1, *waves.shape[-3:]).sum(0)


def support_mask(
    size: int,
    radius: float,
    *,
    centre: float | None = None,
    edge_px: float = 0.0,
    device: torch.device | None = None,
) -> Float[Tensor, "{size} {size}"]:
    """Disk of `radius` px about `centre` (both axes; default (size-1)/2): float32, 1 inside and 0 outside.

    With `edge_px` its edge falls off as the integral of a Gaussian of that standard deviation.

    >>> support_mask(4, 1.5).sum().item()
    4.0
    """
    middle = (size - 1) / 2 if centre is None else centre
    axis = torch.arange(size, device=device, dtype=torch.float32) - middle
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    if edge_px == 0:
        return (squared < radius**2).to(torch.float32)
    return torch.special.ndtr((radius - squared.sqrt()) / edge_px)


def normalise_probe(
    probe: Complex[Tensor, "... H W"], scale: float, mask: Float[Tensor, "H W"] | None = None
) -> tuple[Complex[Tensor, "... H W"], float]:
    """Probe divided by `scale * mean(|mask * probe|)`, as legacy PtychoPINN has it, and that divisor."""
    masked = probe if mask is None else probe * mask
    divisor = scale * float(masked.abs().mean())
    return probe / divisor, divisor


def smooth_probe(probe: Complex[Tensor, "*batch H W"], deviation_px: float) -> Complex[Tensor, "*batch H W"]:
    """Convolve the modes with a Gaussian of `deviation_px`, periodic; linear and its own adjoint."""
    if deviation_px == 0:
        return probe
    transfer = torch.exp(deviation_px**2 * gaussian_exponent(probe.real))
    return torch.fft.ifft2(torch.fft.fft2(probe) * transfer)


def with_modes(
    probe: Complex[Tensor, "have H W"], modes: int, power_ratio: float = 0.1
) -> Complex[Tensor, "{modes} H W"]:
    """The first `modes` incoherent modes of a probe, or further orthogonal ones added to them.

    Added modes are the first mode times low-order polynomials of the coordinates, made orthogonal to all
    others; each carries `power_ratio` of the power of the mode before it. The total power is kept.
    """
    have, height, width = probe.shape
    kept = probe[:modes]
    if modes > have:
        columns = torch.cat((probe, probe[:1] * _polynomials(modes - have, probe))).flatten(1).T
        basis = torch.linalg.qr(columns).Q[:, have:].T.reshape(-1, height, width)
        power = power_ratio ** torch.arange(1, modes - have + 1, device=probe.device, dtype=probe.real.dtype)
        added = basis * (power * _power(probe[-1])).sqrt()[:, None, None]
        kept = torch.cat((probe, added))
    return kept * (_power(probe) / _power(kept)).sqrt()


def _polynomials(count: int, like: Inexact[Tensor, "... H W"]) -> Float[Tensor, "{count} H W"]:
    """The first `count` of y, x, y^2, xy, x^2, ... on coordinates from -1 to 1."""
    height, width = like.shape[-2:]
    y = torch.linspace(-1, 1, height, device=like.device, dtype=like.real.dtype)[:, None]
    x = torch.linspace(-1, 1, width, device=like.device, dtype=like.real.dtype)[None, :]
    powers = [(degree - k, k) for degree in range(1, count + 1) for k in range(degree + 1)]
    return torch.stack([y**i * x**k for i, k in powers[:count]])


def _power(wave: Tensor) -> Tensor:
    return wave.abs().square().sum()
