"""The colour maps of the figures as lists of colours, for pages that are drawn elsewhere."""

import matplotlib
from matplotlib.colors import to_hex


def palette(name: str, count: int = 256) -> tuple[str, ...]:
    """A colour map of Matplotlib from its lowest to its highest colour.

    >>> palette("gray", 3)
    ('#000000', '#808080', '#ffffff')
    """
    return tuple(to_hex(colour) for colour in matplotlib.colormaps[name].resampled(count)(range(count)))
