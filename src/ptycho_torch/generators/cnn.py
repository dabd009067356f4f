"""The `cnn` architecture by its legacy name."""

from ptycho_torch.generators.base import RegisteredGenerator


class CnnGenerator(RegisteredGenerator):
    """The U-Net of `ptychopinn.generators.cnn`."""

    name = "cnn"
