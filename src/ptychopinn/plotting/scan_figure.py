"""What was measured at one glance: mean pattern, scan positions, probe, and the reference object if there is one."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ptychopinn.data.scan import Scan
from ptychopinn.plotting.maps import Placement, draw_amplitude, draw_phase, draw_positions
from ptychopinn.plotting.page import Page
from ptychopinn.plotting.patterns import draw_pattern, range_of_photons
from ptychopinn.plotting.probe import draw_probe
from ptychopinn.plotting.style import TITLE_Y, add_colorbar, put_title

EDGE, HEAD, FOOT, SIDE, BESIDE = 0.45, 1.25, 0.55, 2.9, 0.95
"""Inches: left margin, above and below the panels, side of a panel, between panels with their colour bars."""
MOST_PATTERNS = 256
"""Patterns of the mean that is shown, evenly spaced over the scan: 20 ms for 128 x 128 px."""


def figure_scan(scan: Scan) -> Figure:
    """Mean pattern on a logarithmic scale, positions, probe; amplitude and phase of the reference object.

    Args:
        scan: What was measured.

    >>> ones = np.ones((4, 16, 16))
    >>> grid = np.array([[8.0, 8.0], [8, 12], [12, 8], [12, 12]])
    >>> len(figure_scan(Scan.create(ones, grid, ones[0], domain="counts")).axes)
    3
    """
    shown = scan.select(np.unique(np.linspace(0, len(scan) - 1, MOST_PATTERNS).astype(int)))
    has_object = scan.object_guess is not None
    page = Page.blank(EDGE + (5 if has_object else 3) * (SIDE + BESIDE), HEAD + SIDE + FOOT)
    title, *facts = scan.summary().splitlines()
    page.headline(EDGE, 0.3, title, "   ".join(fact.strip() for fact in facts))
    panels = iter(
        page.panel(EDGE + number * (SIDE + BESIDE), HEAD, SIDE, SIDE) for number in range(5 if has_object else 3)
    )
    mean = np.ma.masked_array(shown.counts().mean(axis=0))
    if scan.always_bad is not None:
        mean[scan.always_bad] = np.ma.masked
    norm = LogNorm(*range_of_photons(mean.compressed(), mean.compressed()))
    axes = next(panels)
    draw_pattern(axes, mean, "inferno", norm, "")
    put_title(axes, f"Mean of {len(shown)} patterns", TITLE_Y)
    add_colorbar(axes, ScalarMappable(norm, "inferno"), "photons")
    place = Placement(pixel_size_m=scan.pixel_size_m)
    draw_positions(next(panels), scan.positions_px, place=place)
    title = "Probe, estimated" if scan.probe_estimated else "Probe"
    draw_probe(next(panels), scan.probe, pixel_size_m=scan.pixel_size_m, title=title)
    if scan.object_guess is not None:
        everywhere = np.ones(scan.object_guess.shape)
        draw_amplitude(next(panels), scan.object_guess, everywhere, place=place, title="Reference amplitude")
        draw_phase(next(panels), scan.object_guess, everywhere, place=place, title="Reference phase")
    return page.figure
