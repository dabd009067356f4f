"""From groups of patterns to complex patches: the inputs, the outputs and `SinglePass` of `ptychopinn.generators`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import tensorflow as tf
from keras import layers

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.inputs import FLOOR, REGULARISATION, WEAKEST_WAVE
from ptychopinn.generators.outputs import SHORTEST
from ptychopinn.tensorflow.network import Network
from ptychopinn.tensorflow.physics import as_complex, intensity, to_sample


@dataclass(frozen=True)
class GroupView:
    """What a generator may know of B groups of G patterns, in physical units; see `ptychopinn.generators.GroupView`."""

    amplitude: tf.Tensor
    """(B, G, H, W), measured, sqrt(photons)."""
    measured: tf.Tensor | None
    """Broadcasts to (B, G, H, W), False at bad pixels; None where every pixel was measured."""
    probes: tf.Tensor
    """(B, G, M, H, W) at the sample, sqrt(photons)."""
    detector_probes: tf.Tensor
    """(B, G, M, H, W), the same at the detector."""
    background: tf.Tensor | float = 0.0
    """Photons of each pixel that have not met the sample."""

    @property
    def power(self) -> tf.Tensor:
        """(B, G, H, W), intensity of the probes at the sample, photons."""
        return intensity(self.probes)

    @property
    def detector_modulus(self) -> tf.Tensor:
        """(H, W), root of the summed intensity of the probe at the detector."""
        return tf.sqrt(intensity(self.detector_probes[0, 0]))

    def detached(self) -> "GroupView":
        """The same values without gradients."""
        return replace(
            self, probes=tf.stop_gradient(self.probes), detector_probes=tf.stop_gradient(self.detector_probes)
        )

    def exposed(self, amplitude: tf.Tensor, fraction: tf.Tensor) -> "GroupView":
        """The same experiment with a part of the photons."""
        dim = as_complex(tf.sqrt(fraction))
        return GroupView(
            amplitude, self.measured, dim * self.probes, dim * self.detector_probes, fraction * self.background
        )


def back_projected(view: GroupView) -> tf.Tensor:
    """(B, G, H, W, 2): real and imaginary part of the back-projected pattern minus one."""
    counts = tf.maximum(tf.square(view.amplitude) - view.background, 0)
    amplitude = view.amplitude if _is_dark(view.background) else tf.sqrt(counts)
    modulus = view.detector_modulus
    weakest = WEAKEST_WAVE * tf.reduce_max(modulus, axis=(-2, -1), keepdims=True)
    ratio = amplitude * modulus / tf.maximum(tf.square(modulus) + tf.square(weakest), FLOOR)
    if view.measured is not None:
        ratio = tf.where(view.measured, ratio, tf.ones_like(ratio))
    exit_waves = to_sample(as_complex(ratio)[..., None, :, :] * view.detector_probes)
    numerator = tf.reduce_sum(exit_waves * tf.math.conj(view.probes), axis=-3)
    power = view.power
    largest = tf.reduce_max(power, axis=(-2, -1), keepdims=True)
    quotient = numerator / as_complex(power + REGULARISATION * largest)
    return tf.stack((tf.math.real(quotient) - 1, tf.math.imag(quotient)), axis=-1)


def log_counts(view: GroupView) -> tf.Tensor:
    """(B, G, H, W, 1): log(1 + amplitude^2), 0 at bad pixels."""
    return tf.math.log1p(tf.square(amplitude(view)))


def amplitude(view: GroupView) -> tf.Tensor:
    """(B, G, H, W, 1): amplitude, 0 at bad pixels."""
    seen = view.amplitude if view.measured is None else tf.where(view.measured, view.amplitude, 0)
    return seen[..., None]


def _is_dark(background: tf.Tensor | float) -> bool:
    return isinstance(background, float) and background == 0


def real_imaginary(values: tf.Tensor) -> tf.Tensor:
    """(..., 2) to complex (...)."""
    return tf.complex(1 + values[..., 0], values[..., 1])


def amplitude_phase(values: tf.Tensor) -> tf.Tensor:
    """(..., 2) to complex (...)."""
    modulus = _positive(values[..., 0])
    return tf.complex(modulus * tf.cos(values[..., 1]), modulus * tf.sin(values[..., 1]))


def circular_phase(values: tf.Tensor) -> tf.Tensor:
    """(..., 3) to complex (...)."""
    real, imaginary = 1 + values[..., 1], values[..., 2]
    square = tf.square(real) + tf.square(imaginary)
    length = tf.sqrt(tf.maximum(square, SHORTEST**2))
    modulus = _positive(values[..., 0]) / length
    return tf.complex(modulus * real, modulus * imaginary)


def _positive(values: tf.Tensor) -> tf.Tensor:
    return 1 + tf.nn.elu(values)


INPUTS: dict[str, tuple[Callable[[GroupView], tf.Tensor], int]] = {
    "back_projected": (back_projected, 2),
    "log_counts": (log_counts, 1),
    "amplitude": (amplitude, 1),
}
"""Name of an input -> its function and number of channels."""

OUTPUTS: dict[str, tuple[Callable[[tf.Tensor], tf.Tensor], int]] = {
    "real_imaginary": (real_imaginary, 2),
    "amplitude_phase": (amplitude_phase, 2),
    "circular_phase": (circular_phase, 3),
}
"""Name of an output -> its function and number of channels."""


class SinglePass(layers.Layer):
    """From groups of patterns to complex patches by one network; keeps the statistics of its input.

    Args:
        config: input, output, network and grouping.
        group_size: G; only the `stacked` grouping depends on it.
        dtype: `float32` or `float64`.
    """

    def __init__(self, config: GeneratorConfig, group_size: int, dtype: str = "float32") -> None:
        super().__init__(dtype=dtype)
        self.present, self.channels_in = INPUTS[config.input]
        self.read, self.channels_out = OUTPUTS[config.output]
        self.stack = group_size if config.grouping == "stacked" else 1
        self.input_mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="input_mean")
        self.input_deviation = self.add_weight(shape=(), initializer="ones", trainable=False, name="input_deviation")
        self.network = Network(self.stack * self.channels_in, self.stack * self.channels_out, config, dtype)
        self.built = True

    def network_input(self, view: GroupView) -> tf.Tensor:
        """(B, G, H, W, C), normalised."""
        return (self.present(view) - self.input_mean) / self.input_deviation

    def call(self, view: GroupView) -> tf.Tensor:
        """Patches (B, G, H, W), complex."""
        image = self.network_input(view)
        shape = tf.shape(image)
        groups, height, width = shape[0] * shape[1] // self.stack, image.shape[2], image.shape[3]
        image = tf.reshape(image, (groups, self.stack, height, width, self.channels_in))
        image = tf.reshape(tf.transpose(image, (0, 2, 3, 1, 4)), (groups, height, width, self.stack * self.channels_in))
        output = tf.reshape(self.network(image), (groups, height, width, self.stack, self.channels_out))
        return self.read(tf.reshape(tf.transpose(output, (0, 3, 1, 2, 4)), (*tf.unstack(shape[:2]), height, width, -1)))
