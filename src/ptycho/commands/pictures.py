"""The two pictures that the earlier command wrote beside an image."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptychopinn.data.reconstruction import Reconstruction

LARGEST = 6.0
"""Largest width and height of the map, inches."""
EDGE, BAR = 0.5, 1.1
"""Inches round the map, and for its colour bar."""


def save_amplitude_and_phase(image: "Reconstruction", folder: Path) -> list[Path]:
    """Write `reconstructed_amplitude.png` and `reconstructed_phase.png` into a folder that is there.

    Raises:
        OutputError: the folder cannot be written.
    """
    from ptychopinn.plotting import draw_amplitude, draw_phase, save_figure
    from ptychopinn.plotting.maps import Placement, shown_aspect
    from ptychopinn.plotting.page import Page

    aspect = shown_aspect(image.coverage)
    width, height = LARGEST / max(aspect, 1), LARGEST * min(aspect, 1)
    place = Placement(image.origin_px, image.pixel_size_m)
    paths = []
    for name, draw in (("amplitude", draw_amplitude), ("phase", draw_phase)):
        page = Page.blank(width + EDGE + BAR, height + 2 * EDGE)
        draw(page.panel(EDGE, EDGE, width, height), image.object_, image.coverage, place=place)
        paths.append(save_figure(page.figure, folder / f"reconstructed_{name}.png"))
    return paths
