r"""Ways to read a network's output \(f\) as complex patches; all but `polar` are 1 where \(f = 0\).

- `real_imaginary`: \(O = 1 + f_0 + i f_1\).
- `amplitude_phase`: \(O = a(f_0)\, e^{i f_1}\), with \(a(f) = 1 + f\) above 0 and \(e^f\) below: never negative.
- `circular_phase`: \(O = a(f_0)\, u / |u|\) with \(u = 1 + f_1 + i f_2\). The phase turns without a jump at \(\pm\pi\).
- `polar`: \(O = f_0\, e^{i f_1}\), for networks that bound amplitude and phase themselves (`legacy_cnn_*`).

All gradients are finite, also where \(f = 0\) and where \(u = 0\).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SHORTEST = 1e-3
"""Below this length a direction is not stretched to 1, so that its gradient stays bounded."""


class Output(NamedTuple):
    """How a network's output becomes patches."""

    patches: Callable[[Tensor], Tensor]
    """Real (..., C, H, W) to complex (..., H, W)."""
    channels: int
    """C."""


def real_imaginary(values: Tensor) -> Tensor:
    """(..., 2, H, W) to complex (..., H, W)."""
    return torch.complex(1 + values[..., 0, :, :], values[..., 1, :, :])


def amplitude_phase(values: Tensor) -> Tensor:
    """(..., 2, H, W) to complex (..., H, W)."""
    return torch.polar(_positive(values[..., 0, :, :]), values[..., 1, :, :])


def circular_phase(values: Tensor) -> Tensor:
    """(..., 3, H, W) to complex (..., H, W)."""
    direction = torch.stack((1 + values[..., 1, :, :], values[..., 2, :, :]), dim=-1)
    unit = functional.normalize(direction, dim=-1, eps=SHORTEST)
    return _positive(values[..., 0, :, :]) * torch.view_as_complex(unit)


def polar(values: Tensor) -> Tensor:
    """(..., 2, H, W) to complex (..., H, W)."""
    modulus, phase = values[..., 0, :, :], values[..., 1, :, :]
    return torch.complex(modulus * phase.cos(), modulus * phase.sin())


def _positive(values: Tensor) -> Tensor:
    return 1 + functional.elu(values)


OUTPUTS: dict[str, Output] = {
    "real_imaginary": Output(real_imaginary, 2),
    "amplitude_phase": Output(amplitude_phase, 2),
    "circular_phase": Output(circular_phase, 3),
    "polar": Output(polar, 2),
}
"""Name of an output -> its function and number of channels."""
