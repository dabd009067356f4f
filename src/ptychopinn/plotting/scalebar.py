"""A bar of round length below an image."""

import math

from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from ptychopinn.plotting.style import INK, MUTED, TEXT_PT

OFFSET_PT = 9.0
"""From the lower edge of the image to the middle of the bar."""
_UNITS = ((1e-9, "nm"), (1e-6, "µm"), (1e-3, "mm"), (1.0, "m"))


def round_length(width_px: float, pixel_size_m: float | None) -> tuple[float, str]:
    """Length in pixels of a bar of 1, 2 or 5 times a power of ten, and its label.

    >>> round_length(240, None)
    (50.0, '50 px')
    >>> round_length(240, 26e-9)[1]
    '1 µm'
    """
    if pixel_size_m is None:
        length = max(_round_down(0.3 * width_px), 1.0)
        return length, f"{length:.0f} px"
    length_m = _round_down(0.3 * width_px * pixel_size_m)
    scale, unit = next((u for u in reversed(_UNITS) if length_m >= u[0] * (1 - 1e-9)), _UNITS[0])
    return length_m / pixel_size_m, f"{length_m / scale:.3g} {unit}"


def draw_scalebar(ax: Axes, pixel_size_m: float | None) -> None:
    """Put the bar under the lower left corner of an image whose data unit is the pixel."""
    left, right = ax.get_xlim()
    length, label = round_length(right - left, pixel_size_m)
    below = ax.get_xaxis_transform() + ScaledTranslation(0, -OFFSET_PT / 72, ax.figure.dpi_scale_trans)
    ax.plot(
        [left, left + length],
        [0, 0],
        transform=below,
        color=INK,
        linewidth=2.4,
        solid_capstyle="butt",
        clip_on=False,
    )
    beside = below + ScaledTranslation(6 / 72, -0.3 / 72, ax.figure.dpi_scale_trans)
    ax.text(left + length, 0, label, transform=beside, fontsize=TEXT_PT, color=MUTED, va="center_baseline")
    ax.set_xlim(left, right)


def _round_down(length: float) -> float:
    power = 10.0 ** math.floor(math.log10(length))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= length * (1 + 1e-9))
