"""The `cnn` architecture by its legacy name."""

from ptycho_torch.generators.registry import CnnGenerator as CnnGenerator
