"""The convolutional network of `ptychopinn.generators`, layer by layer, in Keras; images are (B, H, W, C).

Every layer has the same place in its block as there, so that `encoder.0.3` names the same convolution in both and
weights can be carried over by name; see `ptychopinn.bundle.layouts`.
"""

from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf
from keras import layers

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.cnn import group_count, pyramid_widths

_EPSILON = 1e-5
"""Added to the variance of a group before its root is taken, as PyTorch does."""


def _normalised_convolution(channels: int, dtype: str) -> list[layers.Layer]:
    """3x3 convolution without a bias, and group normalisation."""
    return [
        layers.Conv2D(channels, 3, padding="same", use_bias=False, dtype=dtype),
        layers.GroupNormalization(group_count(channels), epsilon=_EPSILON, dtype=dtype),
    ]


def _gelu(dtype: str) -> layers.Layer:
    return layers.Activation("gelu", dtype=dtype)


def double_convolution(channels: int, dtype: str) -> keras.Sequential:
    """Twice: 3x3 convolution, group normalisation, GELU."""
    parts = [*_normalised_convolution(channels, dtype), _gelu(dtype)]
    return keras.Sequential([*parts, *_normalised_convolution(channels, dtype), _gelu(dtype)])


class Encoder(layers.Layer):
    """Double convolutions, the resolution halved between them by the largest of four pixels."""

    def __init__(self, config: GeneratorConfig, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.blocks = [double_convolution(width, dtype) for width in pyramid_widths(config)]
        self.halve = layers.MaxPooling2D(dtype=dtype)

    def call(self, image: tf.Tensor) -> list[tf.Tensor]:
        """(B, H, W, C) to maps, each of half the resolution of the one before."""
        maps: list[tf.Tensor] = []
        for block in self.blocks:
            maps.append(block(self.halve(maps[-1]) if maps else image))
        return maps


class ResidualBottleneck(layers.Layer):
    """Residual blocks at the coarsest resolution; none where `blocks` is 0."""

    def __init__(self, width: int, blocks: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.changes = [
            keras.Sequential(
                [*_normalised_convolution(width, dtype), _gelu(dtype), *_normalised_convolution(width, dtype)]
            )
            for _ in range(blocks)
        ]

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """(B, H, W, C) to the same."""
        for change in self.changes:
            image = image + change(image)
        return image


class Decoder(layers.Layer):
    """From the coarsest map up: nearest pixel, joined by the next finer map, double convolution."""

    def __init__(self, config: GeneratorConfig, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.blocks = [double_convolution(width, dtype) for width in pyramid_widths(config)[-2::-1]]
        self.double = layers.UpSampling2D(interpolation="nearest", dtype=dtype)

    def call(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Maps, fine to coarse, to (B, H, W, C)."""
        image = maps[-1]
        for block, skip in zip(self.blocks, maps[-2::-1], strict=True):
            image = block(tf.concat((self.double(image), skip), axis=-1))
        return image


class Network(layers.Layer):
    """(B, H, W, C) to (B, H, W, C'); padded with zeros to what the encoder halves, and cropped back.

    Args:
        channels_in: C.
        channels_out: C'.
        config: width, levels, blocks, and the bottleneck: `residual` or none.
        dtype: `float32` or `float64`.
    """

    def __init__(self, channels_in: int, channels_out: int, config: GeneratorConfig, dtype: str = "float32") -> None:
        super().__init__(dtype=dtype)
        self.multiple = 2**config.levels
        self.encoder = Encoder(config, dtype)
        blocks = config.blocks if config.bottleneck == "residual" else 0
        self.bottleneck = ResidualBottleneck(pyramid_widths(config)[-1], blocks, dtype)
        self.decoder = Decoder(config, dtype)
        self.head = layers.Conv2D(channels_out, 3, padding="same", kernel_initializer="zeros", dtype=dtype)
        self(tf.zeros((1, self.multiple, self.multiple, channels_in), dtype))

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """(B, H, W, C) to (B, H, W, C')."""
        height, width = image.shape[1:3]
        image = tf.pad(image, ((0, 0), (0, -height % self.multiple), (0, -width % self.multiple), (0, 0)))
        *fine, coarse = self.encoder(image)
        image = self.head(self.decoder([*fine, self.bottleneck(coarse)]))
        return image[:, :height, :width]

    def named_variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Every weight with its name in an archive, such as `encoder.0.3.kernel`."""
        places = [(f"encoder.{i}", block) for i, block in enumerate(self.encoder.blocks)]
        places += [(f"bottleneck.{i}.change", block) for i, block in enumerate(self.bottleneck.changes)]
        places += [(f"decoder.{i}", block) for i, block in enumerate(self.decoder.blocks)]
        parts = [(f"{place}.{i}", layer) for place, block in places for i, layer in enumerate(block.layers)]
        for name, layer in [*parts, ("head", self.head)]:
            for variable in layer.weights:
                yield f"{name}.{variable.name}", variable
