"""Complex modes as colour: hue is the phase, brightness the amplitude."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from numpy.typing import NDArray

from ptychopinn.plotting.scalebar import draw_scalebar
from ptychopinn.plotting.style import TEXT_PT, add_colorbar, style_image

LIGHTNESS, CHROMA = 0.82, 0.135
"""Of the brightest pixel, in OKLCH: the most even ring of hues that sRGB shows."""

_LAB_TO_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def complex_to_rgb(values: NDArray[Any], maximum: float) -> NDArray[np.float64]:
    """(..., 3) sRGB in 0..1: hue is the phase, brightness the amplitude over `maximum`.

    Colours are even in OKLab (Ottosson, 2020), so that no phase looks brighter than another.
    """
    size = np.clip(np.abs(values) / maximum, 0, 1)[..., None] if maximum > 0 else np.zeros((*values.shape, 1))
    unit = np.exp(1j * np.angle(values))
    lab = size * np.stack([np.full(values.shape, LIGHTNESS), CHROMA * unit.real, CHROMA * unit.imag], axis=-1)
    linear = np.clip((lab @ _LAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def draw_probe(ax: Axes, probe: NDArray[Any], *, pixel_size_m: float | None = None, title: str = "Probe") -> Axes:
    """Modes (M, H, W) side by side, each scaled to its own maximum, with its share of the photons."""
    style_image(ax, title if len(probe) == 1 else f"{title}, {len(probe)} modes")
    ax.patch.set(hatch=None, facecolor="white")
    columns = math.ceil(math.sqrt(len(probe)))
    height, width = probe.shape[1:]
    gap = max(round(0.03 * width), 1)
    share = np.sum(np.abs(probe) ** 2, axis=(1, 2))
    for number, mode in enumerate(probe):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        rgb = complex_to_rgb(mode, float(np.abs(mode).max()))
        ax.imshow(rgb, extent=(left, left + width, top + height, top), origin="upper")
        if len(probe) > 1:
            text = f"{share[number] / max(float(share.sum()), 1e-30):.0%}"
            ax.text(left + 2 * gap, top + 2 * gap, text, fontsize=TEXT_PT, color="white", va="top")
    rows = math.ceil(len(probe) / columns)
    ax.set_xlim(0, columns * (width + gap) - gap)
    ax.set_ylim(rows * (height + gap) - gap, 0)
    if len(probe) > 1:
        ax.spines[:].set_visible(False)
    _add_hues(ax)
    draw_scalebar(ax, pixel_size_m)
    return ax


def _add_hues(ax: Axes) -> None:
    ring = complex_to_rgb(np.exp(1j * np.linspace(-np.pi, np.pi, 256)), 1.0)
    bar = add_colorbar(ax, ScalarMappable(Normalize(-np.pi, np.pi), ListedColormap(ring)), "rad")
    bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
