r"""Global phase and phase ramp: what phase retrieval cannot know about an object's phase.

With P = a \* conj(b), the ramp r (rad/px) and phase c that bring b's phase onto a's maximise
Re sum_x w(x) P(x) exp(-i (c + r.x)), the maximum-likelihood estimate for noise on the phasor.
It needs no unwrapping.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptychopinn.metrics.checks import checked_mask, checked_pair

Pair = tuple[float, float]


def phase_difference(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Wrapped difference of phase, angle(a conj(b)), in (-pi, pi] rad.

    >>> import numpy as np
    >>> a, b = np.exp(1j * np.array([3.0])), np.exp(1j * np.array([-3.0]))
    >>> bool(np.isclose(phase_difference(a, b), 6 - 2 * np.pi)[0])
    True
    """
    return np.angle(np.asarray(a, np.complex128) * np.conj(np.asarray(b, np.complex128)))


def remove_global_phase(
    object_: NDArray[Any], reference: NDArray[Any] | None = None, *, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.complex128]:
    """Turn `object_` by the one phase that makes sum(object_ conj(reference)) on the mask real and positive.

    Args:
        object_: complex (Y, X).
        reference: complex (Y, X); one everywhere by default, so that the mean phase becomes zero.
        mask: boolean (Y, X), True where a pixel counts.

    Raises:
        ValueError: shapes differ, values are not finite, or the mask is empty.

    >>> import numpy as np
    >>> bool(np.allclose(remove_global_phase(np.full((4, 4), 2j)), 2))
    True
    """
    moving, target, counts = _prepared(object_, reference, mask)
    return moving * np.exp(-1j * np.angle(np.sum((moving * target.conj())[counts])))


def remove_phase_ramp(
    object_: NDArray[Any], reference: NDArray[Any] | None = None, *, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.complex128]:
    """Remove the linear phase ramp and the global phase between `object_` and `reference`.

    The ramp is zero at element (Y//2, X//2). Arguments and errors are those of `remove_global_phase`.
    """
    moving, target, counts = _prepared(object_, reference, mask)
    ramp = estimate_phase_ramp(np.where(counts, moving * target.conj(), 0))
    return remove_global_phase(moving * ramp_factor(moving.shape, (-ramp[0], -ramp[1])), target, mask=counts)


def estimate_phase_ramp(product: NDArray[np.complex128]) -> Pair:
    """Slope (y, x), rad/px, of the phase of `product` (Y, X), weighted by its modulus.

    The peak of a zero-padded FFT, then Newton steps on the phasor sum: exact far below a frequency bin.
    """
    shape = [2 * size + -2 * size % 32 for size in product.shape]  # a factor of 32 makes the transform fast
    spectrum = np.abs(np.fft.fft2(product, s=shape))
    peak = np.unravel_index(int(spectrum.argmax()), shape)
    start = np.array([2 * np.pi * np.fft.fftfreq(n)[k] for n, k in zip(shape, peak, strict=True)])
    ramp = _refined_ramp(product, start)
    return float(ramp[0]), float(ramp[1])


def ramp_factor(shape: tuple[int, ...], ramp_rad_per_px: Pair, origin: Pair | None = None) -> NDArray[np.complex128]:
    """exp(i r.(x - x0)) on (Y, X), with x0 = (Y//2, X//2) unless given."""
    y0, x0 = (shape[0] // 2, shape[1] // 2) if origin is None else origin
    rows = np.exp(1j * ramp_rad_per_px[0] * (np.arange(shape[0]) - y0))
    columns = np.exp(1j * ramp_rad_per_px[1] * (np.arange(shape[1]) - x0))
    return rows[:, None] * columns[None, :]


def _refined_ramp(product: NDArray[np.complex128], start: NDArray[np.float64], steps: int = 8) -> NDArray[np.float64]:
    ramp = start.copy()
    y, x = (np.arange(size) - (size - 1) / 2 for size in product.shape)
    limit = np.pi / np.array(product.shape)  # half a bin: the peak cannot be further away
    for _ in range(steps):
        flat = product * ramp_factor(product.shape, (-ramp[0], -ramp[1]))
        flat = flat * np.exp(-1j * np.angle(flat.sum()))
        step = _newton_step(flat, y, x)
        if step is None or np.any(np.abs(ramp + step - start) > limit):
            break
        ramp = ramp + step
        if np.all(np.abs(step) < 1e-12):
            break
    return ramp


def _newton_step(
    flat: NDArray[np.complex128], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Newton step of (phase, slope y, slope x) on Re sum(flat exp(-i ...)); None where it has no maximum."""
    moments = np.stack([np.ones_like(y), y, y * y]) @ flat @ np.stack([np.ones_like(x), x, x * x]).T
    real, gradient = moments.real, np.array([moments[0, 0].imag, moments[1, 0].imag, moments[0, 1].imag])
    hessian = np.array(
        [
            [real[0, 0], real[1, 0], real[0, 1]],
            [real[1, 0], real[2, 0], real[1, 1]],
            [real[0, 1], real[1, 1], real[0, 2]],
        ]
    )
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        return None
    return np.linalg.solve(hessian, gradient)[1:]


def _prepared(
    object_: NDArray[Any], reference: NDArray[Any] | None, mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.bool_]]:
    target = np.ones_like(object_) if reference is None else reference
    moving, target = checked_pair(object_, target, names=("object_", "reference"))
    return moving.astype(np.complex128), target.astype(np.complex128), checked_mask(mask, moving.shape)
