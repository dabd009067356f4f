r"""How much structure an image has: contrast of its amplitude and of its phase, and the same image without one of them.

With weights w (the light that fell on each pixel), \(A = |O|\), and \(\varphi\) the phase of O less its ramp and its
mean phase:

\[ c_A = \frac{\sqrt{\langle (A - \langle A \rangle)^2 \rangle}}{\langle A \rangle}, \qquad
   c_\varphi = \sqrt{\langle \varphi^2 \rangle}, \qquad \langle f \rangle = \frac{\sum w f}{\sum w} \]
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.phase import estimate_phase_ramp, ramp_factor


@dataclass(frozen=True)
class Split:
    """An object as modulus, level phase, and the phase ramp with the global phase that was taken off."""

    amplitude: NDArray[np.float64]
    """(Y, X)."""
    phase: NDArray[np.float64]
    """(Y, X), rad, in [-pi, pi]."""
    ramp: NDArray[np.complex128]
    """(Y, X), of modulus 1: the object is amplitude * exp(i phase) * ramp."""

    def without(self, part: str) -> NDArray[np.complex128]:
        """The object with its `amplitude` or its `phase` made flat; the ramp stays, since the probe may ask for it.

        Raises:
            ValueError: another part.
        """
        if part == "amplitude":
            return np.exp(1j * self.phase) * self.ramp
        if part == "phase":
            return self.amplitude * self.ramp
        raise ValueError(f"part is {part!r}; must be 'amplitude' or 'phase'")


def split_object(object_: NDArray[Any], weight: NDArray[Any]) -> Split:
    """Modulus and phase of an object (Y, X); the ramp is that of the pixels with weight (Y, X)."""
    image = np.asarray(object_, np.complex128)
    ramp = ramp_factor(image.shape, estimate_phase_ramp(image * weight))
    total = np.sum(weight * image * ramp.conj())
    ramp = ramp * np.exp(1j * np.angle(total))
    return Split(np.abs(image), np.angle(image * ramp.conj()), ramp)


def image_contrast(object_: NDArray[Any], weight: NDArray[Any]) -> tuple[float, float]:
    """Amplitude contrast, and standard deviation of the phase in rad; see the top of this file.

    Args:
        object_: complex (Y, X).
        weight: (Y, X), 0 where a pixel does not count.

    Raises:
        ValueError: no pixel counts, or the object is zero where it does.

    >>> image_contrast(np.full((8, 8), 2 + 0j), np.ones((8, 8)))
    (0.0, 0.0)
    """
    if not np.sum(weight) > 0:
        raise ValueError("weight is zero everywhere; contrast needs a pixel that counts")
    parts = split_object(object_, weight)
    mean = np.average(parts.amplitude, weights=weight)
    if not mean > 0:
        raise ValueError("object_ is zero wherever it counts; its contrast has no meaning")
    spread = np.sqrt(np.average((parts.amplitude - mean) ** 2, weights=weight))
    return float(spread / mean), float(np.sqrt(np.average(parts.phase**2, weights=weight)))
