"""From the settings of a recipe to a generator."""

import torch

from ptychopinn.config import GeneratorConfig
from ptychopinn.generators.base import Generator
from ptychopinn.generators.single_pass import SinglePass
from ptychopinn.generators.unrolled import Unrolled, stages_of


def build_generator(config: GeneratorConfig, group_size: int, precision: torch.dtype = torch.float32) -> Generator:
    """The untrained generator that the settings `model.generator` describe.

    Args:
        config: architecture, input, output, stages.
        group_size: G; only the `stacked` grouping depends on it.
        precision: type of the networks' arithmetic.

    Raises:
        ConfigError: an unknown name, or settings that do not fit together.
    """
    return Unrolled(config, precision) if stages_of(config) else SinglePass(config, group_size, precision)
