"""How the figures of a training are called."""

FIGURES = "figures"
"""Folder of the figures, inside that of a run or of its artifacts."""
IMAGE, PATCHES = "reconstruction", "patches"
"""What a figure shows: the image, or patches of single patterns."""


def figure_name(epoch: int, name: str) -> str:
    """File of a figure.

    >>> figure_name(10, IMAGE), figure_name(10, PATCHES)
    ('epoch_0010.png', 'epoch_0010_patches.png')
    """
    return f"epoch_{epoch:04d}.png" if name == IMAGE else f"epoch_{epoch:04d}_{name}.png"
