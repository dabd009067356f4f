"""The weights of an earlier CNN under the names of `ptychopinn.generators.legacy_cnn`, and what they say of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch

from ptychopinn.config import GeneratorConfig
from ptychopinn.errors import BundleError, shown

ACTIVATIONS = {"swish": "silu", "silu": "silu", "sigmoid": "sigmoid", "softplus": "softplus", "relu": "relu"}
"""Names of the earlier implementation -> values of `model.generator.amplitude_activation`."""


@final
@dataclass(frozen=True, eq=False)
class Layout:
    """A network of the earlier implementation as its file holds it."""

    architecture: str
    """`legacy_cnn_tensorflow` or `legacy_cnn_pytorch`."""
    state: Mapping[str, torch.Tensor]
    """Weights by the names of `LegacyCNN`."""
    activation: str
    """Of the amplitude, by its earlier name."""

    def channels(self, where: str) -> int:
        """Patterns that the network sees at once.

        Raises:
            BundleError: it makes another number of patches.
        """
        seen, made = self._size("encoder.0.first", 1, where), self._size("amplitude.centre", 0, where)
        if seen != made:
            raise BundleError(
                f"{where}: the network sees {seen} patterns and makes {made} patches, and only one patch per pattern "
                "is known here; train a new model on the scan"
            )
        return seen

    def generator(self, where: str) -> GeneratorConfig:
        """The settings of a generator with these weights.

        Raises:
            BundleError: an activation that is not known.
        """
        if self.activation not in ACTIVATIONS:
            raise BundleError(
                f"{where}: the activation of the amplitude is {shown(self.activation)}; must be one of "
                f"{', '.join(ACTIVATIONS)}, so that the archive cannot be read"
            )
        return GeneratorConfig.model_validate(
            {
                "architecture": self.architecture,
                "input": "relative_amplitude",
                "output": "polar",
                "amplitude_activation": ACTIVATIONS[self.activation],
                "grouping": "single" if self.channels(where) == 1 else "stacked",
                "width": self._size(f"amplitude.blocks.{self.levels - 2}.second", 0, where),
                "levels": self.levels,
            }
        )

    @property
    def levels(self) -> int:
        """Blocks of the encoder."""
        return sum(name.startswith("encoder.") and name.endswith(".first.weight") for name in self.state)

    def _size(self, layer: str, axis: int, where: str) -> int:
        weight = self.state.get(f"{layer}.weight")
        if weight is None or weight.ndim != 4:
            raise BundleError(
                f"{where}: lacks a convolution of the CNN of the earlier implementation ({layer}); other networks of "
                "it are not read, train a new model on the scan"
            )
        return int(weight.shape[axis])


def encoder_names(levels: int) -> list[str]:
    """The convolutions of the encoder."""
    return [f"encoder.{level}.{part}" for level in range(levels) for part in ("first", "second")]


def decoder_names(branch: str, levels: int) -> list[str]:
    """The convolutions of a decoder in the order in which the TensorFlow side made them."""
    blocks = [f"{branch}.blocks.{block}.{part}" for block in range(levels - 1) for part in ("first", "second")]
    border = [f"{branch}.border_block.{part}" for part in ("first", "second")]
    return [f"{branch}.centre", f"{branch}.border", *blocks, *border]
