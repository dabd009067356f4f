r"""Ways to show a pattern to a network, each (..., C, H, W) real and not yet normalised.

- `amplitude`: the measured amplitude, sqrt(photons).
- `log_counts`: log(1 + counts).
- `relative_amplitude`: the measured amplitude over the root of the probe's photons, so that the photon number of a scan
  has no effect; the networks of the earlier implementation see it.
- `back_projected`: the measured amplitude, less the background b of the model, with the phase of the probe's own
  detector wave, propagated back to the sample and divided by the probe. It lives in the same real space as the object,
  so skip connections carry structure:

  \[ \psi_m = \mathcal{D}^\dagger\left[ \frac{\sqrt{k - b}\, |D| D_m}{|D|^2 + (\epsilon \max |D|)^2} \right], \qquad
     |D|^2 = \sum_m |D_m|^2, \qquad
     L = \frac{\sum_m \psi_m \bar P_m}{\sum_m |P_m|^2 + 0.05 \max \sum_m |P_m|^2} \]

  Bad pixels keep the probe's own wave. Where the wave is far below epsilon of its maximum, as outside the aperture of a
  zone plate, its phase is rounding error, and the pixel is left out. The network sees (Re L - 1, Im L).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ptychopinn.generators.base import GroupView

REGULARISATION = 0.05
FLOOR = 1e-20
"""Lower limit of photons in a denominator: no quotient overflows."""
WEAKEST_WAVE = 1e-4
"""epsilon: part of the largest detector wave of a pattern below which the wave's phase is not used. A photon number of
1e-8 of the brightest pixel, where no experiment has counts from the probe itself, and 1000 times the rounding error of
an FFT in float32. Twice as much leaves out pixels of four times the probe's photons."""


class Input(NamedTuple):
    """How a pattern is shown to a network."""

    present: Callable[[GroupView], Tensor]
    """A view of B groups to real (B, G, C, H, W)."""
    channels: int
    """C."""


def back_projected(view: GroupView) -> Tensor:
    """(B, G, 2, H, W): real and imaginary part of the back-projected pattern minus one."""
    modulus = view.detector_modulus
    weakest = WEAKEST_WAVE * modulus.amax(dim=(-2, -1), keepdim=True)
    photons = (modulus.square() + weakest.square()).clamp_min(FLOOR)
    ratio = view.physics.without_background(view.amplitude) * modulus / photons
    if view.measured is not None:
        ratio = torch.where(view.measured, ratio, torch.ones_like(ratio))
    exit_waves = view.physics.propagator.adjoint(ratio.unsqueeze(-3) * view.detector_probes)
    numerator = (exit_waves * view.probes.conj()).sum(-3)
    quotient = numerator / (view.power + REGULARISATION * view.power.amax(dim=(-2, -1), keepdim=True))
    return torch.stack((quotient.real - 1, quotient.imag), dim=-3)


def log_counts(view: GroupView) -> Tensor:
    """(B, G, 1, H, W): log(1 + amplitude^2), 0 at bad pixels."""
    return torch.log1p(_measured_amplitude(view).square()).unsqueeze(-3)


def amplitude(view: GroupView) -> Tensor:
    """(B, G, 1, H, W): amplitude, 0 at bad pixels."""
    return _measured_amplitude(view).unsqueeze(-3)


def relative_amplitude(view: GroupView) -> Tensor:
    r"""(B, G, 1, H, W): \(\sqrt{k / \sum |P|^2}\), 0 at bad pixels."""
    photons = view.power.sum((-2, -1), keepdim=True).clamp_min(FLOOR)
    return (_measured_amplitude(view) / photons.sqrt()).unsqueeze(-3)


def _measured_amplitude(view: GroupView) -> Tensor:
    if view.measured is None:
        return view.amplitude
    return torch.where(view.measured, view.amplitude, torch.zeros_like(view.amplitude))


INPUTS: dict[str, Input] = {
    "back_projected": Input(back_projected, 2),
    "log_counts": Input(log_counts, 1),
    "amplitude": Input(amplitude, 1),
    "relative_amplitude": Input(relative_amplitude, 1),
}
"""Name of an input -> its function and number of channels."""
