r"""The probe, and what it makes of the object: \(\psi_m = P_m \cdot O_n\)."""

import math

import torch
from torch import Tensor

from ptychopinn.physics.fourier import to_detector, to_sample
from ptychopinn.physics.shift import shift_phase


def exit_wave(probe: Tensor, patches: Tensor) -> Tensor:
    """Wave just behind the sample, (..., M, H, W).

    Args:
        probe: modes (..., M, H, W), sqrt(photons).
        patches: object windows (..., H, W).
    """
    return probe * patches.unsqueeze(-3)


def shifted_probes(probe: Tensor, remainder_px: Tensor) -> tuple[Tensor, Tensor]:
    r"""The probe moved by the fractional part of each position, at the sample and at the detector.

    \[ D_{nm} = \mathcal{F}[P_m]\, e^{-2\pi i f \cdot r_n}, \qquad P_{nm} = \mathcal{F}^{-1}[D_{nm}] \]

    Args:
        probe: (M, H, W).
        remainder_px: (..., 2), each in [-0.5, 0.5).

    Returns:
        `(P_nm, D_nm)`, each (..., M, H, W).
    """
    height, width = probe.shape[-2:]
    detector = to_detector(probe) * shift_phase(remainder_px, (height, width)).unsqueeze(-3)
    return to_sample(detector), detector


def support_mask(
    size: int, radius: float, *, centre: float | None = None, device: torch.device | None = None
) -> Tensor:
    """Disk of `radius` px about `centre` (both axes; default (size-1)/2): float32 (size, size), 1 inside and 0 outside."""
    middle = (size - 1) / 2 if centre is None else centre
    axis = torch.arange(size, device=device, dtype=torch.float32) - middle
    return (axis[:, None] ** 2 + axis[None, :] ** 2 < radius**2).to(torch.float32)


def normalise_probe(probe: Tensor, scale: float, mask: Tensor | None = None) -> tuple[Tensor, float]:
    """Probe divided by `scale * mean(|mask * probe|)`, and that divisor: the earlier system's normalisation."""
    masked = probe if mask is None else probe * mask
    divisor = scale * float(masked.abs().mean())
    return probe / divisor, divisor


def smooth_probe(probe: Tensor, deviation_px: float) -> Tensor:
    """Convolve the modes with a Gaussian of `deviation_px`, periodic."""
    if deviation_px == 0:
        return probe
    height, width = probe.shape[-2:]
    rows = torch.fft.fftfreq(height, device=probe.device)
    columns = torch.fft.fftfreq(width, device=probe.device)
    squared = rows[:, None] ** 2 + columns[None, :] ** 2
    transfer = torch.exp(-2 * (math.pi * deviation_px) ** 2 * squared)
    return torch.fft.ifft2(torch.fft.fft2(probe) * transfer)


def with_modes(probe: Tensor, modes: int, power_ratio: float = 0.1) -> Tensor:
    """The first `modes` incoherent modes of a probe (M, H, W), or further orthogonal ones added to them.

    Added modes are the strongest mode times low-order polynomials of the coordinates, made orthogonal to all others;
    each carries `power_ratio` of the power of the mode before it. The total power is kept.
    """
    have = probe.shape[0]
    total = probe.abs().square().sum()
    rows = [mode.flatten() for mode in probe[:modes]]
    height, width = probe.shape[-2:]
    y = torch.linspace(-1, 1, height, device=probe.device)[:, None].expand(height, width)
    x = torch.linspace(-1, 1, width, device=probe.device)[None, :].expand(height, width)
    degree = 1
    candidates: list[Tensor] = []
    while have + len(candidates) < modes:
        candidates += [y ** (degree - k) * x**k for k in range(degree + 1)]
        degree += 1
    for factor in candidates[: max(0, modes - have)]:
        candidate = (probe[0] * factor).flatten()
        for row in rows:
            candidate = candidate - row * (row.conj() @ candidate) / row.abs().square().sum()
        power = rows[-1].abs().square().sum() * power_ratio
        rows.append(candidate * (power / candidate.abs().square().sum()).sqrt())
    result = torch.stack(rows).view(-1, height, width)
    return result * (total / result.abs().square().sum()).sqrt()
