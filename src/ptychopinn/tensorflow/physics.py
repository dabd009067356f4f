r"""The diffraction physics of `ptychopinn.physics` on TensorFlow tensors: the same functions, names and shapes.

\[ \lambda_n = \sum_m \left| \mathcal{F}\left[ P_m(r - \delta_n)\, O(r + y_n) \right] \right|^2 + b \]

Complex tensors are complex64 with float32 or complex128 with float64.
"""

import math

import numpy as np
import tensorflow as tf

_AXES = (-2, -1)


def as_complex(values: tf.Tensor) -> tf.Tensor:
    """Real values as complex ones of the same precision; complex ones as they are."""
    return values if values.dtype.is_complex else tf.complex(values, tf.zeros_like(values))


def to_detector(wave: tf.Tensor) -> tf.Tensor:
    """Far field (..., H, W) of complex waves: the centred unitary Fourier transform."""
    return tf.signal.fftshift(_fourier(tf.signal.ifftshift(wave, _AXES)), _AXES)


def to_sample(wave: tf.Tensor) -> tf.Tensor:
    """Inverse and adjoint of `to_detector`."""
    shifted = tf.signal.ifft2d(tf.signal.ifftshift(wave, _AXES)) * _root_of_pixels(wave)
    return tf.signal.fftshift(shifted, _AXES)


def _fourier(wave: tf.Tensor) -> tf.Tensor:
    """Unitary, zero frequency at element (0, 0)."""
    return tf.signal.fft2d(wave) / _root_of_pixels(wave)


def _root_of_pixels(wave: tf.Tensor) -> tf.Tensor:
    return tf.cast(math.sqrt(wave.shape[-2] * wave.shape[-1]), wave.dtype)


def shift_phase(shift_px: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Spectrum factor exp(-2 pi i f.d), (..., H, W), for shifts (..., 2); zero frequency at (H//2, W//2)."""
    rows, columns = (_axis_phase(shift_px[..., axis], size[axis]) for axis in (0, 1))
    return rows[..., :, None] * columns[..., None, :]


def _axis_phase(shift: tf.Tensor, size: int) -> tf.Tensor:
    frequency = (tf.range(size, dtype=shift.dtype) - size // 2) / size
    angle = -2 * math.pi * shift[..., None] * frequency
    return tf.complex(tf.cos(angle), tf.sin(angle))


def shifted_probes(probe: tf.Tensor, remainder_px: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Probes (..., M, H, W) moved by the fractional part (..., 2) of each position: at the sample, at the detector."""
    phase = shift_phase(remainder_px, (probe.shape[-2], probe.shape[-1]))
    detector = to_detector(probe) * phase[..., None, :, :]
    return to_sample(detector), detector


def intensity(wave: tf.Tensor) -> tf.Tensor:
    """Photons (..., H, W): squared modulus of waves (..., M, H, W), summed over the modes."""
    return tf.reduce_sum(tf.square(tf.math.real(wave)) + tf.square(tf.math.imag(wave)), axis=-3)


def detect_patches(patches: tf.Tensor, probes: tf.Tensor) -> tf.Tensor:
    """Photons (..., H, W) of object windows (..., H, W) under probes (..., M, H, W)."""
    return tf.signal.fftshift(intensity(_fourier(probes * patches[..., None, :, :])), _AXES)


def split_position(positions_px: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Nearest whole pixel (int32) and remainder in [-0.5, 0.5) of positions (..., 2)."""
    whole = tf.floor(positions_px + 0.5)
    return tf.cast(whole, tf.int32), positions_px - whole


def blurred(photons: tf.Tensor, blur_px: float) -> tf.Tensor:
    """Photons (..., H, W) of a detector with a Gaussian point spread of this standard deviation; not below 0."""
    if blur_px == 0:
        return photons
    height, width = photons.shape[-2:]
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    transfer = tf.constant(np.exp(-2 * (math.pi * blur_px) ** 2 * (y**2 + x**2)), photons.dtype)
    spectrum = tf.signal.rfft2d(photons) * as_complex(transfer)
    return tf.maximum(tf.signal.irfft2d(spectrum, [height, width]), 0)
